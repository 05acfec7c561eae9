"""Values: any text is read as one value or as none, and what is read is written back."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import strategies as st

from faithlens.errors import TaskError
from faithlens.tasks.candidates import (
    N_CANDIDATES,
    collect_notations,
    generate_near_misses,
    list_free_form_candidates,
    list_spellings,
    merge_candidates,
    read_notation,
    read_stated_value,
    write_stated_value,
)
from faithlens.tasks.number_words import read_number_words
from faithlens.tasks.numbers import find_number_spans, find_stated_span
from faithlens.tasks.question_factory import make_free_form_question
from faithlens.tasks.values import (
    DecimalMark,
    find_values,
    is_same_answer,
    read_answer,
    read_number,
    read_value,
    write_number,
)
from tests.fuzz.runner import fuzz
from tests.fuzz.strategies import CHAIN, MARKS, NOTATED, VALUE_TEXT


@fuzz(VALUE_TEXT, MARKS, slice=300)
def test_a_value_has_a_normal_form_that_is_read_back(text: str, mark: DecimalMark) -> None:
    read_number_words(text)
    value, answer = read_value(text, mark), read_answer(text, mark)
    assert (answer is None) == (not text.strip())
    assert read_number(text, mark) in (None, value)
    if value is None:
        return
    assert answer == value
    assert read_value(str(value)) == value
    assert is_same_answer(text, text, mark)
    assert read_value(f" **{text}** ", mark) == value
    if isinstance(value.content, Fraction):
        assert read_value(write_number(value.content, 3)) == value
        assert read_value(f"\\boxed{{{text}}}", mark) in (value, None)


@fuzz(st.one_of(CHAIN, VALUE_TEXT), MARKS, slice=300)
def test_values_in_text_stand_apart_and_are_read_from_there(text: str, mark: DecimalMark) -> None:
    stop = 0
    for result in find_values(text, mark):
        assert stop <= result.start < result.stop <= len(text)
        assert read_value(text[result.start : result.stop], mark) == result.value
        stop = result.stop
    spans = find_number_spans(text)
    assert all(a < b <= len(text) for a, b in spans)
    assert all(b <= c for (_, b), (c, _) in pairwise(spans))
    stated, written = read_stated_value(text, mark), write_stated_value(text, mark)
    assert (stated is None) == (written is None)
    assert stated is None or find_stated_span(text) is not None
    assert written is None or read_value(written, mark) == stated


@fuzz(st.lists(VALUE_TEXT, min_size=1, max_size=6), MARKS, slice=150)
def test_spellings_of_one_value_are_one_candidate(texts: list[str], mark: DecimalMark) -> None:
    merged = merge_candidates(texts, mark)
    assert merge_candidates(merged, mark) == merged
    assert set(merged) <= set(texts)
    for text in texts:
        assert not text.strip() or sum(is_same_answer(text, each, mark) for each in merged) == 1
    for one in merged:
        assert [other for other in merged if is_same_answer(one, other, mark)] == ([one] if one.strip() else [])


MOMENTS = st.one_of(st.dates().map(str), st.times().map(lambda t: t.strftime("%H:%M")), st.sampled_from(["3/4", "½"]))


@fuzz(st.one_of(MOMENTS, VALUE_TEXT), MARKS, slice=100)
def test_any_value_is_an_answer_among_others_of_its_kind(text: str, mark: DecimalMark) -> None:
    value = read_value(text, mark)
    if value is None:
        return
    question = make_free_form_question("q", "?", text, (), (), mark)
    values = [read_value(candidate, mark) for candidate in question.candidates]
    assert values.count(value) == 1
    assert len({type(each.content) for each in values if each}) == 1 < len(values) == len(set(values))
    notations = collect_notations(question, question.candidates, [])
    for candidate, own in zip(question.candidates, values, strict=True):
        assert {read_value(spelling, mark) for spelling in list_spellings(candidate, notations, mark)} == {own}


@fuzz(NOTATED, st.lists(NOTATED, max_size=3), MARKS, slice=150)
def test_near_misses_are_other_numbers_in_one_order(number: str, others: list[str], mark: DecimalMark) -> None:
    true = read_number(number, mark)
    notation = read_notation(number, mark)
    assert notation is None or true is not None
    if true is None:
        return
    others = [other for other in others if read_number(other, mark) is not None]
    misses = [read_value(miss, mark) for miss in generate_near_misses(number, mark)]
    assert None not in misses
    assert true not in misses
    assert len(set(misses)) == len(misses)
    candidates = list_free_form_candidates([number], others, mark)
    values = [read_value(each, mark) for each in candidates]
    assert true in values
    assert len(set(values)) == len(values) == N_CANDIDATES
    assert [each.content for each in values if each] == sorted(each.content for each in values if each)  # pyright: ignore[reportArgumentType]


@fuzz(VALUE_TEXT, MARKS, slice=60)
def test_a_text_that_is_no_value_has_no_candidates(text: str, mark: DecimalMark) -> None:
    if read_value(text, mark) is None:
        try:
            list_free_form_candidates([text], (), mark)
        except TaskError:
            return
        raise AssertionError("candidates of no value")
