"""Attention over a packed trie that returns its output and, for chosen rows, its mass on spans."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from faithlens.kernels.tree_attention import blocked, reference
from faithlens.kernels.tree_attention.tree import Readout, Tree

Implementation = Literal["blocked", "reference"]
IMPLEMENTATIONS = {"blocked": blocked.attend, "reference": reference.attend}


def tree_attention(
    q: Float[Tensor, "head pos d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    v: Float[Tensor, "kv_head pos d_head"],
    tree: Tree,
    scale: float,
    window: int | None = None,
    readout: Readout | None = None,
    impl: Implementation = "blocked",
) -> tuple[Float[Tensor, "head pos d_head"], Float[Tensor, "head row span"] | None]:
    """Softmax attention of every packed token over its visible ancestors (see `tree.py`).

    Query head h reads key/value head ``h // (head / kv_head)``. `scale` multiplies the scores. With a `readout`, the
    second result is, for each head and read row, the fraction of attention that falls on each span; else None.
    """
    return IMPLEMENTATIONS[impl](q, k, v, tree, scale, window, readout)
