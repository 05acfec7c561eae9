"""Attention over a packed trie that returns its output and, for chosen rows, its mass on spans."""

from typing import Literal, get_args

from jaxtyping import Float, Int
from torch import Tensor

from faithlens.kernels.implementation import load_implementation
from faithlens.kernels.tree_attention.tree import AttentionOutput, Readout, Tree

Implementation = Literal["auto", "blocked", "reference", "triton"]


def tree_attention(
    q: Float[Tensor, "head query d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    v: Float[Tensor, "kv_head pos d_head"],
    tree: Tree,
    scale: float,
    *,
    queries: Int[Tensor, " query"] | None = None,
    window: int | None = None,
    softcap: float | None = None,
    sinks: Float[Tensor, " head"] | None = None,
    readout: Readout | None = None,
    impl: Implementation = "auto",
) -> AttentionOutput:
    """Softmax attention of packed tokens over what they see (see `tree.py`).

    Query head h reads key/value head ``h // (head / kv_head)``. Scores are ``scale * q @ k``, then, with a `softcap` c,
    ``c * tanh(scores / c)`` (Gemma 2). `sinks` add a logit to each head's softmax that has no value (gpt-oss), so that
    masses add up to less than one. `queries` are the packed indices of q's rows, in order; None stands for all. Keys
    and values that no query sees may hold anything. A query that sees nothing has output and mass 0.

    Raises:
        KernelError: `impl` cannot run on these tensors. "auto" chooses one that can (see `choose`).
    """
    if queries is None:
        queries = tree.all_rows
    module = load_implementation(__package__, impl, get_args(Implementation), "blocked", q, k, v, sinks)
    return module.attend(q, k, v, tree, scale, queries, window, softcap, sinks, readout)
