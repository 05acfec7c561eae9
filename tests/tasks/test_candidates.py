"""Candidates are values: near misses are exact, two spellings are one, and every spelling is read back as its value."""

from fractions import Fraction
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faithlens.errors import TaskError
from faithlens.tasks.candidates import (
    N_CANDIDATES,
    Notation,
    collect_notations,
    generate_near_misses,
    list_free_form_candidates,
    list_spellings,
    merge_candidates,
    read_notation,
    read_stated_value,
)
from faithlens.tasks.question import Question
from faithlens.tasks.question_factory import BadEntryError, make_free_form_question
from faithlens.tasks.values import Value, read_number, read_value


def make_question(*candidates: str, text: str = "How much?", mark: str = ".") -> Question:
    return Question("q", text, candidates, candidates[0], form="free-form", decimal_mark=mark)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "first"),
    [
        ("12", ["13", "11", "14", "10", "22", "2"]),
        ("1", ["2", "0", "3", "11"]),
        ("-1", ["0", "-2", "1"]),
        ("1,999", ["2,000", "1,998"]),
        ("2.50", ["2.51", "2.49"]),
        ("-$5", ["-$4", "-$6"]),
        ("9{,}500", ["9{,}501", "9{,}499"]),
        ("1/2", ["1", "1/3", "0", "3/2", "1/4"]),
        ("-3/4", ["-1/2", "-3/5", "-1", "-1/4"]),
        ("\\frac{3}{4}", ["1", "\\frac{3}{5}", "\\frac{1}{2}", "\\frac{5}{4}"]),
        ("12:30", ["13:30", "11:30", "13:00", "12:00", "12:40", "12:20"]),
        ("09:05 PM", ["10:05 PM", "08:05 PM"]),
        ("23:45", ["22:45", "23:15", "23:55", "23:35"]),
        ("2021-03-01", ["2021-03-02", "2021-02-28", "2021-03-03"]),
        ("May 3rd, 2021", ["May 4th, 2021", "May 2nd, 2021", "May 5th, 2021", "May 1st, 2021"]),
        ("31 Dec. 2020", ["1 Jan. 2021", "30 Dec. 2020"]),
        ("13/5/2021", ["14/5/2021", "15/5/2021"]),
        ("0.0000001", ["0.0000002", "0.0000000", "0.0000003"]),
        ("123456789012345678901234567890", ["123456789012345678901234567891", "123456789012345678901234567889"]),
        ("1.2e3", ["1201", "1199"]),
    ],
)
def test_near_misses_are_exact_and_keep_the_notation(number: str, first: list[str]) -> None:
    assert list(islice(generate_near_misses(number), len(first))) == first


def test_near_misses_of_no_number_are_refused() -> None:
    for text in ("blue", "3 to 4", "24:00", ""):
        with pytest.raises(TaskError, match="is no number"):
            list(generate_near_misses(text))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("½", "1/2"),
        ("1 1/2", "3/2"),
        ("$\\dfrac{-6}{8}$", "-\\frac{3}{4}"),
        ("seven", "7"),
        ("minus twelve", "-12"),
        ("12:30", "12:30"),
        ("**3 May 2021**.", "3 May 2021"),
        ("$1,200", "$1,200"),
    ],
)
def test_answers_of_every_kind_have_ten_candidates_of_their_own_kind(answer: str, kind: str) -> None:
    question = make_free_form_question("q", "?", answer, values=("5", "blue", "14:00", "2/3"))
    values = [read_value(candidate) for candidate in question.candidates]
    assert question.answer in (kind, answer)
    assert read_value(question.answer) == read_value(answer)
    assert len({*values}) == N_CANDIDATES
    assert None not in values
    contents = [value.content for value in values if value]
    assert contents == sorted(contents)  # pyright: ignore[reportArgumentType]
    assert sum(value == read_value(answer) for value in values) == 1


@settings(max_examples=200, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=4))
def test_candidates_are_different_values_in_rising_order_with_the_answer(number: object) -> None:
    answer = f"{number:f}"
    candidates = list_free_form_candidates([answer])
    numbers = [read_number(text) for text in candidates]
    contents = [value.content for value in numbers if value and isinstance(value.content, Fraction)]
    assert len(contents) == N_CANDIDATES
    assert contents == sorted(set(contents))
    assert answer in candidates
    assert not any("E" in text or "e" in text for text in candidates)


def test_spellings_of_one_value_are_one_candidate() -> None:
    assert merge_candidates(["1200", "5", "1,200", "1200.0", "$1,200.00", "five"]) == ["1200", "5"]
    assert merge_candidates(["1200", "5", "1,200"], keep="1,200") == ["1,200", "5"]
    assert merge_candidates(["-5", "5", "−5"]) == ["-5", "5"]
    assert merge_candidates(["yes", "no", "Yes"]) == ["yes", "no", "Yes"]
    assert merge_candidates(["1,2", "1.2"], ",") == ["1,2", "1.2"]


@pytest.mark.parametrize(
    ("text", "notation"),
    [
        ("12", Notation()),
        ("1,200", Notation(separator=",")),
        ("$1,200.00", Notation(before="$", separator=",", decimals=2)),
        ("-\\$5", Notation(before="\\$")),
        ("−5", Notation(minus="−")),
        ("50 %", Notation(after=" %")),
        ("50\\%", Notation(after="\\%")),
        ("9{,}500", Notation(separator="{,}")),
        ("1\u202f234", Notation(separator="\u202f")),
        ("5 million", None),
        ("1.2e3", None),
        ("007", None),
        ("12 dollars", None),
        ("blue", None),
    ],
)
def test_notations_write_what_they_were_read_from(text: str, notation: Notation | None) -> None:
    assert read_notation(text) == notation


