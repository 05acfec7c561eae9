"""The rows that edits overwrite, and the order in which they are written.

1. Each write of a row gets a level: one above the writes that it builds on. These are the writes of the same component
   and layer that come before it in the condition's list, on its own row, and all of them on the rows of its sources.
   Rows with the same marks whose sources are alike have the same levels, so levels are found for all of them at once.
2. Rows of equal edits at the same level are overwritten together, level by level (`collect_overwrites`).
3. A row needs the rows that its values or keys come from (`list_needs`). It joins no sooner than they do
   (`join_in_time`), and stands in a later wave than they (`compute_waves`).

For example, a condition zeroes the rows 3 and 4 and patches the rows 4 and 5, all of "mlp_out" in layer 0, and a second
condition has the same patch alone, of the rows 8 and 9::

    level 0    zero     rows 3 4
    level 0    patch    rows 5 8 9
    level 1    patch    row 4, which is zero by now
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from faithlens.model.structure import Interval
from faithlens.plan.condition import Component, Condition, Overwrite, Patch, is_active, list_averaged
from faithlens.plan.marks import Write
from faithlens.plan.runs import ArrayRecord, Layout, Path, Rows, Storage

Heights = dict[tuple[Component, int | None], int]
"""For each component and layer of a row, the number of levels of its writes; None stands for a write in all layers."""


@dataclass(frozen=True, eq=False)
class OverwrittenRows(ArrayRecord):
    """Rows that one edit overwrites, and the rows that its values come from.

    Attributes:
        edit: the edit.
        targets: the packed indices of the rows that are overwritten.
        offsets: the position of each target within the edited span.
        sources: for a `Patch`, one row for each target; for other edits, the rows that give the mean or the deviation.
    """

    edit: Overwrite
    targets: Rows
    offsets: Rows
    sources: Rows

    @property
    def is_row_by_row(self) -> bool:
        """Whether each target has its own source."""
        return isinstance(self.edit, Patch)

    def store(self, storage: Storage) -> "OverwrittenRows":
        """The same rows, as they are stored."""
        targets, sources = storage.rows[self.targets], storage.rows[self.sources]
        order = targets.argsort(kind="stable")
        sources = sources[order] if self.is_row_by_row else np.sort(sources)
        return OverwrittenRows(self.edit, targets[order], self.offsets[order], sources)


@dataclass(frozen=True)
class MarkedRows:
    """The rows of each set of marks.

    Attributes:
        sets: the sets of marks; set 0 is empty.
        numbers: the number of the set of each row.
        rows: the rows of each set but set 0.
    """

    sets: Sequence[tuple[object, ...]]
    numbers: Rows
    rows: Mapping[int, Rows]

    @classmethod
    def group(cls, sets: Sequence[tuple[object, ...]], numbers: Rows) -> "MarkedRows":
        """Group rows by the numbers of their sets."""
        marked = numbers.nonzero()[0]
        marked = marked[numbers[marked].argsort(kind="stable")]
        own = numbers[marked]
        groups = np.split(marked, (own[1:] != own[:-1]).nonzero()[0] + 1) if len(marked) else []
        return cls(sets, numbers, {int(numbers[group[0]]): group for group in groups})


def collect_overwrites(
    marked: MarkedRows, depth: Rows, paths: Mapping[Condition, Sequence[Path]]
) -> list[OverwrittenRows]:
    """The rows that edits overwrite, level by level and edit by edit."""
    levels = Levels(marked, depth, paths)
    for number in sorted(marked.rows):
        levels.climb(number)
    out = []
    for (_, edit), parts in sorted(levels.rows.items(), key=lambda item: item[0][0]):
        targets, offsets = (np.concatenate(each) for each in zip(*parts, strict=True))
        order = targets.argsort(kind="stable")
        sources = levels.find_sources(edit)
        own = sources[offsets[order]] if isinstance(edit, Patch) else sources
        out.append(OverwrittenRows(edit, targets[order], offsets[order], own))
    return out


class Levels:
    """The levels of all writes of a packed row.

    Attributes:
        rows: for each level and edit, the packed rows that are written, with their offsets in the edit's span.
    """

    def __init__(self, marked: MarkedRows, depth: Rows, paths: Mapping[Condition, Sequence[Path]]) -> None:
        self.rows: dict[tuple[int, Overwrite], list[tuple[Rows, Rows]]] = {}
        self._marked, self._depth, self._paths = marked, depth, paths
        self._kinds: list[Heights] = [{}]  # the different heights of rows; kind 0 has no write
        self._kind_numbers: dict[object, int] = {frozenset(): 0}
        self._kind_of = np.zeros(len(depth), np.int64)
        self._climbed: set[int] = set()
        self._sources: dict[Overwrite, Rows] = {}
        self._averaged: dict[Overwrite, int] = {}

    def find_sources(self, edit: Overwrite) -> Rows:
        """The rows of an edit's sources: of a patch, those of the donor's span; else all whose mean is taken."""
        rows = self._sources.get(edit)
        if rows is None:
            if isinstance(edit, Patch):
                rows = self._paths[edit.donor][0][slice(*edit.locate_source())]
            else:
                averaged = [self._paths[donor][0][: donor.n_tokens] for donor in list_averaged(edit)]
                rows = np.unique(np.concatenate(averaged)) if averaged else np.zeros(0, np.int64)
            self._sources[edit] = rows
        return rows

    def climb(self, number: int) -> None:
        """Find the levels of all writes of the rows with one set of marks, after those of their sources."""
        writes = [mark for mark in self._marked.sets[number] if isinstance(mark, Write)]
        if number in self._climbed or not writes:
            return
        self._climbed.add(number)
        parts: list[tuple[Rows, Heights]] = [(self._marked.rows[number], {})]
        for write in writes:
            parts = [part for rows, own in parts for part in self._write(write, rows, own)]
        for rows, own in parts:
            key = frozenset(own.items())
            if key not in self._kind_numbers:
                self._kind_numbers[key] = len(self._kinds)
                self._kinds.append(own)
            self._kind_of[rows] = self._kind_numbers[key]

    def _write(self, write: Write, rows: Rows, own: Heights) -> list[tuple[Rows, Heights]]:
        """The rows in parts whose sources are alike, each part with its heights after the write."""
        edit, offsets = write.edit, self._depth[rows] - write.start
        out = []
        for part, height in self._split_by_sources(edit, offsets):
            level = max(measure_height(own, edit), height)
            self.rows.setdefault((level, edit), []).append((rows[part], offsets[part]))
            new = dict.fromkeys(((edit.component, layer) for layer in edit.layers or (None,)), level + 1)
            out.append((rows[part], own | new))
        return out

    def _split_by_sources(self, edit: Overwrite, offsets: Rows) -> list[tuple[slice | Rows, int]]:
        """Which of the rows at `offsets` have sources alike, and the height of these sources where the edit writes."""
        if isinstance(edit, Patch):
            kinds = self._find_kinds(self.find_sources(edit)[offsets])
            different = np.unique(kinds)
            if len(different) == 1:
                return [(slice(None), measure_height(self._kinds[kinds[0]], edit))]
            return [((kinds == kind).nonzero()[0], measure_height(self._kinds[kind], edit)) for kind in different]
        height = self._averaged.get(edit)
        if height is None:  # all rows of the edit have the same sources
            kinds = np.unique(self._find_kinds(self.find_sources(edit)))
            height = self._averaged[edit] = max((measure_height(self._kinds[kind], edit) for kind in kinds), default=0)
        return [(slice(None), height)]

    def _find_kinds(self, rows: Rows) -> Rows:
        """The kind of heights of each row, once all its writes have levels."""
        for number in np.unique(self._marked.numbers[rows]).tolist():
            self.climb(number)
        return self._kind_of[rows]


def measure_height(heights: Heights, edit: Overwrite) -> int:
    """The number of levels of a row where `edit` writes: in its component, in some of its layers."""
    if not heights:
        return 0
    return max(
        (
            height
            for (component, layer), height in heights.items()
            if component == edit.component and (layer is None or is_active(edit.layers, layer))
        ),
        default=0,
    )


class Need(NamedTuple):
    """Rows that need other rows: `targets[i]` needs `sources[i]`, or each target needs all sources."""

    targets: Rows
    sources: Rows
    is_row_by_row: bool


def list_needs(overwrites: Sequence[OverwrittenRows], grafted: Sequence[tuple[Rows, Sequence[Interval]]]) -> list[Need]:
    """Which rows need which.

    Args:
        overwrites: the rows that edits overwrite, with their sources.
        grafted: rows, and the intervals of rows whose keys and values they read.
    """
    needs = [Need(each.targets, each.sources, each.is_row_by_row) for each in overwrites if len(each.sources)]
    return needs + [
        Need(rows, np.concatenate([np.arange(*interval) for interval in intervals]), False)
        for rows, intervals in grafted
    ]


def join_in_time(layout: Layout, needs: Sequence[Need], first_layers: Rows) -> Rows:
    """First layers so that a row has joined in every layer in which others need it, or rows below it see its keys."""
    if not first_layers.any():
        return first_layers
    out = first_layers.copy()
    while True:  # what needs a row may itself be needed earlier
        before = out.copy()
        for targets, sources, is_row_by_row in needs:
            if is_row_by_row:
                np.minimum.at(out, sources, out[targets])
            else:
                out[sources] = np.minimum(out[sources], out[targets].min())
        for run, start, stop in reversed(list(layout.list_runs())):  # the runs that go on from a run follow it
            if start < stop:
                own = out[start:stop][::-1]
                np.minimum.accumulate(own, out=own)
                parent = layout.parents[run]
                if parent >= 0:
                    out[parent] = min(out[parent], out[start])
        if np.array_equal(out, before):
            return out


def compute_waves(layout: Layout, needs: Sequence[Need]) -> Rows:
    """The wave of each row: no lower than that of its parent, and higher than those of the rows that it needs.

    For example, with rows whose parents are (-1, 0, 0), where row 1 reads row 2: row 2 has wave 0 and row 1 has wave 1.
    A row that is patched from row 1 has wave 2.
    """
    out = np.zeros(len(layout.symbols), np.int64)
    while needs:  # a source may lie after its target: each round completes the next wave
        before = out.copy()
        for targets, sources, is_row_by_row in needs:
            above = out[sources] if is_row_by_row else out[sources].max()
            out[targets] = np.maximum(out[targets], above + 1)
        for run, start, stop in layout.list_runs():
            if layout.parents[run] >= 0:
                out[start] = max(out[start], out[layout.parents[run]])
            np.maximum.accumulate(out[start:stop], out=out[start:stop])
        if np.array_equal(out, before):
            break
    return out
