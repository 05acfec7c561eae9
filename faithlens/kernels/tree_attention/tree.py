"""The geometry of a packed row: which keys each query sees, and which attention is read.

Sequences that share prefixes are laid out once, depth first, in one row. Then

    key k is visible to query q   iff   k <= q < visible_until[k]  and  depth[k] lies in none of hidden[q]
                                  or    k lies in one of grafts[q]
                                  and, in a layer that has a window,  depth[q] - depth[k] < window

`visible_until[k]` is the end of the subtree below k; `depth` is a token's position in its own sequence. A query has one
ancestor at each depth, so hidden intervals and spans are given in depths.

For example, the sequences "a b c" and "a b d e", where e may not see depth 1::

    row                  0    1    2    3    4
    token                a    b    c    d    e
    depth                0    1    2    2    3
    visible_until        5    5    3    5    5
    hidden               -    -    -    -    [1, 2)
    visible keys         a    ab   abc  abd  ade
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)  # hashed by identity: masks of a tree are cached with the tree as key
class Tree:
    """A packed row of tokens.

    Attributes:
        depth: each token's position in its own sequence.
        visible_until: packed index at which the subtree of each token ends.
        hidden: half-open depth intervals that each query may not attend to; an empty interval hides nothing.
        grafts: half-open packed intervals that each query sees although they are not its ancestors.
    """

    depth: Int[Tensor, " pos"]
    visible_until: Int[Tensor, " pos"]
    hidden: Int[Tensor, "pos cut two"]
    grafts: Int[Tensor, "pos graft two"]

    def __len__(self) -> int:
        return len(self.depth)

    @cached_property
    def all_rows(self) -> Int[Tensor, " pos"]:
        """All packed indices: the queries of a call without `queries`."""
        return torch.arange(len(self), device=self.depth.device)

    def compute_visible(
        self, queries: Int[Tensor, " query"], keys: Int[Tensor, " key"], window: int | None = None
    ) -> Bool[Tensor, "query key"]:
        """Which of `keys` are visible to each of `queries`; both are packed indices."""
        q, k = queries[:, None], keys[None, :]
        depth = self.depth[keys]
        seen = (k <= q) & (q < self.visible_until[keys])
        for cut in self.hidden[queries].unbind(1):
            seen &= (depth < cut[:, :1]) | (depth >= cut[:, 1:])
        for graft in self.grafts[queries].unbind(1):
            seen |= (k >= graft[:, :1]) & (k < graft[:, 1:])
        if window is not None:
            seen &= self.depth[queries][:, None] - depth < window
        return seen


@dataclass(frozen=True, eq=False)
class Readout:
    """The part of the attention pattern that is returned: the mass of each row on each of its spans.

    Attributes:
        rows: packed indices of the queries that are read.
        spans: half-open depth intervals in each row's own sequence; an empty interval has mass 0.
        reads_flow: whether the weighted values of each span are returned too.
    """

    rows: Int[Tensor, " row"]
    spans: Int[Tensor, "row span two"]
    reads_flow: bool = False


class AttentionOutput(NamedTuple):
    """The result of tree attention.

    Attributes:
        out: the weighted values of each query.
        mass: for each read row, the fraction of its attention on each span.
        flow: for each read row, the weighted values of each span.
    """

    out: Float[Tensor, "head query d_head"]
    mass: Float[Tensor, "head row span"] | None = None
    flow: Float[Tensor, "head row span d_head"] | None = None


def find_candidates(tree: Tree, rows: Int[Tensor, " query"], window: int | None = None) -> Int[Tensor, " key"]:
    """The keys that some of the sorted `rows` may see, when hidden intervals are ignored."""
    everywhere = torch.arange(len(tree), device=rows.device)
    following = torch.searchsorted(rows, everywhere).clamp_max(len(rows) - 1)  # the first row not before each key
    row = rows[following]
    candidates = (row >= everywhere) & (row < tree.visible_until)
    for start, stop in tree.grafts[rows].reshape(-1, 2).unique(dim=0).tolist():
        candidates[start:stop] = True
    if window is not None:
        candidates &= tree.depth > tree.depth[rows].min() - window
    return candidates.nonzero()[:, 0]
