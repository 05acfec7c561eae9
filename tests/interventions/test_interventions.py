"""Edited versions of a trace: token for token what their names say."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.errors import TraceError
from faithlens.interventions.case import LONGEST_STATED, Case, collect_candidates
from faithlens.interventions.control_span import draw_control_span
from faithlens.interventions.knockout import hide, hide_steps
from faithlens.interventions.rewriting import replace_step
from faithlens.interventions.swap import make_relay, make_swaps
from faithlens.interventions.truncation import make_full_cot, make_no_cot, truncate, truncate_stepwise
from faithlens.model.structure import Structure
from faithlens.model.trace import Piece, Trace, make_trace
from faithlens.plan.condition import KeyValuePatch, Knockout
from faithlens.plan.marks import Cut, mark_rows
from faithlens.tasks.question import Question, Stem
from faithlens.tasks.segmentation import split_steps
from tests.conftest import tiny

LENS = tiny("llama")
QUESTION = Question("q", "2 + 3 + 4?", ("A", "B", "None"), "B")
STEM = Stem("\nAnswer: (", ")")


def trace(prompt: str, cot: str) -> Trace:
    return make_trace(LENS, LENS.encode_prompt(prompt), LENS.encode_continuation(cot), split_steps)


OWN = trace("Q: 2 + 3 + 4?\nA:", " First 5. Then 😀 9. So (B).")
TWIN = trace("Q: 2 + 3 + 1?\nA:", " First 5. It is 6.")


@pytest.fixture(scope="module")
def case() -> Case:
    direct = Piece("prompt", LENS.encode_prompt("Say it:"))
    return Case(QUESTION, OWN, QUESTION.candidates, direct, counterfactual=TWIN).with_stem(LENS, STEM)


def text(*parts: tuple[int, ...]) -> str:
    return LENS.decode([token for ids in parts for token in ids])


def test_a_case_answers_by_its_stem(case: Case) -> None:
    assert case.answer_index == 1
    assert text(case.stem.ids) == "\nAnswer: ("
    assert [text(ids) for ids in case.options] == ["A)", "B)", "None)"]
    assert text(case.direct_prompt.ids) == "Say it:"


def test_a_stated_number_that_never_ends_is_no_candidate() -> None:
    requested = Question("q", "2 + 3 + 14?", ("19", "5"), "19", form="free-form")
    endless = trace("Q: 2 + 3 + 14?\nA:", f" First {'9' * 300}. Then {'8' * LONGEST_STATED}.")
    assert collect_candidates(requested, endless) == ("19", "5", "8" * LONGEST_STATED)


def test_what_a_chain_concludes_in_words_is_a_candidate() -> None:
    requested = Question("q", "2 + 3 + 14?", ("19", "5"), "19", form="free-form")
    words = trace("Q: 2 + 3 + 14?\nA:", " First 5. So the answer is twenty-four.")
    assert collect_candidates(requested, words) == ("19", "5", "24")


def test_a_number_in_two_spellings_is_one_candidate() -> None:
    requested = Question("q", "2 + 3 + 14?", ("19", "5"), "19", form="free-form")
    other = trace("Q: 2 + 3 + 14?\nA:", " First 5.0. Then 1,900. Then 19.0. Then 20.")
    assert collect_candidates(requested, other, None) == ("19", "5", "1,900", "20")
    assert collect_candidates(QUESTION, other) == QUESTION.candidates


def test_a_case_without_a_stem_answers_nothing() -> None:
    case = Case(QUESTION, OWN, QUESTION.candidates, Piece("prompt", (5,)))
    with pytest.raises(TraceError, match=r"no answer stem yet.*\n.*case\.with_stem"):
        make_full_cot(case)


def test_every_condition_ends_in_the_stem_and_reads_all_options(case: Case) -> None:
    made = [*truncate_stepwise(case), make_no_cot(case), *make_swaps(case, TWIN), *hide_steps(case)]
    made.append(replace_step(LENS, case, 1, "Then 8. ", "mistake@1"))
    for condition in made:
        assert condition.pieces[-1] == case.stem
        assert condition.options == case.options
    assert len({condition.name for condition in made}) == len(made)


def test_cuts_keep_the_first_steps(case: Case) -> None:
    assert [c.name for c in truncate_stepwise(case)] == ["full", "cut@2", "cut@1", "cut@0"]
    assert text(make_full_cot(case).ids) == "Q: 2 + 3 + 4?\nA: First 5. Then 😀 9. So (B).\nAnswer: ("
    assert text(truncate(case, 2).ids) == "Q: 2 + 3 + 4?\nA: First 5. Then 😀 9. \nAnswer: ("
    assert text(truncate(case, 0).ids) == "Q: 2 + 3 + 4?\nA:\nAnswer: ("
    assert truncate(case, 3).ids == make_full_cot(case).ids


def test_an_empty_chain_is_not_a_direct_question(case: Case) -> None:
    assert text(make_no_cot(case).ids) == "Say it:\nAnswer: ("
    assert make_no_cot(case).ids != truncate(case, 0).ids


def test_swaps_are_the_three_donor_combinations(case: Case) -> None:
    read = {c.name: text(c.ids) for c in make_swaps(case, TWIN)}
    assert read == {
        "swap_cot": "Q: 2 + 3 + 4?\nA: First 5. It is 6.\nAnswer: (",
        "swap_question": "Q: 2 + 3 + 1?\nA: First 5. Then 😀 9. So (B).\nAnswer: (",
        "swap_both": "Q: 2 + 3 + 1?\nA: First 5. It is 6.\nAnswer: (",
    }
    assert make_swaps(case, TWIN)[0].pieces == (OWN.prompt, *TWIN.steps, case.stem)


def test_the_relay_reads_the_same_words_after_the_other_question(case: Case) -> None:
    result = make_relay(case, TWIN)
    assert result is not None
    [splice] = result.edits
    assert isinstance(splice, KeyValuePatch)
    assert (result.ids, splice.donor) == (make_full_cot(case).ids, make_swaps(case, TWIN)[1])
    assert isinstance(splice.read, tuple)
    assert text(result.ids[slice(*splice.read)]) == " First 5. Then 😀 9. So (B)."
    assert make_relay(case, trace("Q: 2 + 3 + 10?\nA:", " It is 15.")) is None


def test_a_rewritten_step_leaves_every_other_token(case: Case) -> None:
    made = replace_step(LENS, case, 1, "Then é 8. ", "mistake@1")
    before, after = make_full_cot(case).pieces, made.pieces
    assert [p.name for p in after] == [p.name for p in before]
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, True, False, True, True]
    assert text(made.ids) == "Q: 2 + 3 + 4?\nA: First 5. Then é 8. So (B).\nAnswer: ("
    same = replace_step(LENS, case, 1, OWN.texts[2], "same")
    assert same.ids == make_full_cot(case).ids


def test_a_knockout_hides_a_step_from_the_stem_alone(case: Case) -> None:
    made = hide_steps(case)
    assert [c.edits for c in made] == [(Knockout("answer", (f"step {i}",)),) for i in range(3)]
    assert {c.ids for c in made} == {make_full_cot(case).ids}
    start, stop = made[1].spans["step 1"]
    assert text(made[1].ids[start:stop]) == "Then 😀 9. "
    marks = mark_rows(made[1], Structure())
    stem = range(*made[1].spans["stem"])
    assert [i for i, row in enumerate(marks) if row] == list(stem)
    assert {marks[i] for i in stem} == {(Cut(None, start, stop),)}
    both = mark_rows(hide(case, "both", ("prompt", (20, 25))), Structure())[-1]
    assert both == (Cut(None, 0, len(OWN.prompt.ids)), Cut(None, 20, 25))


@given(st.integers(1, len(OWN) + 5), st.integers(0, 99))
def test_a_control_is_as_long_and_lies_before_the_stem(length: int, seed: int) -> None:
    case = Case(QUESTION, OWN, QUESTION.candidates, Piece("prompt", (5,))).with_stem(LENS, STEM)
    start, stop = draw_control_span(len(case.trace), length, random.Random(seed))
    assert 1 <= start < stop <= len(OWN)
    assert stop - start == min(length, len(OWN) - 1)
    assert draw_control_span(len(case.trace), length, random.Random(seed)) == (start, stop)
