"""A tree of runs: sequences that share prefixes, stored as few arrays instead of one node for each token.

1. A run is an array of symbols that follow each other. It goes on from a place in another run; run 0 is the empty root.
2. A new sequence is compared with a run by one comparison of arrays. Where it leaves the run, it follows the child that
   begins with its next symbol; if there is none, the rest of the sequence becomes a run (`RunTree.insert`).
3. Runs are laid out depth first, first-inserted children first. A run goes on before its children begin, since it was
   inserted before them, so its rows are neighbours; the children of its last symbols come first (`RunTree.lay_out`).
4. A path through the tree is a list of (run, number of its first symbols), and after the layout a few ranges of rows.
5. Rows may be stored in another order than they are laid out (`Storage`), in which their paths are a few ranges too.

For example, the sequences "a b c d", "a b x" and "a y"::

    run 1    a b c d    from the root
    run 2    x          after 2 symbols of run 1
    run 3    y          after 1 symbol of run 1

    row              0    1    2    3    4    5
    symbol           a    b    c    d    x    y
    run              1    1    1    1    2    3
    visible until    6    5    4    4    5    6
    "a b x" has the path (run 1, 2), (run 2, 1): the ranges of rows [0, 2) and [4, 5)
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, overload

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from faithlens.model.structure import Interval

Rows = Int[ndarray, "..."]  # packed rows, or a number for each packed row
Symbols = Int[ndarray, "..."]

TreePath = tuple[tuple[int, int], ...]
"""A sequence in the tree: numbers of runs, and how many of their first symbols belong to it."""


class ArrayRecord:
    """A dataclass with arrays; two are equal if all their fields are."""

    def _list_values(self) -> list[object]:
        values = (getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]
        return [value.tobytes() if isinstance(value, ndarray) else value for value in values]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._list_values() == other._list_values()

    def __hash__(self) -> int:
        return hash(tuple(self._list_values()))


@dataclass(frozen=True)
class Path:
    """The packed rows of a sequence, in its own order.

    Attributes:
        ranges: half-open ranges of packed rows, none of which is empty or begins where the one before it ends.
    """

    ranges: tuple[Interval, ...]

    @classmethod
    def from_ranges(cls, ranges: Iterator[Interval]) -> "Path":
        """The path of these ranges; neighbours are joined."""
        joined: list[Interval] = []
        for start, stop in ranges:
            if joined and joined[-1][1] == start:
                joined[-1] = joined[-1][0], stop
            elif start < stop:
                joined.append((start, stop))
        return cls(tuple(joined))

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(stop - start for start, stop in self.ranges))

    def __len__(self) -> int:
        return self._ends[-1] if self.ranges else 0

    def __iter__(self) -> Iterator[int]:
        for start, stop in self.ranges:
            yield from range(start, stop)

    @overload
    def __getitem__(self, item: int) -> int: ...
    @overload
    def __getitem__(self, item: slice) -> Rows: ...
    def __getitem__(self, item: int | slice) -> int | Rows:
        """The row at a position, or the rows at a slice of positions."""
        if isinstance(item, slice):
            start, stop, _ = item.indices(len(self))
            parts = [np.arange(a, b) for a, b in self.list_ranges(start, stop)]
            return parts[0] if len(parts) == 1 else np.concatenate(parts or [np.zeros(0, np.int64)])
        position = range(len(self))[item]
        number = bisect_right(self._ends, position)
        return self.ranges[number][1] - (self._ends[number] - position)

    def take(self, start: int, stop: int) -> "Path":
        """The path of the positions `start` to `stop - 1`."""
        return Path(tuple(self.list_ranges(start, stop)))

    def list_ranges(self, start: int, stop: int) -> list[Interval]:
        """The ranges of packed rows at the positions `start` to `stop - 1`."""
        out: list[Interval] = []
        number = bisect_right(self._ends, start)
        while start < stop:
            last, end = self.ranges[number][1], self._ends[number]
            out.append((last - (end - start), last - max(0, end - stop)))
            start, number = end, number + 1
        return out


class Layout(NamedTuple):
    """Where the runs of a tree lie in the packed row.

    Attributes:
        order: the runs in packed order.
        starts: the first row of each run, by its number.
        parents: the row that each run goes on from, by its number; -1 if there is none.
        symbols: the symbol of each row.
        depth: each row's position in its own sequence.
        visible_until: the row at which the subtree of each row ends.
    """

    order: list[int]
    starts: list[int]
    parents: list[int]
    symbols: Symbols
    depth: Rows
    visible_until: Rows

    def list_runs(self) -> Iterator[tuple[int, int, int]]:
        """Each run with its first row and the row after its last one, in packed order."""
        ends = [self.starts[run] for run in self.order[1:]] + [len(self.symbols)]
        return zip(self.order, (self.starts[run] for run in self.order), ends, strict=True)

    def find_path(self, path: TreePath) -> Path:
        """The packed rows of a path through the tree."""
        return Path.from_ranges((self.starts[run], self.starts[run] + count) for run, count in path)


class Storage:
    """The order in which the rows of a layout are stored.

    For example, four rows of which row 1 is stored last: ``order`` is (0, 2, 3, 1), ``rows`` is (0, 3, 1, 2), and the
    path of the ranges [0, 3) has the ranges [0, 1), [3, 4) and [1, 2).

    Attributes:
        order: for each stored row, its place in the layout.
        rows: for each place in the layout, the row that is stored.
    """

    def __init__(self, order: Rows) -> None:
        self.order = order
        self.rows = np.empty_like(order)
        self.rows[order] = np.arange(len(order))
        self._breaks = (np.diff(self.rows) != 1).nonzero()[0] + 1  # places that are not stored after the one before

    def store_path(self, path: Path) -> Path:
        """The stored rows of a path in the layout."""
        return Path.from_ranges(pair for start, stop in path.ranges for pair in self.store_range(start, stop))

    def store_range(self, start: int, stop: int) -> list[Interval]:
        """The ranges in which the places `start` to `stop - 1` are stored."""
        first, last = np.searchsorted(self._breaks, [start + 1, stop]).tolist()
        borders = [start, *self._breaks[first:last].tolist(), stop]
        starts = self.rows[borders[:-1]].tolist()
        return [(row, row + b - a) for row, a, b in zip(starts, borders, borders[1:], strict=False)]


class RunTree:
    """A growing tree of runs of symbols. A symbol is a number."""

    def __init__(self) -> None:
        self.symbols: list[Symbols] = [np.zeros(0, np.int64)]
        self.depth = [0]  # of the first symbol of each run
        self.parents = [(0, 0)]  # the run that each run goes on from, and after how many of its symbols
        self.children: list[dict[int, dict[int, int]]] = [{}]  # after how many symbols -> first symbol -> run
        self._n_rows = 0

    def __len__(self) -> int:
        return self._n_rows

    def insert(self, symbols: Symbols, after: TreePath = ((0, 0),)) -> TreePath:
        """The path of `symbols` below the end of the path `after`; the symbols that are missing become a new run."""
        *above, (run, at) = after
        while len(symbols):
            n = count_equal(self.symbols[run][at:], symbols)
            at, symbols = at + n, symbols[n:]
            if len(symbols):
                above.append((run, at))
                children = self.children[run].setdefault(at, {})
                child = children.get(int(symbols[0]))
                if child is None:
                    children[int(symbols[0])] = child = self._add_run(symbols, run, at)
                run, at = child, 0
        return (*above, (run, at))

    def _add_run(self, symbols: Symbols, parent: int, at: int) -> int:
        self.symbols.append(symbols.copy())  # a view would keep the whole sequence in memory
        self.depth.append(self.depth[parent] + at)
        self.parents.append((parent, at))
        self.children.append({})
        self._n_rows += len(symbols)
        return len(self.symbols) - 1

    def lay_out(self) -> Layout:
        """All runs in one row, depth first."""
        order, starts, ends, row, stack = list[int](), [0] * len(self.symbols), [0] * len(self.symbols), 0, [0]
        while stack:
            run = stack.pop()
            order.append(run)
            starts[run], row = row, row + len(self.symbols[run])
            ends[run] = row
            for _, children in sorted(self.children[run].items()):  # the last to be pushed is the first to be laid out
                stack.extend(reversed(children.values()))
        for run in reversed(order):
            parent, _ = self.parents[run]
            ends[parent] = max(ends[parent], ends[run])
        lengths, until = list[int](), list[int]()
        for run in order:
            done = 0
            for at, children in sorted(self.children[run].items()):
                lengths.append(at - done)
                until.append(ends[next(reversed(children.values()))])
                done = at
            lengths.append(len(self.symbols[run]) - done)
            until.append(starts[run] + len(self.symbols[run]))
        sizes, own = [len(self.symbols[run]) for run in order], [self.depth[run] - starts[run] for run in order]
        return Layout(
            order,
            starts,
            [starts[run] + at - 1 for run, at in self.parents],
            np.concatenate([self.symbols[run] for run in order]),
            np.arange(row) + np.repeat(np.array(own, np.int64), sizes),
            np.repeat(np.array(until, np.int64), lengths),
        )


def count_equal(a: Symbols, b: Symbols) -> int:
    """How many symbols two arrays begin with that are the same."""
    n = min(len(a), len(b))
    if not n or a[0] != b[0]:
        return 0
    unequal = a[:n] != b[:n]
    first = int(unequal.argmax())
    return first if unequal[first] else n
