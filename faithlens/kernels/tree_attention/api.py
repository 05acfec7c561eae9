"""Attention over a packed trie; for chosen rows it also returns the attention mass on spans."""

from typing import Literal, get_args

import torch
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
    queries: range | Int[Tensor, " query"] | None = None,
    window: int | None = None,
    softcap: float | None = None,
    sinks: Float[Tensor, " head"] | None = None,
    readout: Readout | None = None,
    mass: Float[Tensor, "head reader span"] | None = None,
    impl: Implementation = "auto",
) -> AttentionOutput:
    """Softmax attention of packed tokens over the keys that are visible to them (see `tree.py`).

    Query head h reads key/value head ``h // (head / kv_head)``. A query without visible keys has output and mass 0.
    Keys and values that no query sees may hold any numbers, also NaN. The last rows may have no keys and values, if no
    query sees them. Queries, keys and values are read by their strides.

    Args:
        q: queries.
        k: keys of the first rows of the tree, or of all.
        v: values of the same rows.
        tree: which keys are visible to which queries.
        scale: scores are ``scale * q @ k``.
        queries: the rows of q: a range, or sorted rows; None stands for the first rows.
        window: a query sees only keys at most ``window - 1`` positions before it (Mistral, Gemma).
        softcap: c in ``c * tanh(scores / c)``, applied to scores (Gemma 2).
        sinks: a logit for each head that takes part in the softmax and has no value (gpt-oss), so that masses add up to
            less than one.
        readout: the rows whose attention mass on spans is returned too.
        mass: what the mass is added to, in place; by default, zeros in float32 (in float64 for float64).
        impl: the implementation.

    Raises:
        KernelError: `impl` cannot run on these tensors. "auto" chooses one that can (`choose_implementation`).
    """
    if queries is None:
        queries = range(q.shape[1])
    if readout is not None and mass is None:
        dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
        mass = q.new_zeros(q.shape[0], *readout.spans.shape[:2], dtype=dtype)
    module = load_implementation(__package__, impl, get_args(Implementation), "blocked", q, k, v, sinks)
    return module.attend(q, k, v, tree, scale, queries, window, softcap, sinks, readout, mass)
