"""Questions and the answers that texts state: entries are read or refused, and the order of options means nothing."""

import random
from typing import Any

from hypothesis import strategies as st

from faithlens.tasks.answer_parsing import parse_answer
from faithlens.tasks.candidates import collect_notations, list_spellings
from faithlens.tasks.entries import parse_object, read_question
from faithlens.tasks.option_labels import find_stated_option, misstate_option
from faithlens.tasks.option_order import reorder_options
from faithlens.tasks.prompts import make_labels
from faithlens.tasks.question import Question
from faithlens.tasks.question_factory import BadEntryError
from faithlens.tasks.values import is_same_answer, read_value
from tests.fuzz.runner import fuzz
from tests.fuzz.strategies import (
    CHAIN,
    ENTRIES,
    QUESTIONS,
    REPLY,
    choice_questions,
    make_line,
    make_prose,
    mutate_entry,
    number_questions,
)


def check_fault(fault: BadEntryError) -> None:
    assert str(fault).strip()


@st.composite
def asked_and_told(draw: st.DrawFn) -> tuple[Question, str]:
    question = draw(QUESTIONS)
    return question, draw(st.one_of(make_prose(question), make_prose(question), CHAIN, REPLY))


@fuzz(asked_and_told(), slice=150)
def test_an_answer_is_a_candidate_or_a_number(case: tuple[Question, str]) -> None:
    question, text = case
    answer = parse_answer(text, question)
    assert parse_answer(text + "\n", question) == answer
    if answer is not None and answer not in question.candidates:
        assert question.form == "free-form"
        assert str(read_value(answer)) == answer
        assert not any(is_same_answer(answer, candidate) for candidate in question.candidates)


@st.composite
def contents_in_another_order(draw: st.DrawFn) -> tuple[Question, list[int], str]:
    """A question, an order of its options, and a text in which no label stands."""
    question = draw(choice_questions(most=4))
    text = draw(make_prose(question))
    for label in make_labels(26):
        text = text.replace(label, label.lower()) if label not in "AI" else text.replace(label, "The")
    return question, draw(st.permutations(range(len(question.choices)))), text


@fuzz(contents_in_another_order(), slice=150)
def test_permuting_the_options_permutes_the_answer(case: tuple[Question, list[int], str]) -> None:
    question, order, text = case
    if any(choice.strip("() ").upper() in question.candidates for choice in question.choices):
        return  # an option's content is the name of another option
    other = reorder_options(question, order)
    back = [order.index(place) for place in range(len(order))]
    assert reorder_options(other, back) == question
    assert (
        question.choices[question.candidates.index(question.answer)]
        == other.choices[other.candidates.index(other.answer)]
    )
    first, second = parse_answer(text, question), parse_answer(text, other)
    read = question.choices[question.candidates.index(first)] if first else None
    assert read == (other.choices[other.candidates.index(second)] if second else None)


@fuzz(mutate_entry(ENTRIES), slice=200)
def test_an_entry_is_a_sound_question_or_a_bad_entry(entry: dict[str, Any]) -> None:
    try:
        question = read_question(parse_object(make_line(entry)), "line-1")
    except BadEntryError as fault:
        check_fault(fault)
        return
    mark = question.decimal_mark
    assert question.answer in question.candidates
    assert 2 <= len(question.candidates) <= 26
    assert len(set(question.candidates)) == len(question.candidates)
    if question.form == "choice":
        assert question.candidates == make_labels(len(question.choices))
    else:
        assert sum(is_same_answer(question.answer, each, mark) for each in question.candidates) >= 1
        for each in question.candidates:
            assert is_same_answer(each, each, mark)


@fuzz(number_questions(), st.lists(CHAIN, max_size=3), slice=60)
def test_every_spelling_of_a_candidate_has_its_value(question: Question, texts: list[str]) -> None:
    notations = collect_notations(question, question.candidates, texts)
    written = {}
    for candidate in question.candidates:
        spellings = list_spellings(candidate, notations, question.decimal_mark)
        assert spellings[0] == candidate
        assert len(set(spellings)) == len(spellings)
        for spelling in spellings:
            assert is_same_answer(spelling, candidate, question.decimal_mark)
            assert written.setdefault(spelling, candidate) == candidate


@fuzz(choice_questions(), st.data(), st.integers(0, 9), slice=60)
def test_a_misstated_option_is_another_option(question: Question, data: st.DataObject, seed: int) -> None:
    step = data.draw(make_prose(question))
    stated = find_stated_option(step, question)
    assert stated is None or stated in question.candidates
    wrong = misstate_option(step, question, random.Random(seed))
    assert wrong is None or wrong != step
