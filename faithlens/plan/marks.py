"""Marks: what the edits of a condition do to each row of its sequence. Packing compares them row by row.

1. Each edit gives marks to a range of rows: a knockout gives `Cut`s, a key-value patch a `Graft`, an edit that writes
   activations a `Write`. Edges that the structure of the model forbids are `Cut`s too.
2. The sequence is divided where a range begins or ends. All rows between two borders have the same marks: a `Stretch`.

For example, the pieces and two of the edits that the docstring of `plan.condition` shows::

    rows         0, 1, 2    3, 4                     5
    marks        none       Write (of the patch)     Cut(3, 5) (of the knockout)
    stretches    0 to 3     3 to 5                   5 to 6
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from faithlens.model.structure import Interval, Structure
from faithlens.plan.condition import Condition, Edit, Knockout, Layers, Overwrite


class Cut(NamedTuple):
    """A row does not see the positions `start` to `stop - 1` of its own sequence in `layers`."""

    layers: Layers
    start: int
    stop: int


class Graft(NamedTuple):
    """A row sees the keys of `donor` at the positions `start` to `stop - 1` in place of its own, in `layers`."""

    layers: Layers
    start: int
    stop: int
    donor: Condition


class Write(NamedTuple):
    """The activations of a row are overwritten; the edit's first row is at the position `start`."""

    edit: Overwrite
    start: int

    @property
    def layers(self) -> Layers:
        """The blocks in which the row is overwritten."""
        return self.edit.layers


class Scaled(NamedTuple):
    """The first row of a sequence that is longer than `scale` of the model's scaling lengths."""

    scale: int


Mark = Cut | Graft | Write


class Stretch(NamedTuple):
    """The positions `start` to `stop - 1` of a sequence, whose rows all have the same marks.

    Attributes:
        start: the first position.
        stop: the position after the last one.
        hidden: the edges that the structure of the model forbids.
        edited: the marks of the edits, in the order of the edits.
    """

    start: int
    stop: int
    hidden: tuple[Mark, ...]
    edited: tuple[Mark, ...]

    @property
    def marks(self) -> tuple[Mark, ...]:
        """All marks of each row."""
        return self.hidden + self.edited


def list_stretches(condition: Condition, structure: Structure, tail: Sequence[int] = ()) -> list[Stretch]:
    """The stretches of the sequence of a condition, in order.

    Args:
        condition: the condition.
        structure: the edges that the model was trained without.
        tail: tokens of an option after the sequence.
    """
    n = condition.n_tokens + len(tail)
    hidden = structure.list_stretches(condition.ids + tuple(tail)) if structure.forbidden else [(0, n, ())]
    placed = [
        (*_locate_edit(condition, edit, n), _mark_edit(condition, edit))
        for edit in map(condition.complete, condition.edits)
    ]
    borders = {start for start, *_ in hidden} | {x for start, stop, _ in placed for x in (start, stop)}
    ends = sorted(borders | {0, n})
    own: list[list[Mark]] = [[] for _ in ends]
    for start, stop, marks in placed:
        for i in range(bisect_left(ends, start), bisect_left(ends, stop)):
            own[i].extend(marks)
    out, sections = list[Stretch](), iter(hidden)
    section = next(sections)
    for start, stop, edited in zip(ends, ends[1:], own, strict=False):
        while start >= section[1]:
            section = next(sections)
        out.append(Stretch(start, stop, tuple(Cut(None, a, b) for a, b in section[2]), tuple(edited)))
    return out


def mark_rows(condition: Condition, structure: Structure, tail: Sequence[int] = ()) -> list[tuple[Mark, ...]]:
    """The marks of each row, and of the rows of an option's `tail`: forbidden edges of the structure, and edits."""
    stretches = list_stretches(condition, structure, tail)
    return [stretch.marks for stretch in stretches for _ in range(stretch.start, stretch.stop)]


def _locate_edit(condition: Condition, edit: Edit, n_tokens: int) -> Interval:
    """The rows that an edit marks, in a sequence of `n_tokens`."""
    if isinstance(edit, Overwrite):
        return condition.locate(edit.span)
    return condition.locate_reader(edit.reader, n_tokens)


def _mark_edit(condition: Condition, edit: Edit) -> list[Mark]:
    """The marks that an edit gives to each of its rows."""
    if isinstance(edit, Overwrite):
        return [Write(edit, condition.locate(edit.span)[0])]
    if isinstance(edit, Knockout):
        return [Cut(edit.layers, *condition.locate(name)) for name in edit.read]
    return [Graft(edit.layers, *condition.locate(edit.read), edit.donor)]
