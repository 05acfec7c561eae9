"""Attention over a packed trie; for chosen rows it also returns the attention mass on spans."""

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
    """Softmax attention of packed tokens over the keys that are visible to them (see `tree.py`).

    Query head h reads key/value head ``h // (head / kv_head)``. A query without visible keys has output and mass 0.
    Keys and values that no query sees may hold any numbers, also NaN.

    Args:
        q: queries, rows in packed order.
        k: keys of all packed rows.
        v: values of all packed rows.
        tree: which keys are visible to which queries.
        scale: scores are ``scale * q @ k``.
        queries: sorted packed indices of the rows of q; None stands for all rows.
        window: a query sees only keys at most ``window - 1`` positions before it (Mistral, Gemma).
        softcap: c in ``c * tanh(scores / c)``, applied to scores (Gemma 2).
        sinks: a logit for each head that takes part in the softmax and has no value (gpt-oss), so that masses add up to
            less than one.
        readout: the rows whose attention mass on spans is returned too.
        impl: the implementation.

    Raises:
        KernelError: `impl` cannot run on these tensors. "auto" chooses one that can (`choose_implementation`).
    """
    if queries is None:
        queries = tree.all_rows
    module = load_implementation(__package__, impl, get_args(Implementation), "blocked", q, k, v, sinks)
    return module.attend(q, k, v, tree, scale, queries, window, softcap, sinks, readout)
