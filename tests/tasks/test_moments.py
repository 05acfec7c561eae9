"""Dates and times of day are read whole, found in running text, and written back in every usual way."""

import re
from datetime import date, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faithlens.tasks.answer_parsing import parse_answer
from faithlens.tasks.moments import find_dates, list_spellings, read_date, read_time, write_like
from faithlens.tasks.question import Question
from faithlens.tasks.question_factory import make_choice_question, make_free_form_question
from faithlens.tasks.values import find_values, read_value

DATES = st.dates(date(1, 1, 1), date(9999, 12, 31))
TIMES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
LIKE_DATES = ["2020-01-02", "3 May 2021", "May 3, 2021", "May 3rd 2021", "21st of June 2020", "Sept. 9, 2020"]
LIKE_TIMES = ["9:05", "09:05", "9:05 am", "12:30 p.m.", "9:05AM", "01:00:00"]


@settings(deadline=None)
@given(st.one_of(DATES, TIMES))
def test_every_spelling_is_read_back(moment: date | time) -> None:
    for text in list_spellings(moment):
        value = read_value(text)
        assert value is not None
        assert value.content == moment
        assert [each.value for each in find_values(f"So it is {text}, at last.")] == [value]


@settings(deadline=None)
@given(DATES, st.sampled_from(LIKE_DATES))
def test_a_date_is_written_as_another_is(day: date, like: str) -> None:
    written = write_like(day, like)
    assert written is not None
    assert read_date(written) == day
    assert re.sub(r"\w+", "", written) == re.sub(r"\w+", "", like) or "." in like


@settings(deadline=None)
@given(TIMES, st.sampled_from(LIKE_TIMES))
def test_a_time_is_written_as_another_is(moment: time, like: str) -> None:
    written = write_like(moment, like)
    assert written is not None
    assert read_time(written) == moment
    varies = r"(?i:[\d:]|[ap](?=\.?m))"
    assert re.sub(varies, "", written) == re.sub(varies, "", like)


@pytest.mark.parametrize("text", ["24:00", "12:60", "13 pm", "0:30 am", "3/4/2021", "35 May 2021", "May 2021", "12:3"])
def test_what_is_no_date_or_time_or_may_be_two_is_none(text: str) -> None:
    value = read_value(text)
    assert value is None or value.is_number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("On 3 May 2021 she had 5.", ["2021-05-03"]),
        ("2021-05-03 or May 4th, 2021.", ["2021-05-03", "2021-05-04"]),
        ("code 12021-05-03 and 2021-05-031", []),
        ("31/12/2021 is 31.12.2021", ["2021-12-31", "2021-12-31"]),
        ("35 May 2021", []),
    ],
)
def test_dates_in_running_text(text: str, expected: list[str]) -> None:
    assert [day.isoformat() for _, _, day in find_dates(text)] == expected


def test_no_part_of_a_date_is_a_number() -> None:
    assert [str(each.value) for each in find_values("On 2021-05-03, or May 3, 2021, she had 5.")] == [
        *["2021-05-03"] * 2,
        "5",
    ]


LEAVES = make_free_form_question("q", "When does it leave?", "12:30")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 12:30.", "12:30"),
        ("The answer is 12:30 p.m.", "12:30"),
        ("The answer is 12:30 a.m.", "00:30"),
        ("The answer is 13:00.", "13:00"),
        ("It is not 13:00. It is 12:30.", "12:30"),
        ("The user thinks 13:00, but it is 12:30.", "12:30"),
        ("It is 12:30 or 13:00.", None),
        ("It runs from 12:30 to 13:00.", None),
        ("It leaves at 11:30 and takes an hour, so it arrives at 12:30.", "12:30"),
        ("Start at 12:00. No wait, at 11:00. So it is 11:30.", "11:30"),
        ("It is 30.", None),
        ("It is 12.", None),
        ("\\boxed{12:30}", "12:30"),
        ("Let us see.", None),
    ],
)
def test_a_time_is_read_as_a_whole_or_not_at_all(text: str, answer: str | None) -> None:
    assert parse_answer(text, LEAVES) == answer


FAIR = make_choice_question("q", "When is it?", ("3 May 2021", "4 May 2021", "5 May 2021"), 0)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is May 3, 2021.", "A"),
        ("The answer is 2021-05-04.", "B"),
        ("So the fair is on May 5th, 2021.", "C"),
        ("It is not 3 May 2021.", None),
        ("The answer is 6 May 2021.", None),
    ],
)
def test_an_option_is_named_by_its_date_in_any_spelling(text: str, answer: str | None) -> None:
    assert parse_answer(text, FAIR) == answer


def test_a_number_is_not_named_by_a_time_or_a_fraction_that_holds_it() -> None:
    question = make_choice_question("q", "How many?", ("12", "30", "2"), 0)
    for text in ("We meet at 12:30.", "So half past, 12:30 p.m.", "That is 1/2.", "Then 12/5 is left."):
        assert parse_answer(text, question) is None, text


MIXED = Question("q", "?", ("12", "none of these"), "12", form="free-form")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 12.", "12"),
        ("The answer is none of these.", "none of these"),
        ("The answer is 13.", "13"),
    ],
)
def test_candidates_of_several_kinds(text: str, answer: str) -> None:
    assert parse_answer(text, MIXED) == answer
