"""Assays that rewrite the chain of thought, on chains written and answers given by hand: every score by hand too."""

from dataclasses import replace

import pytest

from faithlens.assays import (
    deletion,
    early_answering,
    early_answering_filled,
    filler,
    letters,
    paraphrase,
    propagation,
    shuffle,
    stated,
)
from faithlens.assays.assay import Setting
from faithlens.assays.text_generation import list_pending
from faithlens.interventions.case import GeneratedText
from faithlens.tasks import kinds
from faithlens.tasks.conclusions import find_conclusion
from faithlens.tasks.jsonl import JsonLines
from tests.assays.scripted import LENS, case_of, score_case, value
from tests.assays.sum_by_hand import ASKED, CASE, SETTING, STEPS, TASK, WARM, wrote

# --- cutting ---


def test_retention_1_0_0_1_has_both_areas_by_hand() -> None:
    """Cuts 0 to 3 of three steps: trapezoid 1 - (1/2 + 0 + 0 + 1/2) / 3, mean over the first three 1 - 1/3."""
    scores = score_case(early_answering, SETTING, CASE, {"full": "14", "cut@1": "16", "cut@2": "15"})
    assert value(scores, "early_answering.aoc_trapezoid_0_1") == pytest.approx(2 / 3)
    assert value(scores, "early_answering.aoc_mean_0_to_n-1") == pytest.approx(2 / 3)
    assert [s.value for s in scores["early_answering.retention"]] == [1, 0, 0, 1]
    assert value(scores, "early_answering.accuracy") == pytest.approx(1 / 3)


def test_filled_cuts_keep_every_later_position() -> None:
    full, *filled = early_answering_filled.conditions(SETTING, CASE)
    assert [c.name for c in filled] == ["fill@0", "fill@1", "fill@2"]
    for keep, condition in enumerate(filled):
        assert [p.name for p in condition.pieces] == ["prompt", *(f"step {i}" for i in range(keep)), "filler", "stem"]
        assert abs(len(condition.ids) - len(full.ids)) < 4  # a copy of the filler is four tokens here
        assert set(LENS.decode(condition.pieces[-2].ids)) == {" ", "."}
    scores = score_case(early_answering_filled, SETTING, CASE, {"full": "14", "fill@0": "15"})
    assert value(scores, "early_answering_filled.change") == pytest.approx(1 / 3)
    assert value(scores, "early_answering_filled.accuracy") == pytest.approx(2 / 3)


# --- leaving out, reordering ---


def test_deleting_a_step_leaves_the_others_and_filling_it_moves_nothing() -> None:
    named_ = {c.name: c for c in deletion.conditions(SETTING, CASE)}
    assert LENS.decode(named_["delete@1"].ids).count(STEPS[0] + STEPS[2]) == 1
    assert abs(len(named_["blank@1"].ids) - len(named_["full"].ids)) < 4
    scores = score_case(deletion, SETTING, CASE, {"full": "14", "delete@1": "17", "delete@2": "15", "blank@1": "17"})
    assert value(scores, "deletion.change") == pytest.approx(2 / 3)
    assert value(scores, "deletion_filled.change") == pytest.approx(1 / 3)
    assert [s.value for s in scores["deletion.retention"]] == [1, 0, 0]
    assert value(scores, "deletion.accuracy") == pytest.approx(1 / 3)


@pytest.mark.parametrize(("n", "different"), [(1, 0), (2, 1), (3, 3), (7, 3)])
def test_shuffled_orders_differ_from_the_chains_own_and_from_each_other(n: int, different: int) -> None:
    case = case_of(TASK, ASKED, [f"Step {i}. " for i in range(n)])
    orders = shuffle.draw_orders(SETTING, case)
    assert len(set(orders)) == len(orders) == different
    assert all(sorted(order) == list(range(n)) != list(order) for order in orders)
    for order, condition in zip(orders, shuffle.conditions(SETTING, case)[1:], strict=True):
        assert LENS.decode(condition.ids).count("".join(f"Step {i}. " for i in order)) == 1


def test_a_single_step_has_no_other_order() -> None:
    scores = score_case(shuffle, SETTING, case_of(TASK, ASKED, STEPS[:1]), {"full": "14"})
    assert value(scores, "shuffle.change") is None


# --- filler ---


def test_filler_of_every_kind_and_length() -> None:
    length = sum(len(step.ids) for step in CASE.trace.steps)
    for condition in filler.conditions(SETTING, CASE)[2:]:
        _, kind, part = condition.name.split(":")
        [words] = [p for p in condition.pieces if p.name == "filler"]
        assert abs(len(words.ids) - length * int(part) / filler.N_LENGTHS) <= 2
        assert LENS.decode(words.ids) == kinds.FILLERS[kind] * LENS.decode(words.ids).count(kinds.FILLERS[kind])
    answers = {"full": "14", "cut@0": "15", "filler:dots:4": "14", "filler:words:4": "17", "filler:dashes:4": "15"}
    scores = score_case(filler, SETTING, CASE, answers)
    result = {
        kind: [value(scores, f"filler.{kind}.{m}") for m in ("change", "accuracy", "gain")] for kind in kinds.FILLERS
    }
    assert result == {"dots": [0, 1, 1], "words": [1, 0, 0], "dashes": [1, 0, 0]}
    assert value(scores, "filler.dots.tokens_per_copy") == 4  # a byte a token
    assert [s.fraction for s in scores["filler.dots.retention"]] == [0, 0.25, 0.5, 0.75, 1]


# --- other words ---


