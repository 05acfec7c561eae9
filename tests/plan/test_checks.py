"""Conditions that are refused, by the same check for both backends and before anything runs."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.errors import PlanError
from faithlens.execution.execute import execute
from faithlens.execution.options import BACKENDS, Backend
from faithlens.model.structure import Structure
from faithlens.model.trace import Piece
from faithlens.plan.capture import Capture, Site
from faithlens.plan.checks import check_counts, check_places, check_visibility, list_windows
from faithlens.plan.condition import Ablation, Apply, Condition, Edit, KeyValuePatch, Knockout, Layers, Patch
from faithlens.plan.marks import Cut, Stretch
from faithlens.plan.memory import plan_passes
from faithlens.plan.plan import compile_plan
from tests.conftest import call_unchecked, tiny

PIECES = (Piece("prompt", (5, 6, 7)), Piece("step 0", (8, 9)), Piece("step 1", (10, 11, 12)), Piece("stem", (13, 14)))
CLEAN = Condition("clean", PIECES, ((65,), (66, 67)))
DONOR = Condition("donor", (Piece("prompt", (15, 16, 17)), *PIECES[1:]), CLEAN.options)

NO_MEANING: list[tuple[Edit, str]] = [
    (KeyValuePatch("step 1", "step 1", DONOR), r"rows 5 to 7 of 'step 1' read 'step 1' at positions \(5, 8\)"),
    (KeyValuePatch("step 0", "step 1", DONOR), "does not end before them"),
    (KeyValuePatch("stem", "stem", DONOR), "does not end before them"),
    (KeyValuePatch("answer", (4, 9), DONOR), "does not end before them"),
    (KeyValuePatch("step 1", (2, 6), DONOR, layers=(1,)), "does not end before them"),
    (KeyValuePatch("step 2", "step 0", DONOR), "has no piece 'step 2'"),
    *((Knockout("stem", ("step 0",), layers), "layers must be a tuple of numbers") for layers in ((-1,), (0, -2))),
    (Patch("z", "step 0", DONOR, heads=(-1,)), "heads must be a tuple of numbers"),
    (Ablation("z", "step 0", "zero", heads=(0, -3)), "heads must be a tuple of numbers"),
    (Apply("mlp_out", "step 0", lambda x, positions: x, layers=(-1,)), "layers must be a tuple of numbers"),
    (Apply("mlp_out", "step 0", lambda x, positions: x, heads=(1,)), "component 'z' only"),
    (Ablation("mlp_out", "step 7", "zero"), "has no piece 'step 7'"),
    *((Patch("mlp_out", "step 0", DONOR, amount=x), "must have a finite amount") for x in (math.nan, math.inf)),
    (Ablation("mlp_out", "step 0", "noise", scale=math.nan), "must have a finite scale"),
    (Ablation("mlp_out", "step 0", "noise", seed=-1), "a seed from 0 on"),
    (Knockout("step 1", ("prompt", "step 0", "step 1")), "hide every key from the token at position 5,"),
    (Knockout("answer", ((0, 9),)), "hide every key from the token at position 8,"),
    (Knockout("prompt", ((0, 1),), layers=(1,)), "hide every key from the token at position 0 in layer 1,"),
]


@pytest.mark.parametrize(("edit", "words"), NO_MEANING)
def test_edits_without_meaning_are_refused_when_they_are_planned(edit: Edit, words: str) -> None:
    edited = replace(CLEAN, edits=(edit,))
    for conditions in (
        [CLEAN, edited],
        [replace(CLEAN, edits=(Patch("z", "step 0", edited),))],  # as a donor
        [replace(CLEAN, reference=edited)],
    ):
        with pytest.raises(PlanError, match=words):
            compile_plan(conditions)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Patch("z", "step 0", DONOR, heads=(6,)), r"names heads \(6,\), and tiny-llama has 6 heads"),
        (Ablation("z", "step 0", "zero", heads=(0, 9)), r"names heads \(0, 9\), and tiny-llama has 6 heads"),
        (Apply("z", "step 0", lambda x, positions: x, layers=(0, 3)), "names layer 3, and tiny-llama has 3 layers"),
        (Knockout("stem", ("step 0",), layers=(3,)), "names layer 3, and tiny-llama has 3 layers"),
        (KeyValuePatch("stem", "step 0", DONOR, layers=(1, 7)), "names layer 7, and tiny-llama has 3 layers"),
    ],
)
def test_layers_and_heads_that_a_model_does_not_have_are_refused_by_one_check(edit: Edit, words: str) -> None:
    model, edited = tiny("llama"), replace(CLEAN, edits=(edit,))
    conditions = [CLEAN, replace(CLEAN, edits=(Patch("z", "step 0", edited),))]
    refusals: list[Callable[[], object]] = [lambda: plan_passes(model, conditions)]
    refusals += [partial(execute, model, compile_plan(conditions), backend=backend) for backend in BACKENDS]
    text = set()
    for refuse in refusals:
        with pytest.raises(PlanError, match=words) as caught:
            refuse()
        text.add(str(caught.value))
    assert len(text) == 1


def test_layers_that_are_no_tuple_of_numbers_are_refused_by_name() -> None:
    for layers in (1, "1", [1], (1.5,), ("0",), (True,), (-1,)):
        with pytest.raises(PlanError, match=r"an edit has layers=.* must be a tuple of numbers from 0 on"):
            call_unchecked(check_places, "an edit", "layers", layers)
    check_places("an edit", "layers", (0, 7))


def test_counts_that_are_no_whole_numbers_from_0_on_are_refused_by_name() -> None:
    for number in (-1, 2.5, "3", True):
        with pytest.raises(PlanError, match=f"top must be a whole number of at least 0, got {number!r}"):
            call_unchecked(check_counts, midpoints=0, top=number)
    check_counts(top=0, midpoints=7)


def test_positions_that_are_no_interval_are_refused() -> None:
    for span in (("step 0",), (1, 2, 3), (0.5, 2), (4, 2), (-1, 2), (0, 99)):
        with pytest.raises(PlanError, match="positions"):
            call_unchecked(Condition.locate, CLEAN, span)


ONE = ("c", (Piece("p", (1,)),), ((1,),))


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (Apply, ("z", "step 1", 3), "must be a function, got int"),
        (Ablation, ("z", "step 1", "mean", None, None, (3,)), "must be a Condition, got int"),
        (Ablation, ("z", "step 1", "mean", None, None, []), "must be a tuple, got list"),
        (Condition, (*ONE, ["zero"]), "'edits' of condition 'c' must be a tuple, got list"),
        (Condition, (*ONE, ("zero",)), "an edit of condition 'c' is str"),
        (Condition, (*ONE, (0,)), "an edit of condition 'c' is int"),
    ],
)
def test_what_is_no_edit_is_refused_when_it_is_made(kind: type, arguments: tuple[object, ...], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        call_unchecked(kind, *arguments)


def test_names_of_pieces_are_checked_when_a_condition_is_made() -> None:
    with pytest.raises(PlanError, match=r"condition 'c' has 2 pieces with the name 'step 0'\s.*a name of its own"):
        Condition("c", (*PIECES, Piece("step 0", (1,))), ((65,),))
    with pytest.raises(PlanError, match="name of the answer position"):
        replace(CLEAN, pieces=(Piece("answer", (1, 2)),))


@pytest.mark.parametrize("backend", BACKENDS)
def test_sites_that_are_not_there_are_refused(backend: Backend) -> None:
    plan = compile_plan([CLEAN])
    for site, words in (
        (Site("z", 3, "step 0"), "layer 3, and the model has 3 layers"),
        (Site("z", -1, "step 0"), "layer -1, and the model has 3 layers"),
        (Site("z", 0, "step 7"), "no condition has the piece 'step 7'"),
        (Site("z", 0, (4, 99)), "outside of condition 'clean'"),
        (Site("z", 0, (-1, 2)), "outside of condition 'clean'"),
    ):
        with pytest.raises(PlanError, match=words):
            execute(tiny("llama"), plan, Capture(activations=(site,)), backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_that_do_not_match_the_options_are_refused(backend: Backend) -> None:
    for weights in ((1.0,), (1.0, -1.0, 0.0)):
        with pytest.raises(PlanError, match=rf"{len(weights)} weights, and condition 'clean' has 2 options"):
            execute(tiny("llama"), compile_plan([CLEAN]), Capture(attribution=weights), backend=backend)


def test_what_leaves_a_key_is_allowed() -> None:
    for edit in (
        Knockout("step 1", ("prompt", "step 0")),  # a row sees itself
        Knockout("step 1", ((1, 8),)),
        Knockout("answer", ("prompt", "step 0", "step 1")),
        Knockout("step 0", ("step 1",)),  # later rows are not visible anyway
        KeyValuePatch("step 1", (5, 5), DONOR),  # nothing is read
        KeyValuePatch("step 1", "step 0", DONOR),
    ):
        compile_plan([replace(CLEAN, edits=(edit,))])


def test_two_knockouts_hide_every_key_together() -> None:
    early, late = Knockout("step 1", ((0, 4),), layers=(0, 1)), Knockout("stem", ((4, 10),), layers=(1, 2))
    compile_plan([replace(CLEAN, edits=(early, late))])
    both = (replace(early, reader="answer"), late)
    with pytest.raises(PlanError, match="position 8 in layer 1,"):
        compile_plan([replace(CLEAN, edits=both)])
    compile_plan([replace(CLEAN, edits=(both[0], replace(late, layers=(2,))))])


def test_edges_of_the_structure_count_too() -> None:
    structure, hidden = Structure((("answer", 13),), (("answer", "question"),)), Knockout("stem", ("stem",))
    compile_plan([replace(CLEAN, edits=(hidden,))])
    with pytest.raises(PlanError, match="position 8,"):
        compile_plan([replace(CLEAN, edits=(hidden,))], structure)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_window_is_all_that_a_row_sees(backend: Backend) -> None:
    """Mistral's rows see 12 positions here: to hide these hides everything, in a model without windows it does not."""
    long = Condition("long", (Piece("prompt", tuple(range(10, 30))), Piece("stem", (5, 6))), ((65,),))
    hidden = replace(long, edits=(Knockout("stem", ((9, 22),)),))
    execute(tiny("llama"), compile_plan([hidden]), backend=backend)
    with pytest.raises(PlanError, match="position 20 in layer"):
        execute(tiny("mistral"), compile_plan([hidden]), backend=backend)
    with pytest.raises(PlanError, match="position 20 in layer"):
        plan_passes(tiny("mistral"), [hidden])
    execute(tiny("mistral"), compile_plan([replace(long, edits=(Knockout("stem", ((10, 20),)),))]), backend=backend)


