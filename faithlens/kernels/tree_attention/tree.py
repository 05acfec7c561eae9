"""The geometry of a packed row: which keys each query sees, and which attention is read.

Sequences that share prefixes are stored once, in one row. Each token has a **place**: its number when the tree of
sequences is walked depth first. Then

    key k is visible to query q   iff   place[k] <= place[q] < visible_until[k]  and  depth[k] lies in none of hidden[q]
                                  or    k lies in one of grafts[q]
                                  and, in a layer that has a window,  depth[q] - depth[k] < window

`visible_until[k]` is the place at which the subtree below k ends; `depth` is a token's position in its own sequence. A
query has one ancestor at each depth, so hidden intervals and spans are given in depths. Rows may be stored in any order
in which ancestors come before their descendants.

For example, the sequences "a b c" and "a b d e", where e may not see depth 1, and where c is stored last::

    row                  0    1    2    3    4
    token                a    b    d    e    c
    place                0    1    3    4    2
    depth                0    1    2    3    2
    visible_until        5    5    5    5    3
    hidden               -    -    -    [1, 2)  -
    visible keys         a    ab   abd  ade  abc
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)  # hashed by identity: masks of a tree are cached with the tree as key
class Tree:
    """A packed row of tokens: plain data on the host, of which each kernel copies what it needs to its device.

    Attributes:
        depth: each token's position in its own sequence.
        places: each token's number when the tree is walked depth first.
        visible_until: the place at which the subtree of each token ends.
        hidden: half-open depth intervals that each query may not attend to; an empty interval hides nothing.
        grafts: half-open intervals of rows that each query sees although they are not its ancestors.
        borders: rows at which some calls begin or end; the work of all calls is cut there, and shared by them.
    """

    depth: Int[Tensor, " pos"]
    places: Int[Tensor, " pos"]
    visible_until: Int[Tensor, " pos"]
    hidden: Int[Tensor, "pos cut two"]
    grafts: Int[Tensor, "pos graft two"]
    borders: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.depth)

    def compute_visible(
        self, queries: Int[Tensor, " query"], keys: Int[Tensor, " key"], window: int | None = None
    ) -> Bool[Tensor, "query key"]:
        """Which of the rows `keys` are visible to each of the rows `queries`."""
        place, depth = self.places[queries][:, None], self.depth[keys]
        seen = (self.places[keys] <= place) & (place < self.visible_until[keys])
        for cut in self.hidden[queries].unbind(1):
            seen &= (depth < cut[:, :1]) | (depth >= cut[:, 1:])
        for graft in self.grafts[queries].unbind(1):
            seen |= (keys >= graft[:, :1]) & (keys < graft[:, 1:])
        if window is not None:
            seen &= self.depth[queries][:, None] - depth < window
        return seen


@dataclass(frozen=True, eq=False)
class Readout:
    """The part of the attention pattern that is returned: the mass of each reader on each of its spans.

    Attributes:
        rows: the queries that are read, those of one reader side by side.
        readers: the number of the reader that each of them belongs to, ascending.
        spans: half-open depth intervals of each reader, in the sequences of its rows; an empty interval has mass 0.
        counts: how many rows each reader has, those of other calls among them.
        reads_flow: whether the weighted values of each row's spans are returned too.
    """

    rows: Int[Tensor, " row"]
    readers: Int[Tensor, " row"]
    spans: Int[Tensor, "reader span two"]
    counts: Int[Tensor, " reader"]
    reads_flow: bool = False


class AttentionOutput(NamedTuple):
    """The result of tree attention.

    Attributes:
        out: the weighted values of each query.
        mass: for each reader, the fraction of its attention on each span, as a mean over its rows.
        flow: for each read row, the weighted values of each span.
    """

    out: Float[Tensor, "head query d_head"]
    mass: Float[Tensor, "head reader span"] | None = None
    flow: Float[Tensor, "head row span d_head"] | None = None


def list_rows(queries: "range | Int[Tensor, ' query']") -> Int[Tensor, " query"]:
    """The rows that `queries` stands for, as a tensor."""
    return torch.arange(queries.start, queries.stop) if isinstance(queries, range) else queries


def find_queries(queries: "range | Int[Tensor, ' query']", rows: Int[Tensor, " row"]) -> Int[Tensor, " row"]:
    """The number of each of `rows` among the queries."""
    return rows - queries.start if isinstance(queries, range) else torch.searchsorted(queries, rows.contiguous())


def pool_readers(
    shares: Float[Tensor, "head row span"], readout: Readout, mass: Float[Tensor, "head reader span"] | None
) -> Float[Tensor, "head reader span"]:
    """`mass`, after the shares of each reader's rows are added to it, divided by the number of its rows."""
    assert mass is not None
    parts = shares.detach().to(mass.dtype) / readout.counts[readout.readers].to(mass.device)[:, None]
    return mass.index_add_(1, readout.readers.to(mass.device), parts)


def find_candidates(tree: Tree, rows: Int[Tensor, " query"], window: int | None = None) -> Int[Tensor, " key"]:
    """The keys that some of the `rows` may see, when hidden intervals are ignored."""
    places = tree.places[rows].sort().values
    following = torch.searchsorted(places, tree.places).clamp_max(len(rows) - 1)  # the first place not before each key
    place = places[following]
    candidates = (place >= tree.places) & (place < tree.visible_until)
    for start, stop in tree.grafts[rows].reshape(-1, 2).unique(dim=0).tolist():
        candidates[start:stop] = True
    if window is not None:
        candidates &= tree.depth > tree.depth[rows].min() - window
    return candidates.nonzero()[:, 0]
