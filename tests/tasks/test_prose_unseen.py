"""What careful readers take from texts that were labelled without a look at the readers' code."""

import random
import re

import pytest

from faithlens.tasks.answer_parsing import parse_answer
from faithlens.tasks.derivation import check_steps
from faithlens.tasks.numbers import find_stated_span, misstate
from faithlens.tasks.question import Question
from faithlens.tasks.segmentation import split_steps
from faithlens.tasks.values import is_same_answer, read_value
from faithlens.thought_markers import Thinking
from faithlens.thoughts import read_reply
from tests.tasks import prose_unseen as prose

OPENERS = {"[/THINK]": Thinking("[THINK]", "[/THINK]"), "</think>": Thinking("<think>\n", "</think>")}


def is_read_as(text: str, question: Question, answer: str | None) -> bool:
    read = parse_answer(text, question)
    return read is None if answer is None else is_same_answer(read, answer)


def make_number_question(query: str) -> Question:
    return Question("n", query, ("999998", "999999"), "999999", form="free-form")


def make_choice_question(options: str) -> Question:
    return Question("c", "Which?", tuple("ABCD"), "A", prose.OPTIONS[options])


def mark_steps(text: str) -> str:
    return "|".join(text[start:stop] for start, stop in split_steps(text))


@pytest.mark.parametrize(("query", "text", "answer"), prose.NUMBERS)
def test_numbers(query: str, text: str, answer: str | None) -> None:
    assert is_read_as(text, make_number_question(query), answer)


@pytest.mark.parametrize(("options", "text", "answer"), prose.CHOICES)
def test_choices(options: str, text: str, answer: str | None) -> None:
    assert is_read_as(text, make_choice_question(options), answer)


@pytest.mark.parametrize("marked", prose.STEPS)
def test_steps(marked: str) -> None:
    assert mark_steps(marked.replace("|", "")) == marked


def test_the_texts_that_are_listed_as_misread_are_misread() -> None:
    for query, text, answer in prose.NUMBERS_MISREAD:
        assert not is_read_as(text, make_number_question(query), answer)
    for options, text, answer in prose.CHOICES_MISREAD:
        assert not is_read_as(text, make_choice_question(options), answer)
    for marked in prose.STEPS_MISREAD:
        assert mark_steps(marked.replace("|", "")) != marked


@pytest.mark.parametrize(("text", "is_opened", "thoughts", "rest"), prose.THOUGHTS)
def test_thoughts(text: str, is_opened: bool, thoughts: str | None, rest: str | None) -> None:
    family = next((family for close, family in OPENERS.items() if close in text), OPENERS["</think>"])
    read = read_reply(text, opened_by=family if is_opened else None)
    if thoughts is None:
        assert (read.rest, read.finish) == ("", "length")
    else:
        assert (read.thoughts.strip(), read.rest.strip(), read.finish) == (thoughts, rest, "stop")


@pytest.mark.parametrize(("query", "marked"), prose.MISTAKES)
def test_results_that_a_mistake_may_change(query: str, marked: str) -> None:
    pieces = re.split(r"\[\[|\]\]", marked)
    step, lengths = "".join(pieces), [len(piece) for piece in pieces]
    results = [(sum(lengths[:i]), sum(lengths[: i + 1])) for i in range(1, len(pieces), 2)]
    edited = misstate(step, make_number_question(query or "How many?"), random.Random(0))
    if not results:
        assert edited is None
        return
    span = find_stated_span(step)
    assert span in results
    assert edited is not None
    assert edited[: span[0]] + edited[span[1] :] == step[: span[0]] + step[span[1] :]
    assert edited[slice(*span)] != step[slice(*span)]


@pytest.mark.parametrize("unit", ["7", " ", "$", "12,", "(A) ", ". ", ": ", "5) ", "so, 5 ", "(5 x "])
def test_long_texts_take_linear_time(unit: str) -> None:
    text = unit * (60_000 // len(unit))  # with quadratic time each takes minutes
    parse_answer(text, make_number_question("How many?"))
    assert mark_steps(text).replace("|", "") == text
    misstate(text, make_number_question("How many?"), random.Random(0))
    assert read_value(text) is None
    assert [check.verdict for check in check_steps(make_number_question("How many?"), [text, "5."])] == ["unread"] * 2