def test_windows_are_those_of_the_layers() -> None:
    assert list_windows(tiny("llama")) == [None] * 3
    assert list_windows(tiny("mistral")) == [12] * 3
    assert list_windows(tiny("gemma2")) == [12, None, 12]
    assert list_windows(tiny("gpt2")) == [None] * 3


CUTS = st.lists(
    st.tuples(st.sampled_from([None, (0,), (1,), (0, 2)]), st.integers(0, 5), st.integers(0, 8)), max_size=4
)


@given(CUTS, st.lists(st.sampled_from([None, 1, 2, 4]), min_size=3, max_size=3))
def test_a_row_is_refused_just_if_it_sees_no_key(
    drawn: list[tuple[Layers, int, int]], windows: list[int | None]
) -> None:
    cuts = tuple(Cut(layers, start, stop) for layers, start, stop in drawn)
    knockouts = tuple(Knockout("stem", ((c.start, c.stop),), c.layers) for c in cuts)
    condition = Condition("c", (Piece("prompt", (1,) * 3), Piece("stem", (2,) * 3)), ((65,),), knockouts)
    marks = [Stretch(0, 3, (), ()), Stretch(3, 6, (), cuts)]
    for given_windows in (windows, None):
        blind = False
        for layer in range(4 if given_windows is None else 3):  # without a model there are layers that no cut names
            window = None if given_windows is None else given_windows[layer]
            for row in range(3, 6):
                seen = set(range(0 if window is None else max(0, row + 1 - window), row + 1))
                for c in cuts:
                    seen -= set(range(c.start, c.stop)) if c.layers is None or layer in c.layers else set()
                blind |= not seen
        if blind:
            with pytest.raises(PlanError, match="hide every key"):
                check_visibility(condition, marks, given_windows)
        else:
            check_visibility(condition, marks, given_windows)
