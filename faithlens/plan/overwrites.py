"""The rows that edits overwrite, and the order in which they are written.

1. Each write of a row gets a level: one above the writes that it builds on. These are the writes of the same component
   and layer that come before it in the condition's list, on its own row, and all of them on the rows of its sources.
2. Rows of equal edits at the same level are overwritten together, level by level (`collect_overwrites`).
3. Rows get waves (`compute_waves`): a row that needs activations of a source runs in a later wave than the source.

For example, a condition zeroes the rows 3 and 4 and patches the rows 4 and 5, all of "mlp_out" in layer 0, and a second
condition has the same patch alone, of the rows 8 and 9::

    level 0    zero     rows 3 4
    level 0    patch    rows 5 8 9
    level 1    patch    row 4, which is zero by now
"""

from collections.abc import Sequence
from dataclasses import dataclass

from faithlens.model.structure import Interval
from faithlens.plan.condition import (
    Component,
    Condition,
    Layers,
    Mark,
    Overwrite,
    Patch,
    Write,
    is_active,
    list_averaged,
)

Heights = dict[tuple[Component, int | None], int]
"""For each component and layer of a row, the number of levels of its writes; None stands for a write in all layers."""


@dataclass(frozen=True)
class OverwrittenRows:
    """Rows that one edit overwrites, and the rows that its values come from.

    Attributes:
        edit: the edit.
        targets: the packed indices of the rows that are overwritten.
        offsets: the position of each target within the edited span.
        sources: for a `Patch`, one row for each target; for other edits, the rows that give the mean or the deviation.
    """

    edit: Overwrite
    targets: tuple[int, ...]
    offsets: tuple[int, ...]
    sources: tuple[int, ...]

    @property
    def is_row_by_row(self) -> bool:
        """Whether each target has its own source."""
        return isinstance(self.edit, Patch)


def collect_overwrites(
    marks: Sequence[tuple[Mark, ...]], paths: dict[Condition, list[list[int]]]
) -> list[OverwrittenRows]:
    """The rows that edits overwrite, level by level and edit by edit."""
    levels = Levels(marks, paths)
    for row in range(len(marks)):
        levels.climb(row)
    out = []
    for (_, edit), pairs in sorted(levels.rows.items(), key=lambda item: item[0][0]):
        targets, offsets = zip(*sorted(pairs), strict=True)
        sources = levels.find_sources(edit)
        own = tuple(sources[offset] for offset in offsets) if isinstance(edit, Patch) else sources
        out.append(OverwrittenRows(edit, targets, offsets, own))
    return out


class Levels:
    """The levels of all writes of a packed row.

    Attributes:
        rows: for each level and edit, the packed rows that are written, with their offsets in the edit's span.
    """

    def __init__(self, marks: Sequence[tuple[Mark, ...]], paths: dict[Condition, list[list[int]]]) -> None:
        self.rows: dict[tuple[int, Overwrite], list[tuple[int, int]]] = {}
        self._marks, self._paths = marks, paths
        self._heights: dict[int, Heights] = {}
        self._sources: dict[Overwrite, tuple[int, ...]] = {}
        self._averaged: dict[Overwrite, int] = {}

    def find_sources(self, edit: Overwrite) -> tuple[int, ...]:
        """The rows of an edit's sources: of a patch, those of the donor's span; else all whose mean is taken."""
        known = self._sources.get(edit)
        if known is not None:
            return known
        if isinstance(edit, Patch):
            rows = self._paths[edit.donor][0][slice(*edit.locate_source())]
        else:
            averaged = (self._paths[donor][0][: len(donor.ids)] for donor in list_averaged(edit))
            rows = sorted({row for path in averaged for row in path})
        self._sources[edit] = tuple(rows)
        return tuple(rows)

    def climb(self, row: int) -> Heights:
        """The heights of a row after all its writes."""
        if row not in self._heights:
            own = self._heights[row] = {}
            for mark in self._marks[row]:
                if isinstance(mark, Write):
                    edit, offset = mark
                    level = max(measure_height(own, edit), self._measure_sources(edit, offset))
                    own.update(dict.fromkeys(((edit.component, layer) for layer in edit.layers or (None,)), level + 1))
                    self.rows.setdefault((level, edit), []).append((row, offset))
        return self._heights[row]

    def _measure_sources(self, edit: Overwrite, offset: int) -> int:
        """The height of the sources of one row of an edit, where the edit writes."""
        if isinstance(edit, Patch):
            return measure_height(self.climb(self.find_sources(edit)[offset]), edit)
        height = self._averaged.get(edit)
        if height is None:  # all rows of the edit have the same sources
            heights = [measure_height(self.climb(row), edit) for row in self.find_sources(edit)]
            height = self._averaged[edit] = max(heights, default=0)
        return height


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


def compute_waves(
    parents: Sequence[int], grafts: Sequence[Sequence[tuple[Layers, Interval]]], overwrites: Sequence[OverwrittenRows]
) -> tuple[int, ...]:
    """The wave of each row: no lower than that of its parent, and higher than those of its sources.

    For example, with parents (-1, 0, 0), where row 1 reads row 2: row 2 has wave 0 and row 1 has wave 1. A row that is
    patched from row 1 has wave 2.
    """
    sources: dict[int, set[int]] = {}
    for i, row in enumerate(grafts):
        for _, interval in row:
            sources.setdefault(i, set()).update(range(*interval))
    for writing in overwrites:
        for i, target in enumerate(writing.targets):
            own = writing.sources[i : i + 1] if writing.is_row_by_row else writing.sources
            sources.setdefault(target, set()).update(own)
    out = [0] * len(parents)
    while True:  # a source may lie after its target: each round completes the next wave
        before = list(out)
        for i, parent in enumerate(parents):
            above = out[parent] if parent >= 0 else 0
            out[i] = max([above, *(out[source] + 1 for source in sources.get(i, ()))])
        if out == before:
            return tuple(out)
