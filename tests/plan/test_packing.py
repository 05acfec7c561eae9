"""A plan by runs is the plan token by token, for any conditions, edits, structures and scaling lengths."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faithlens.errors import PlanError
from faithlens.model.structure import Structure
from faithlens.model.trace import Piece
from faithlens.plan import packing
from faithlens.plan.condition import Ablation, AblationKind, Component, Condition, Edit, KeyValuePatch, Knockout, Patch
from faithlens.plan.packing import PackedPass
from faithlens.plan.plan import compile_plan
from faithlens.plan.runs import Path
from tests.plan.naive import pack_naively

LENGTHS = (3, 2, 4, 1)  # of the pieces: the same in most conditions, so that edits fit
NAMES = ("prompt", "step 0", "step 1", "stem")
LAYERS = st.sampled_from([None, (0,), (1,), (2,), (1, 3)])
COMPONENTS: list[Component] = ["resid_pre", "z", "mlp_out"]
KINDS: list[AblationKind] = ["zero", "mean", "noise"]
STRUCTURES = [Structure(), Structure((("steps", 2), ("answer", 3)), (("answer", "question"), ("steps", "steps")))]


@st.composite
def conditions(draw: st.DrawFn) -> list[Condition]:
    out: list[Condition] = []
    for i in range(draw(st.integers(1, 7))):
        pieces = tuple(
            Piece(name, tuple(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))))
            for name, n in zip(NAMES, LENGTHS, strict=True)
        )
        if out and draw(st.booleans()):
            pieces = draw(st.sampled_from(out)).pieces
        if draw(st.integers(0, 3)) == 0:
            pieces = (*pieces[: draw(st.integers(1, len(pieces) - 1))], pieces[-1])
        options = tuple(draw(st.lists(st.tuples(st.integers(0, 3)), min_size=1, max_size=2, unique=True)))
        options += draw(st.sampled_from([(), ((4, 1),), ((4, 1, 2), (4, 2)), ((5, 0, 1),)]))
        condition = Condition(f"c{i}", pieces, options)
        names = [piece.name for piece in pieces]
        edits = [make_edit(draw, names, out) for _ in range(draw(st.integers(0, 3)))]
        donors = [None, *(other for other in out if len(other.ids) == len(condition.ids))]
        reference = draw(st.sampled_from(donors))
        edited = replace(condition, edits=tuple(e for e in edits if e is not None), reference=reference)
        out.append(edited if fits(edited) else condition)
    return out


def make_edit(draw: Any, names: list[str], donors: list[Condition]) -> Edit | None:
    layers = draw(LAYERS)
    kind = draw(st.sampled_from(["knockout", "ablation", *(("graft", "patch") if donors else ())]))
    span = draw(st.sampled_from(names))
    if kind == "knockout":
        return Knockout(draw(st.sampled_from(["answer", *names[1:]])), (draw(st.sampled_from(names[:-1])),), layers)
    if kind == "ablation":
        over = tuple(draw(st.lists(st.sampled_from(donors), max_size=2))) if donors else ()
        return Ablation(draw(st.sampled_from(COMPONENTS)), span, draw(st.sampled_from(KINDS)), layers, over=over)
    donor = draw(st.sampled_from(donors))
    if kind == "graft":
        return KeyValuePatch("answer", draw(st.sampled_from(names[:-1])), donor, layers)
    return Patch(draw(st.sampled_from(COMPONENTS)), span, donor, layers)


def fits(condition: Condition) -> bool:
    try:
        compile_plan([condition])
    except PlanError:
        return False
    return True


@settings(deadline=None, max_examples=300)
@given(conditions(), st.sampled_from(STRUCTURES), st.sampled_from([(), (9,), (5, 10)]), st.sampled_from([1, 3, 64]))
def test_rows_are_those_of_single_tokens(
    conditions: list[Condition], structure: Structure, scaling_lengths: tuple[int, ...], few_below: int
) -> None:
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packing, "FEW_BELOW", few_below)
            (packed,) = compile_plan(conditions, structure, scaling_lengths=scaling_lengths).passes
    except PlanError:  # a structure may leave a row without keys under a knockout
        return
    naive = pack_naively(conditions, structure, scaling_lengths, few_below)
    for name in ("ids", "depth", "places", "visible_until", "first_layers", "originals", "scales"):
        assert getattr(packed, name).tolist() == getattr(naive, name), name
    assert [[*packed.cuts[i]] for i in packed.mark_sets] == naive.cuts
    rows = [[(layers, [*range(*interval)]) for layers, interval in packed.grafts[i]] for i in packed.mark_sets]
    assert [join(own) for own in rows] == [join(own) for own in naive.grafts]
    paths = [[*placed.path] for placed in packed.placements]
    assert paths == [each[0][: len(c.ids)] for c, each in zip(conditions, naive.paths, strict=True)]
    for condition, placed, own in zip(conditions, packed.placements, naive.paths, strict=True):
        n = len(condition.ids)
        assert [[row for row, _ in reads] for reads in placed.reads] == [path[n - 1 :] for path in own]
        assert [tuple(token for _, token in reads) for reads in placed.reads] == list(condition.sequences)
    writes = [(w.edit, w.targets.tolist(), w.offsets.tolist(), w.sources.tolist()) for w in packed.overwrites]
    for level in sorted({level for level, *_ in naive.writes}):
        group = [tuple(write) for own, *write in naive.writes if own == level]
        assert sorted(writes[: len(group)], key=str) == sorted(group, key=str)
        writes = writes[len(group) :]
    assert not writes
    check_order(packed)


def check_order(packed: PackedPass) -> None:
    """Each row comes after all rows that it needs, and the rows of a layer are the first ones."""
    assert (np.diff(packed.first_layers) >= 0).all()
    for row, (place, until) in enumerate(zip(packed.places, packed.visible_until, strict=True)):
        below = (packed.places > place) & (packed.places < until)
        assert (below.nonzero()[0] > row).all()
    for written in packed.overwrites:
        if len(written.sources):
            last = written.sources if written.is_row_by_row else written.sources.max()
            assert (written.targets > last).all()
    for row, number in enumerate(packed.mark_sets):
        assert all(stop <= row for _, (_, stop) in packed.grafts[number])


def join(grafts: list[tuple]) -> list[tuple]:
    """Grafts row by row, since a graft may be listed in parts."""
    return [(layers, row) for layers, rows in grafts for row in rows]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda pair: (min(pair), max(pair))), max_size=5))
def test_a_path_has_the_rows_of_its_ranges(ranges: list[tuple[int, int]]) -> None:
    path, rows = Path.from_ranges(iter(ranges)), [row for start, stop in ranges for row in range(start, stop)]
    assert [*path] == rows
    assert len(path) == len(rows)
    assert [path[i] for i in range(-len(rows), len(rows))] == rows * 2
    for start in range(len(rows) + 1):
        for stop in range(start, len(rows) + 1):
            assert path[start:stop].tolist() == rows[start:stop] == [*path.take(start, stop)]
    assert all(a < b for a, b in path.ranges)