NUMBERS = st.fractions(max_denominator=1000) | st.integers(-(10**9), 10**9).map(Fraction)
NOTATIONS = st.builds(
    Notation,
    before=st.sampled_from(["", "$", "\\$", "€"]),
    separator=st.sampled_from(["", ",", "{,}", "\\,", "\u202f", "'"]),
    decimals=st.integers(0, 3),
    after=st.sampled_from(["", "%", " %", "\\%"]),
    minus=st.sampled_from(["-", "−"]),
)


@settings(max_examples=300, deadline=None)
@given(NUMBERS, NOTATIONS)
def test_every_spelling_is_read_back(number: Fraction, notation: Notation) -> None:
    if notation.before and notation.after:
        notation = Notation(notation.before, notation.separator, notation.decimals, minus=notation.minus)
    written = notation.write(number)
    assert read_value(written) == Value(number)
    for spelling in list_spellings(written, [Notation(), Notation(separator=","), Notation(decimals=2), notation]):
        assert read_value(spelling) == Value(number)


@pytest.mark.parametrize(
    ("candidate", "texts", "spellings"),
    [
        ("120", [], ["120"]),
        ("999", ["It is 999.", "So 12 + 3 = 15."], ["999"]),
        ("1200", [], ["1200", "1,200"]),
        ("1,200", [], ["1,200", "1200"]),
        ("18", ["9 * $2.00 = $18.00."], ["18", "$18.00"]),
        ("18", ["It was $19.50 once."], ["18"]),
        ("1200", ["= 1200.0", "= $1,200.00"], ["1200", "1,200", "1200.0", "$1,200.00"]),
        ("9500", ["19 * 500 = 9{,}500."], ["9500", "9,500", "9{,}500"]),
        ("3/4", [], ["3/4", "0.75", "\\frac{3}{4}"]),
        ("1/3", [], ["1/3", "\\frac{1}{3}"]),
        ("7/4", [], ["7/4", "1.75", "1 3/4", "\\frac{7}{4}", "1\\frac{3}{4}"]),
        ("12:30", ["at 12:30"], ["12:30", "12:30 pm", "12:30 PM"]),
        ("9:05 p.m.", [], ["9:05 p.m.", "21:05", "9:05 pm", "9:05 PM"]),
        ("0:05", [], ["0:05", "00:05", "12:05 am", "12:05 AM"]),
        ("3rd of May 2021", [], ["3rd of May 2021", "2021-05-03", "3 May 2021", "May 3, 2021"]),
        ("blue", ["It is blue."], ["blue"]),
    ],
)
def test_spellings_are_those_that_a_model_is_likely_to_write(
    candidate: str, texts: list[str], spellings: list[str]
) -> None:
    question = make_question(candidate)
    assert list(list_spellings(candidate, collect_notations(question, [candidate], texts))) == spellings


def test_decimals_of_the_question_and_of_other_candidates_count() -> None:
    question = make_question("5", "7.5")
    assert list_spellings("5", collect_notations(question, question.candidates, [])) == ("5", "5.0")
    question = make_question("5", "7", text="Two pens cost $2.50 each. What do they cost?")
    assert list_spellings("5", collect_notations(question, question.candidates, [])) == ("5", "5.00")
    european = make_question("2,5", "1200", mark=",")
    notations = collect_notations(european, european.candidates, ["= 1.200,00"])
    assert list_spellings("1200", notations, ",") == ("1200", "1.200", "1200,0", "1.200,0", "1.200,00")


@pytest.mark.parametrize(
    ("step", "value"),
    [
        ("4 - 52 = -58.", "-58"),
        ("19 * 500 = 9{,}500.", "9500"),
        ("It costs $1,200.00.", "1200"),
        ("So 5-3 is left", "3"),
        ("We meet at 12:30.", None),
        ("1. Think.", None),
        ("12 / 16 = 3/4", "0.75"),
        ("", None),
    ],
)
def test_stated_values_keep_their_signs(step: str, value: str | None) -> None:
    result = read_stated_value(step)
    assert (None if result is None else str(result)) == value


def test_candidates_of_a_file_may_be_spelled_in_several_ways() -> None:
    question = make_free_form_question("q", "?", "1,200", candidates=("1200", "7"))
    assert question.answer == "1200"
    both = make_free_form_question("q", "?", "1,200", candidates=("1200", "1,200", "7"))
    assert both.answer == "1,200"
    with pytest.raises(BadEntryError, match="spellings of one value"):
        make_free_form_question("q", "?", "1,200", candidates=("1200", "1,200"))
    with pytest.raises(BadEntryError, match="not among"):
        make_free_form_question("q", "?", "12", candidates=("-12", "13"))


def test_values_in_other_spellings_are_not_offered_twice() -> None:
    question = make_free_form_question("q", "?", "1200", values=("1,200", "1,150.0"))
    numbers = [read_value(text) for text in question.candidates]
    assert len(set(numbers)) == len(numbers) == N_CANDIDATES
    assert "1200" in question.candidates
    assert "1,150.0" in question.candidates
