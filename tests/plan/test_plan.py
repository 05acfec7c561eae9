"""Plans without a model: properties of packed rows for any conditions."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.errors import PlanError
from faithlens.model.structure import Structure
from faithlens.model.trace import Piece
from faithlens.plan import packing
from faithlens.plan.condition import Condition, Knockout, Patch
from faithlens.plan.marks import Cut, mark_rows
from faithlens.plan.plan import Plan, compile_plan
from tests.conftest import call_unchecked

TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple)  # few tokens: many shared prefixes
STRUCTURE = Structure((("steps", 2), ("answer", 3)), (("answer", "question"),))


@st.composite
def conditions(draw: st.DrawFn) -> list[Condition]:
    out = []
    for i in range(draw(st.integers(1, 6))):
        pieces = [Piece(f"step {j}", draw(TOKENS)) for j in range(draw(st.integers(1, 3)))] + [
            Piece("stem", draw(TOKENS))
        ]
        options = tuple(draw(st.lists(TOKENS, min_size=1, max_size=3, unique=True)))
        knockouts = (Knockout("stem", ("step 0",)),) if draw(st.booleans()) else ()
        out.append(Condition(f"condition {i}", tuple(pieces), options, knockouts))
    return out


def ancestors(plan: Plan, number: int, row: int) -> list[int]:
    """The packed indices that a row sees if nothing is hidden, in order."""
    until = plan.passes[number].visible_until
    return [k for k in range(row + 1) if row < until[k]]


@given(conditions(), st.integers(40, 80))
def test_every_condition_is_found_again_in_its_own_coordinates(conditions: list[Condition], budget: int) -> None:
    plan = compile_plan(conditions, STRUCTURE, budget=budget)
    seen = []
    for number, packed in enumerate(plan.passes):
        assert len(packed.ids) <= budget
        for placed in packed.placements:
            condition = conditions[placed.index]
            seen.append(placed.index)
            assert tuple(packed.ids[placed.path[:]]) == condition.ids
            assert tuple(packed.depth[placed.path[:]]) == tuple(range(len(condition.ids)))
            marks = [[(m.layers, (m.start, m.stop)) for m in row] for row in mark_rows(condition, STRUCTURE)]
            assert [list(packed.cuts[packed.mark_sets[i]]) for i in placed.path] == marks
            # no token is visible that is not an ancestor, and every ancestor is
            assert ancestors(plan, number, placed.path[-1]) == list(placed.path)
            for option, reads in zip(condition.options, placed.reads, strict=True):
                assert tuple(token for _, token in reads) == option
                last = ancestors(plan, number, reads[-1][0])
                assert tuple(packed.ids[i] for i in last) == condition.ids + option[:-1]
    assert seen == list(range(len(conditions)))


@given(conditions())
def test_one_row_holds_each_distinct_prefix_once(conditions: list[Condition]) -> None:
    plan = compile_plan(conditions, STRUCTURE, budget=10_000)
    prefixes = set()
    for c in conditions:
        for option in c.options:
            symbols = list(zip(c.ids + option[:-1], mark_rows(c, STRUCTURE, option[:-1]), strict=True))
            prefixes |= {tuple(symbols[: i + 1]) for i in range(len(symbols))}
    assert plan.tokens == len(prefixes)


@given(conditions(), st.integers(0, 99))
def test_order_of_conditions_changes_no_cost(conditions: list[Condition], seed: int) -> None:
    shuffled = random.Random(seed).sample(conditions, len(conditions))
    assert compile_plan(shuffled).tokens == compile_plan(conditions).tokens
    assert hash(compile_plan(conditions)) == hash(compile_plan(conditions))


def test_a_truncation_sweep_costs_the_trunk_and_the_stems() -> None:
    prompt, stem = Piece("prompt", tuple(range(120))), Piece("stem", (1000, 1001))
    steps = [Piece(f"step {i}", tuple(range(200 + 20 * i, 220 + 20 * i))) for i in range(12)]
    sweep = [Condition(f"cut@{t}", (prompt, *steps[:t], stem), ((7,), (8,))) for t in range(13)]
    plan = compile_plan(sweep)
    assert plan.tokens == 120 + 12 * 20 + 13 * 2
    assert plan.tokens_separately == sum(120 + 20 * t + 2 for t in range(13))
    assert plan.describe() == "13 conditions in 1 pass: 386 tokens instead of 3,146 (88% saved)"


def test_a_knockout_parts_only_the_rows_that_feel_it() -> None:
    pieces = (Piece("prompt", (1, 2, 3)), Piece("step 0", (4, 5)), Piece("stem", (6, 7)))
    clean = Condition("full", pieces, ((8,),))
    cut = Condition("knockout", pieces, ((8,),), (Knockout("stem", ("step 0",)),))
    plan = compile_plan([clean, cut])
    assert plan.tokens == 3 + 2 + 2 + 2
    assert mark_rows(cut, Structure())[-2:] == [(Cut(None, 3, 5),)] * 2


@pytest.mark.parametrize(
    ("condition", "limits", "words"),
    [
        (Condition("a", (Piece("stem", (1, 2)),), ()), {}, "no option to score"),
        (Condition("a", (Piece("stem", (1,) * 9),), ((1,),)), {"context_length": 8}, "reads at most 8"),
        (Condition("a", (Piece("stem", (1,)),), ((1,),), (Knockout("stem", ("step 9",)),)), {}, "no piece 'step 9'"),
    ],
)
def test_refusals_say_what_was_found(condition: Condition, limits: dict, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        compile_plan([condition], **limits)


def test_a_condition_beyond_the_budget_has_a_row_of_its_own() -> None:
    short, long = (Condition(str(n), (Piece("stem", (n,) * n),), ((1,),)) for n in (2, 9))
    assert [len(packed.ids) for packed in compile_plan([short, short, long, short], budget=8).passes] == [2, 9, 2]


def test_structure_hides_whole_sections() -> None:
    # question 9 9, steps open at 2, answer opens at 3
    assert STRUCTURE.list_hidden([9, 9, 2, 5, 3, 7]) == [(), (), (), (), ((0, 2),), ((0, 2),)]
    assert Structure((("steps", 2), ("answer", 3)), (("answer", "steps"),)).list_hidden([9, 2, 5, 3]) == [
        (),
        (),
        (),
        ((1, 3),),
    ]


def test_a_single_condition_and_single_tokens_are_refused_with_what_to_write() -> None:
    condition = Condition("a", (Piece("stem", (1, 2)),), ((3,),))
    with pytest.raises(
        PlanError, match=r"a list of conditions is needed, got the single condition 'a'\s.*\[condition\]"
    ):
        call_unchecked(compile_plan, condition)
    object.__setattr__(condition, "options", (3, 4))  # as a caller without a type checker could
    with pytest.raises(PlanError, match="must be a sequence of tokens"):
        compile_plan([condition])


def test_no_piece_has_the_name_of_the_answer_position() -> None:
    with pytest.raises(PlanError, match="name of the answer position"):
        compile_plan([Condition("a", (Piece("answer", (1, 2)),), ((3,),))])


def test_the_example_of_packing_is_right() -> None:
    def pieces(step: int) -> tuple[Piece, ...]:
        return Piece("prompt", (1,)), Piece("step 0", (step,)), Piece("stem", (4,))

    clean, donor = Condition("clean", pieces(2), ((7,),)), Condition("donor", pieces(3), ((7,),))
    cut = Condition("cut", pieces(2), ((7,),), (Knockout("answer", ("step 0",)),))
    patched = Condition("patched", pieces(2), ((7,),), (Patch("resid_pre", "step 0", donor, layers=(2,)),))
    (packed,) = compile_plan([clean, cut, patched]).passes
    rows = (packed.ids, packed.places, packed.depth, packed.visible_until, packed.first_layers, packed.originals)
    table = [line.split()[-8:] for line in str(packing.__doc__).partition("row    ")[2].splitlines()[1:7]]
    assert table == [[str(number) for number in row] for row in rows]
    assert [[*placement.path] for placement in packed.placements] == [[0, 1, 2], [0, 1, 3], [0, 6, 7]]
