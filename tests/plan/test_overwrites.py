"""The order in which rows are overwritten, without a model."""

from dataclasses import replace

from faithlens.model.trace import Piece
from faithlens.plan import overwrites
from faithlens.plan.condition import Ablation, Condition, KeyValuePatch, Overwrite, Patch
from faithlens.plan.packing import PackedPass
from faithlens.plan.plan import compile_plan


def make_condition(name: str, first: int, *edits: Overwrite | KeyValuePatch) -> Condition:
    pieces = (Piece("prompt", (first, 2, 3)), Piece("step 0", (4, 5, 6)), Piece("stem", (7,)))
    return Condition(name, pieces, ((8,),), edits)


DONOR = make_condition("donor", 9)


def list_writes(packed: PackedPass) -> list[tuple[Overwrite, list[int]]]:
    """Each write in order, with the positions of its rows in their own sequences."""
    return [(each.edit, [packed.depth[i] for i in each.targets]) for each in packed.overwrites]


def test_the_example_is_right() -> None:
    zero = Ablation("mlp_out", (3, 5), "zero", layers=(0,), over=(DONOR,))
    patch = Patch("mlp_out", (4, 6), DONOR, layers=(0,))
    (packed,) = compile_plan([make_condition("both", 1, zero, patch), make_condition("one", 0, patch)]).passes
    assert list_writes(packed) == [(zero, [3, 4]), (patch, [5, 4, 5]), (patch, [4])]
    table = [line.split() for line in str(overwrites.__doc__).splitlines() if line.startswith("    level")]
    assert [line[1:3] for line in table] == [["0", "zero"], ["0", "patch"], ["1", "patch"]]
    assert [[n.rstrip(",") for n in line[4:] if n.rstrip(",").isdigit()] for line in table] == [
        ["3", "4"],
        ["5", "8", "9"],
        ["4"],
    ]


def test_edits_of_one_row_have_levels_if_they_write_the_same_place() -> None:
    def patch(component: overwrites.Component, *layers: int) -> Patch:
        return Patch(component, "step 0", DONOR, layers or None)

    z0, z1, z, mlp0, mlp = patch("z", 0), patch("z", 1), patch("z"), patch("mlp_out", 0), patch("mlp_out")
    for edits, order in (
        ((z0, z1, z0, mlp0), (z0, z1, mlp0, z0)),
        ((z0, z, z1), (z0, z, z1)),
        ((z, z0, mlp, mlp0), (z, mlp, z0, mlp0)),
        ((patch("z", 0, 1), patch("z", 1, 2), z0), (patch("z", 0, 1), patch("z", 1, 2), z0)),
        ((mlp, mlp, mlp), (mlp, mlp, mlp)),
    ):
        (packed,) = compile_plan([make_condition("c", 1, *edits)]).passes
        assert list_writes(packed) == [(edit, [3, 4, 5]) for edit in order]


def test_an_edit_of_many_conditions_is_written_at_once() -> None:
    """Edits that do not overlap cost one write for each edit, whatever their order and however many conditions."""
    one, two = Patch("mlp_out", (3, 4), DONOR, layers=(0,)), Patch("mlp_out", (5, 6), DONOR, layers=(0,))
    third, fourth = Patch("z", (3, 6), DONOR, layers=(0, 1)), Ablation("mlp_out", (1, 5), "zero", (1,), over=(DONOR,))
    orders = [(one, two, third), (two, third, one, fourth), (fourth, third, one), (two,)]
    conditions = [make_condition(str(i), i, *edits) for i, edits in enumerate(orders)]
    (packed,) = compile_plan(conditions).passes
    assert {each.edit for each in packed.overwrites} == {one, two, third, fourth}
    assert len(packed.overwrites) == 4


def test_sources_are_written_before_they_are_read() -> None:
    zero = Ablation("resid_pre", "step 0", "zero", layers=(1,), over=(DONOR,))
    source = replace(DONOR, name="source", edits=(zero,))
    reads = Patch("resid_pre", "step 0", source, layers=(1,), amount=0.5)
    averages = Ablation("resid_pre", (4, 5), "mean", layers=(1,), over=(source, DONOR))
    apart = Patch("resid_pre", "stem", source, layers=(0, 2))  # no source of it is written in these layers
    conditions = [
        make_condition("a", 1, apart),
        make_condition("b", 1, reads, zero),
        make_condition("c", 1, averages),
        source,
    ]
    (packed,) = compile_plan(conditions).passes
    writes = list_writes(packed)
    assert sorted(writes[:2], key=str) == sorted([(zero, [3, 4, 5]), (apart, [6])], key=str)
    assert sorted(writes[2:4], key=str) == sorted([(reads, [3, 4, 5]), (averages, [4])], key=str)
    assert writes[4:] == [(zero, [3, 4, 5])]
