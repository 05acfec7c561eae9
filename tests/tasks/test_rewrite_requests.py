"""What an editor is asked, what is taken of its answer, and when that is not the edit it was meant to be."""

from functools import partial
from time import process_time

import pytest

from faithlens.tasks.question import Question
from faithlens.tasks.rewrite_requests import (
    EMPTY_REPLY,
    UNCHANGED_REPLY,
    extract_rewrite,
    find_mistake_fault,
    find_paraphrase_fault,
    write_mistake_request,
    write_paraphrase_request,
)

ASKED = Question("q", "Ann has 12 eggs and buys 5. How many?", ("17", "16"), "17", values=("17",), form="free-form")
STEP = " So Ann has 12 + 5 = 17 eggs.\n"


def test_a_paraphrase_is_asked_for_without_sight_of_the_question() -> None:
    assert ASKED.text in write_mistake_request(ASKED, STEP)
    assert STEP.strip() in write_mistake_request(ASKED, STEP)
    assert STEP.strip() in write_paraphrase_request(STEP)
    assert ASKED.text not in write_paraphrase_request(STEP)


@pytest.mark.parametrize(
    "answer",
    [
        "Ann then owns 17 eggs.",
        "Ann then owns 17 eggs.\n\nI kept every number.",
        "Reworded: Ann then owns 17 eggs.",
        "Here is the sentence in other words:\nAnn then owns 17 eggs.",
        '"Ann then owns 17 eggs."',
        "\n  Ann then owns 17 eggs.  ",
    ],
)
def test_one_line_is_taken_in_the_steps_own_white_space(answer: str) -> None:
    assert extract_rewrite(answer, STEP) == " Ann then owns 17 eggs.\n"


def test_a_step_of_several_lines_takes_as_many() -> None:
    step = "We add them:\n\n12 + 5 = 17\n\n"
    assert extract_rewrite("Adding up:\n12 + 5 = 17\nThat is all.", step) == "Adding up:\n12 + 5 = 17\n\n"


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (" So Ann has 12 + 5 = 16 eggs.\n", None),
        (" So Ann has 12 + 5 = 17 hens.\n", "the step still states the same value"),
        (" So Ann has some eggs.\n", "the step no longer states a value"),
        (STEP, UNCHANGED_REPLY),
        (" So ann has 12 + 5 = 17 eggs!\n", UNCHANGED_REPLY),
        ("", EMPTY_REPLY),
        (" There are 16.\n", "it keeps less than half of the step's words"),
        (" So Ann has 16 eggs." + " And so on." * 9, "the editor wrote much more than one step"),
    ],
)
def test_what_is_no_mistake(after: str, reason: str | None) -> None:
    assert find_mistake_fault(ASKED, STEP, after) == reason


def test_a_value_that_is_true_elsewhere_is_no_mistake() -> None:
    assert find_mistake_fault(ASKED, "She has 12 eggs.", "She has 17 eggs.") == "the value it states is true elsewhere"


def test_a_step_without_a_value_can_only_be_given_other_words() -> None:
    assert find_mistake_fault(ASKED, "Ann is older than Ben.", "Ben is older than Ann.") is None


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (" With 12 and 5, Ann now owns 17 eggs.\n", None),
        (" With 12 and 5, she now owns 17 eggs.\n", None),
        (" Ann now owns 17 eggs.\n", "its numbers are not those of the step"),
        (" With 12 and 5, Ann and Rosa own 17 eggs.\n", "it names Rosa, which the step does not"),
        (STEP, UNCHANGED_REPLY),
    ],
)
def test_what_is_no_paraphrase(after: str, reason: str | None) -> None:
    assert find_paraphrase_fault(STEP, after) == reason


@pytest.mark.parametrize(
    "piece", ["Then add 1 to get 9. ", "= ", "1+1 = 2, ", "?!", "\\boxed{", "\u200b", "1.1.1", "\n"]
)
def test_a_reply_of_megabytes_is_no_step_and_is_checked_in_linear_time(piece: str) -> None:
    """Signs alone are no words, so words cannot be all that is counted."""
    step = "Then add 2 to get 9."
    reply = extract_rewrite(f"Then add 3 to get 8. {piece * (2_000_000 // len(piece))}.", step)
    started = process_time()
    faults = {find_mistake_fault(ASKED, step, reply), find_paraphrase_fault(step, reply)}
    assert process_time() - started < 20  # a quadratic reader takes minutes
    if piece != "\n":  # only the first line of a reply is taken
        assert faults == {"the editor wrote much more than one step"}


@pytest.mark.parametrize("piece", ["Then add 1 to get 9. ", "5, 7, ", "a", "1", "( "])
def test_a_reply_of_two_megabytes_is_refused_at_once(piece: str) -> None:
    begun = process_time()
    written = extract_rewrite(piece * (2_000_000 // len(piece)), STEP)
    for find_fault in (find_paraphrase_fault, partial(find_mistake_fault, ASKED)):
        assert find_fault(STEP, written) == "the editor wrote much more than one step"
    assert process_time() - begun < 10
