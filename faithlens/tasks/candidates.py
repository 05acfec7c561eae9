r"""The candidates of a free-form question, and the ways in which a model may write each.

1. `list_free_form_candidates` puts near misses beside the right number, date or time, in its own notation
   (`generate_near_misses`).
2. `merge_candidates` makes two spellings of one value one candidate.
3. `collect_notations` finds how the question and the chains of thought write these values: "$1,200", "9{,}500".
4. `list_spellings` writes each candidate in its own way, plainly, with commas from 1,000 on, with decimals where others
   have some, and in each notation that was found. A number below 1,000 in plain digits has one spelling only.

For example, the candidates "12.5" and "1200" of a question whose chain of thought says "$1,200.00"::

    12.5    12.5, $12.50
    1200    1200, 1,200, 1200.0, 1,200.0, $1,200.00
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from itertools import chain, product, zip_longest
from typing import Any

from faithlens.errors import TaskError
from faithlens.tasks import moments
from faithlens.tasks.moments import Moment
from faithlens.tasks.numbers import find_stated_span
from faithlens.tasks.question import Question
from faithlens.tasks.values import (
    DecimalMark,
    FoundValue,
    Value,
    find_values,
    read_answer,
    read_number,
    read_value,
    strip_decoration,
    write_number,
)

N_CANDIDATES = 10
"""The number of answers that a free-form question scores."""

_OFFSETS = (1, 2, 10, 3, 5, 4, 20, 6, 7, 8, 9, 11, 12, 15, 30)
_MINUTES = (60, 30, 10, 15, 5, 1, 20, 2, 120, 45, 90)  # between a time and its near misses
_DAYS = (1, 2, 7, 3, 10, 4, 5, 6, 14, 30)
_AROUND = re.compile(r"(?P<minus>[-−–]?)(?P<before>(?:\\?[$€£¥])?)(?P<digits>[0-9].*?)(?P<after>(?:\s?(?:\\?%|[€£]))?)")


@dataclass(frozen=True)
class Notation:
    """How numbers are written: what stands before and after them, between thousands, and how many decimals at least."""

    before: str = ""
    separator: str = ""
    decimals: int = 0
    after: str = ""
    minus: str = "-"
    decimal_mark: DecimalMark = "."

    def write(self, number: Fraction) -> str:
        """`number` in this notation, exactly; a number that no decimals write exactly, as a fraction."""
        whole, point, decimals = write_number(abs(number), self.decimals).partition(".")
        if whole.isdecimal():
            whole = f"{int(whole):,}".replace(",", self.separator)
        sign = self.minus if number < 0 else ""
        return sign + self.before + whole + point.replace(".", self.decimal_mark) + decimals + self.after


def read_notation(text: str, decimal_mark: DecimalMark = ".") -> Notation | None:
    """The notation that writes the number `text` exactly so; None for a text that is no number, or in another style."""
    value, around = read_number(text, decimal_mark), _AROUND.fullmatch(text)
    if value is None or around is None:
        return None
    digits, _, decimals = around["digits"].partition(decimal_mark)
    separator = re.match("[0-9]{1,3}([^0-9]+)", digits)
    notation = Notation(
        before=around["before"],
        separator=separator[1] if separator else "",
        decimals=len(decimals),
        after=around["after"],
        minus=around["minus"] or "-",
        decimal_mark=decimal_mark,
    )
    return notation if notation.write(get_number(value)) == text else None


def generate_near_misses(answer: str, decimal_mark: DecimalMark = ".") -> Iterator[str]:
    """Values close to `answer` in its own notation, the most plausible first; none is below zero unless `answer` is.

    Raises:
        TaskError: `answer` is no number, date or time.
    """
    value = read_value(answer, decimal_mark)
    if value is not None and not value.is_number:
        yield from _generate_moments_beside(value, answer)
    elif is_written_as_fraction(answer):
        yield from _generate_fractions_beside(get_number(value), answer)
    else:
        yield from _generate_numbers_beside(get_number(value), answer, decimal_mark)


def _generate_numbers_beside(true: Fraction, answer: str, decimal_mark: DecimalMark) -> Iterator[str]:
    notation = read_notation(answer, decimal_mark) or Notation(decimal_mark=decimal_mark)
    unit = Fraction(1, 10 ** max(notation.decimals, len(write_number(true).partition(".")[2])))
    for offset in _OFFSETS:
        for other in (true + offset * unit, true - offset * unit):
            if other >= 0 or true < 0:
                yield notation.write(other)


def _generate_fractions_beside(true: Fraction, like: str) -> Iterator[str]:
    """Fractions with another numerator or another denominator than `true` has."""
    above, below = true.numerator, true.denominator
    seen = {true}
    for offset in _OFFSETS:
        pairs = ((above + offset, below), (above, below + offset), (above - offset, below), (above, below - offset))
        for other in (Fraction(*pair) for pair in pairs if pair[1] > 0):
            if other not in seen and (other >= 0 or true < 0):
                seen.add(other)
                yield _write_fraction(other, is_latex="frac" in like)


def _generate_moments_beside(value: Value, like: str) -> Iterator[str]:
    true = value.content
    assert isinstance(true, date | time)
    offsets = [timedelta(days=n) for n in _DAYS] if isinstance(true, date) else [timedelta(minutes=n) for n in _MINUTES]
    for offset in offsets:
        for signed in (offset, -offset):
            other = _shift_moment(true, signed)
            written = None if other is None else moments.write_like(other, like)
            if written is not None:
                yield written


def _shift_moment(moment: Moment, by: timedelta) -> Moment | None:
    """The date, or the time of the same day, after `by`; None beyond the first or the last day."""
    try:
        if isinstance(moment, date):
            return moment + by
        day = datetime(2000, 1, 1)
        shifted = datetime.combine(day, moment) + by
        return shifted.time() if shifted.date() == day.date() else None
    except OverflowError:
        return None


def write_plainly(text: str, decimal_mark: DecimalMark = ".") -> str | None:
    """A value as a candidate: a number in plain digits or as a plain fraction, a date or time as it stands; else None.

    A fraction keeps its style: "3/4" or ``\\frac{3}{4}``.
    """
    value = read_value(text, decimal_mark)
    if value is None or not isinstance(value.content, Fraction):
        return value and strip_decoration(text)
    if is_written_as_fraction(text):
        return _write_fraction(value.content, is_latex="frac" in text)
    return Notation(decimal_mark=decimal_mark).write(value.content)


def is_written_as_fraction(number: str) -> bool:
    """Whether a number is written with a numerator and a denominator: "3/4", ``\\frac{3}{4}``, "1½"."""
    return re.search("[/⁄¼-¾⅐-⅞]|frac", number) is not None


def _write_fraction(number: Fraction, is_latex: bool, is_mixed: bool = False) -> str:
    sign, below = "-" if number < 0 else "", number.denominator
    whole, above = divmod(abs(number.numerator), below) if is_mixed or below == 1 else (0, abs(number.numerator))
    if above == 0:
        return f"{sign}{whole}"
    gap = "" if is_latex else " "
    return (
        sign
        + (f"{whole}{gap}" if whole else "")
        + (f"\\frac{{{above}}}{{{below}}}" if is_latex else f"{above}/{below}")
    )


def list_free_form_candidates(
    answers: Sequence[str], others: Iterable[str] = (), decimal_mark: DecimalMark = "."
) -> tuple[str, ...]:
    """The `answers`, then `others`, then near misses of the answers in turn: the first ten, in rising order.

    All are of one kind: numbers, dates or times. Raises TaskError where an answer is none of these.
    """
    beside = chain.from_iterable(zip_longest(*(generate_near_misses(answer, decimal_mark) for answer in answers)))
    kind = _get_content_type(answers[0], decimal_mark)
    same_kind = [text for text in others if _get_content_type(text, decimal_mark) is kind]
    ranked = merge_candidates([*answers, *same_kind, *filter(None, beside)], decimal_mark)[:N_CANDIDATES]
    return tuple(sorted(ranked, key=lambda text: _get_content(text, decimal_mark)))


def _get_content(text: str, decimal_mark: DecimalMark) -> Any:
    value = read_value(text, decimal_mark)
    return None if value is None else value.content


def _get_content_type(text: str, decimal_mark: DecimalMark) -> type:
    return type(_get_content(text, decimal_mark))


def merge_candidates(candidates: Iterable[str], decimal_mark: DecimalMark = ".", keep: str = "") -> list[str]:
    """One text for each value of `candidates`: the first, or `keep` if that is one of them."""
    texts: dict[Value | None, str] = {}
    for text in candidates:
        value = read_answer(text, decimal_mark)
        texts[value] = text if text == keep else texts.get(value, text)
    return list(texts.values())


def collect_notations(question: Question, candidates: Sequence[str], texts: Iterable[str]) -> tuple[Notation, ...]:
    """The notations of the candidates of a free-form question: plain digits, and those that are used for them.

    A notation is used if a candidate is written in it, or if one of `texts` writes the value of a candidate in it.
    Decimals count where the question or a candidate has some.
    """
    mark = question.decimal_mark
    own = [read_notation(text, mark) for text in candidates]
    notations = [read_notation(text, mark) for text, _ in _list_written(question.text, mark)]
    values = {read_value(text, mark) for text in candidates}
    used = [read_notation(text, mark) for each in texts for text, value in _list_written(each, mark) if value in values]
    most = max((notation.decimals for notation in (*own, *notations) if notation), default=0)
    comma = "," if mark == "." else "."
    plain = [Notation(separator=by, decimals=n, decimal_mark=mark) for n in (0, most) for by in ("", comma)]
    return tuple(dict.fromkeys([*plain, *filter(None, (*own, *used))]))


def list_spellings(candidate: str, notations: Sequence[Notation], decimal_mark: DecimalMark = ".") -> tuple[str, ...]:
    """The ways to write `candidate`, its own first; for a text there is no other."""
    value = read_value(candidate, decimal_mark)
    match value and value.content:
        case Fraction() as number:
            written = [notation.write(number) for notation in notations]
            if is_written_as_fraction(candidate):
                written += [_write_fraction(number, *style) for style in product((False, True), repeat=2)]
        case date() | time() as moment:
            written = moments.list_spellings(moment)
        case _:
            written = []
    return tuple(dict.fromkeys([candidate, *written]))


def read_stated_value(step: str, decimal_mark: DecimalMark = ".") -> Value | None:
    """The number that a step states as its result, with its sign; None if it states none that can be read."""
    statement = _find_stated(step, decimal_mark)
    return None if statement is None else statement.value


def write_stated_value(step: str, decimal_mark: DecimalMark = ".") -> str | None:
    """The number that a step states as its result, in the step's notation without unit; None if none can be read."""
    statement = _find_stated(step, decimal_mark)
    if statement is None:
        return None
    notation = read_notation(step[statement.start : statement.stop], decimal_mark) or Notation(
        decimal_mark=decimal_mark
    )
    return replace(notation, before="", after="").write(get_number(statement.value))


def _find_stated(step: str, decimal_mark: DecimalMark) -> FoundValue | None:
    span = find_stated_span(step)
    values = (each for each in find_values(step, decimal_mark) if span and each.start <= span[0] < each.stop)
    return next((each for each in values if isinstance(each.value.content, Fraction)), None)


def get_number(value: Value | None) -> Fraction:
    """The number that a value is.

    Raises TaskError for another kind of value, and for none.
    """
    if value is None or not isinstance(value.content, Fraction):
        raise TaskError(f"{value} is no number", "Give a number such as 12, -3 or 2.50.")
    return value.content


def _list_written(text: str, decimal_mark: DecimalMark) -> Iterator[tuple[str, Value]]:
    """Each value in `text`, as it is written there and as it is."""
    return ((text[start:stop], value) for start, stop, value in find_values(text, decimal_mark))