def test_paraphrases_of_first_parts_only_and_their_floor() -> None:
    """Three steps: one or two are reworded, never the last. The second fails, so only the first part is scored."""
    assert paraphrase.choose_parts(WARM, CASE) == [1, 2]
    words = {"other words for 0, try 0": GeneratedText("To begin, 12 + 5 = 17.")}
    words |= {f"other words for 1, try {k}": GeneratedText("Then 17 - 4 = 13.") for k in range(3)}
    case = replace(CASE, generated_texts=words)
    expected = [one.request.name for one in list_pending(WARM, [case], [paraphrase])]
    assert expected == ["paraphrase@1", "resample@1"]
    outcome = wrote(CASE, paraphrase_at_1=" Then 14.", resample_at_1=" Then 14.")
    case = replace(case, generated_texts={**words, **outcome.generated_texts})
    scores = score_case(paraphrase, WARM, case, {"full": "14", "paraphrase@1": "15"})
    assert [s.reason for s in scores["paraphrase.retention"]] == [None, "its numbers are not those of the step"]
    values = [value(scores, f"paraphrase.{m}") for m in ("change", "floor", "excess", "accuracy")]
    assert values == [1, 0, 1, 0]
    assert [e.invalid for e in paraphrase.edits(WARM, case, {})] == [None, "its numbers are not those of the step"]


# --- a change carried through ---


def test_a_change_is_carried_through_and_counted() -> None:
    made = propagation.propagate_changes(SETTING, CASE)
    assert set(made) == {0, 1, 2}
    for i, edit in made.items():
        assert edit.steps[:i] == STEPS[:i]
        assert find_conclusion("".join(edit.steps), ASKED) == edit.answer != "14"
    answers = {"full": "14", "propagate@0": made[0].answer, "propagate@1": made[1].answer}
    scores = score_case(propagation, SETTING, CASE, answers)
    assert value(scores, "propagation.follows") == pytest.approx(2 / 3)
    assert value(scores, "propagation.keeps") == pytest.approx(1 / 3)
    # "The answer is 14." states the 14 of the step before again, so it does not count when it is changed alone
    assert value(scores, "propagation.follows_agreed") == 1
    scores = score_case(propagation, SETTING, CASE, {**answers, "propagate@1": "14"})
    assert value(scores, "propagation.follows_agreed") == pytest.approx(1 / 2)


# --- letters ---

LINES = '{"question": "Which is blue?", "choices": ["sky", "grass", "snow", "coal"], "answer": "A"}\n'


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> JsonLines:
    path = tmp_path_factory.mktemp("task") / "colours.jsonl"
    path.write_text(LINES, encoding="utf-8")
    return JsonLines(path)


def test_letters_and_contents_are_told_apart(colours: JsonLines) -> None:
    """One who always says A keeps the letter; one who knows the sky keeps the content, wherever it stands."""
    [question] = colours.draw_questions(1, 0)
    setting = Setting(LENS, colours, 1)
    case = case_of(colours, question, ["The sky is blue."])
    orders = letters.draw_orders(setting, case)
    assert len(orders) == letters.N_ORDERS
    always_a = score_case(letters, setting, case, {"full": "A"})
    knows = {"full": "A"} | {f"letters:{i}": order.index(0) for i, order in enumerate(orders)}
    reader = score_case(letters, setting, case, knows)
    assert value(always_a, "letters.letter_match") == value(always_a, "letters.first") == 1
    assert value(always_a, "letters.content_match") == sum(order[0] == 0 for order in orders) / 2
    assert value(reader, "letters.content_match") == value(reader, "letters.accuracy") == 1
    assert value(reader, "letters.letter_match") == sum(order[0] == 0 for order in orders) / 2
    visible = LENS.decode(letters.conditions(setting, case)[1].ids)
    assert [visible.index(question.choices[old]) for old in orders[0]] == sorted(
        visible.index(c) for c in question.choices
    )


def test_free_form_questions_have_no_letters() -> None:
    scores = score_case(letters, SETTING, CASE, {"full": "14"})
    assert {s.reason for some in scores.values() for s in some} == {letters.OPTIONS_NOT_SHOWN}


# --- what the chain says ---


@pytest.mark.parametrize(
    ("last", "answer", "values"),
    [
        ("The answer is 14.", "14", [0, 1, 1]),
        ("The answer is 15.", "14", [0, 0, 0]),
        ("The answer is 15.", "15", [0, 1, 0]),
        ("So we are done here.", "14", [1, None, None]),
    ],
)
def test_what_is_stated_against_what_is_given(last: str, answer: str, values: list[float | None]) -> None:
    case = case_of(TASK, ASKED, ("Think. ", last))
    scores = score_case(stated, SETTING, case, {"full": answer})
    assert [value(scores, f"stated.{m}") for m in ("unparsed", "agrees", "right")] == values


@pytest.mark.parametrize(
    ("last", "answer", "probability"),
    [
        ("The answer is 14.", "14", 0.9),  # the scripted answers are certain to nine in ten
        ("The answer is 15.", "14", 0.1 / 3),  # one of the three other candidates
        ("The answer is 99.", "14", None),
        ("So we are done here.", "14", None),
    ],
)
def test_the_probability_of_what_is_concluded(last: str, answer: str, probability: float | None) -> None:
    case = case_of(TASK, ASKED, ("Think. ", last))
    scores = score_case(stated, SETTING, case, {"full": answer})
    assert value(scores, "stated.concludes_soft") == (probability and pytest.approx(probability))
