"""Values are read right or not at all: every spelling is read back, and a table of strings is checked by hand."""

from datetime import date, time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faithlens.errors import TaskError
from faithlens.tasks.number_words import read_number_words
from faithlens.tasks.values import (
    Value,
    find_values,
    is_same_answer,
    read_answer,
    read_number,
    read_value,
    write_number,
)
from tests.conftest import call_unchecked

TENTH, HALF, THREE_QUARTERS = Fraction(1, 10), Fraction(1, 2), Fraction(3, 4)

NUMBERS: list[tuple[str, int | Fraction]] = [
    ("0", 0), ("7", 7), ("007", 7), ("42", 42), ("1200", 1200), ("1,200", 1200), ("12,345", 12345),
    ("1,234,567", 1234567), ("1200.0", 1200), ("1,200.00", 1200), ("1200.", 1200), ("12.5", Fraction(25, 2)),
    ("0.1", TENTH), (".5", HALF), ("-0", 0), ("0.0", 0), ("0.0000001", Fraction(1, 10**7)),
    ("-0.05", Fraction(-1, 20)), ("123456789012345678901234567890", 123456789012345678901234567890),
    ("1,00,000", 100000), ("12,34,567", 1234567), ("-5", -5), ("- 5", -5), ("−5", -5), ("– 5", -5), ("–5", -5),
    ("－5", -5), ("+5", 5), ("−1,200.50", Fraction(-2401, 2)), ("$5", 5), ("\\$5", 5), ("-$5", -5), ("$-5", -5),
    ("−$5.50", Fraction(-11, 2)), ("$1,200", 1200), ("$18.00", 18), ("€5", 5), ("5 €", 5), ("£3.20", Fraction(16, 5)),
    ("¥500", 500), ("12 dollars", 12), ("1 dollar", 1), ("15 euros", 15), ("12 USD", 12), ("50%", 50), ("50 %", 50),
    ("50\\%", 50), ("50 percent", 50), ("12.5%", Fraction(25, 2)), ("-3 per cent", -3), ("9{,}500", 9500),
    ("9\\!,500", 9500),
    ("$9{,}500", 9500), ("1{,}234{,}567", 1234567), ("9\\,500", 9500), ("10,\\!000", 10000), ("1\\;234", 1234),
    ("1~234", 1234), ("1\u202f234", 1234), ("1\u00a0234", 1234), ("1\u2009234\u2009567", 1234567),
    ("1\u2007234", 1234), ("1'234", 1234), ("1’234’567", 1234567), ("1_234", 1234), ("1.2e3", 1200), ("1.2E3", 1200),
    ("1e-3", Fraction(1, 1000)), ("-2e+2", -200), ("1.2 × 10^3", 1200), ("1.2 x 10^3", 1200), ("1.2*10**3", 1200),
    ("1.2 \\times 10^{3}", 1200), ("1.2 \\cdot 10^{-3}", Fraction(3, 2500)), ("1.2×10³", 1200),
    ("5 · 10⁻²", Fraction(1, 20)), ("3/4", THREE_QUARTERS), ("3 / 4", THREE_QUARTERS), ("-3/4", -THREE_QUARTERS),
    ("3⁄4", THREE_QUARTERS), ("1 1/2", Fraction(3, 2)), ("-1 1/2", Fraction(-3, 2)), ("\\frac{3}{4}", THREE_QUARTERS),
    ("\\dfrac{3}{4}", THREE_QUARTERS), ("\\tfrac{10}{4}", Fraction(5, 2)), ("-\\frac{3}{4}", -THREE_QUARTERS),
    ("\\frac34", THREE_QUARTERS), ("\\frac 1 2", HALF), ("2\\frac{1}{2}", Fraction(5, 2)), ("1/3", Fraction(1, 3)),
    ("22/7", Fraction(22, 7)), ("½", HALF), ("1½", Fraction(3, 2)), ("-¾", -THREE_QUARTERS), ("⅓", Fraction(1, 3)),
    ("⅞", Fraction(7, 8)), ("5 million", 5 * 10**6), ("1.2 million", 1200000), ("$3 billion", 3 * 10**9),
    ("2 thousand", 2000), ("5k", 5000), ("$5k", 5000), ("twelve", 12), ("zero", 0), ("minus three", -3),
    ("negative seven", -7), ("twenty-five", 25), ("twenty five", 25), ("one hundred", 100), ("a hundred", 100),
    ("one million", 10**6), ("two hundred and four", 204), ("Nineteen", 19), ("three thousand two hundred", 3200),
    ("one million and one", 1000001), ("**12**", 12), ("`12`", 12), ("\"12\"", 12), ("\\boxed{12}", 12),
    ("\\boxed{\\text{12}}", 12), ("\\(12\\)", 12), ("\\[12\\]", 12), ("$12$", 12), ("$$12$$", 12),
    ("$\\boxed{9{,}500}$", 9500), ("\\(-2.50\\)", Fraction(-5, 2)), (" 12. ", 12), ("\t12\n", 12),
]  # fmt: skip

MOMENTS: list[tuple[str, date | time]] = [
    ("12:30", time(12, 30)), ("0:05", time(0, 5)), ("23:59:59", time(23, 59, 59)), ("12:30 pm", time(12, 30)),
    ("12:30 AM", time(0, 30)), ("1:15 p.m.", time(13, 15)), ("8 a.m.", time(8)), ("3pm", time(15)),
    ("12 PM", time(12)), ("2021-05-04", date(2021, 5, 4)), ("May 4, 2021", date(2021, 5, 4)),
    ("May 4th, 2021", date(2021, 5, 4)), ("4 May 2021", date(2021, 5, 4)), ("4th of May 2021", date(2021, 5, 4)),
    ("Sept. 9, 1999", date(1999, 9, 9)), ("13/04/2021", date(2021, 4, 13)), ("04/13/2021", date(2021, 4, 13)),
    ("05/05/2021", date(2021, 5, 5)), ("31.12.1999", date(1999, 12, 31)),
]  # fmt: skip

UNREADABLE = [
    "", " ", ".", "-", "$", "%", "--5", "-$-5", "5-", "1,2", "1,23", "1,2345", "1234,567", "1,234,5", "12,34",
    "0,123", "1.234.567", "1.2.3", "1..2", "1 234", "1 2", "1,200 300", "1\u00a02", "9{,}5", "9{,}50", "1{,}234,567",
    "1e", "e3", "1e999", "1e99999999", "1.2e3e4", "10^3", "2^3", "x^2", "10³", "2 × 3", "3 + 4", "8-5", "12-15",
    "3 to 4", "3:2", "1/0", "1/2/3", "3/", "/4", "\\frac{1}{0}", "\\frac{1}{x}", "\\frac{1}", "\\sqrt{2}", "1 3/2",
    "12:60", "24:00", "25:30", "1:2", "12:30:99", "13 pm", "0:30 pm", "03/04/2021", "2021-13-01", "2021-02-30",
    "February 30, 2021", "Foo 4, 2021", "five twenty", "twenty ten", "hundred", "and five", "five and", "one two",
    "million", "thousand million", "ten hundred", "9 apples", "about 5", "x = 12", "B", "blue", "x2", "3rd", "5K",
    "5M", "٣", "１２", "(5)", "$5%€", "NaN", "inf", "0x10", "1" * 500,
]  # fmt: skip


def test_the_table_is_long_enough() -> None:
    texts = [text for text, _ in (*NUMBERS, *MOMENTS)] + UNREADABLE
    assert len(texts) >= 200
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(("text", "number"), NUMBERS)
def test_numbers_are_read_exactly(text: str, number: int | Fraction) -> None:
    assert read_value(text) == Value(Fraction(number))


@pytest.mark.parametrize(("text", "moment"), MOMENTS)
def test_dates_and_times(text: str, moment: date | time) -> None:
    assert read_value(text) == Value(moment)


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_cannot_be_read_is_none(text: str) -> None:
    assert read_value(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,2", Fraction(6, 5)),
        ("1.234,56", Fraction(30864, 25)),
        ("1.234", 1234),
        ("-12,5 %", Fraction(-25, 2)),
        ("9{,}5", Fraction(19, 2)),
        ("1\u202f234,5", Fraction(2469, 2)),
        ("1200", 1200),
        ("1.2", None),
        ("1,2,3", None),
        ("1,234.5", None),
    ],
)
def test_a_comma_is_a_decimal_mark_where_the_task_says_so(text: str, number: int | Fraction | None) -> None:
    assert read_value(text, ",") == (None if number is None else Value(Fraction(number)))


def test_an_unknown_decimal_mark_is_refused() -> None:
    with pytest.raises(TaskError, match="decimal mark"):
        call_unchecked(read_value, "1", ";")
    with pytest.raises(TaskError, match="decimal mark"):
        list(call_unchecked(find_values, "1", ";"))


@pytest.mark.parametrize(
    ("text", "kind", "normal"),
    [
        ("1,200.0", "integer", "1200"),
        ("12.50", "decimal", "12.5"),
        ("3/4", "decimal", "0.75"),
        ("2/6", "fraction", "1/3"),
        ("50 %", "percent", "50"),
        ("$1,200.50", "currency", "1200.5"),
        ("May 4, 2021", "date", "2021-05-04"),
        ("3 pm", "time", "15:00"),
        ("3:00:05", "time", "03:00:05"),
        ("(B)", "letter", "B"),
        ("B.", "letter", "B"),
        (" dark red ", "text", "dark red"),
    ],
)
def test_kinds_and_normal_forms(text: str, kind: str, normal: str) -> None:
    value = read_answer(text)
    assert value is not None
    assert (value.kind, str(value)) == (kind, normal)
    assert read_answer(str(value)) == value


def test_the_same_answer() -> None:
    assert is_same_answer("1,200", "1200.0")
    assert is_same_answer("$18.00", "18")
    assert is_same_answer("3/4", ".75")
    assert is_same_answer("(B)", "B")
    assert not is_same_answer("-5", "5")
    assert not is_same_answer("B", "b")
    assert not is_same_answer("12:30", "12")
    assert not is_same_answer("", "")
    assert not is_same_answer(None, None)


def test_fractions_are_not_numbers_in_digits() -> None:
    assert read_number("1/2") is None
    assert read_number("one") is None
    assert read_number("1,200.50") == Value(Fraction(2401, 2))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5 - 8 = -3", ["5", "8", "-3"]),
        ("5-8 = - 3", ["5", "8", "- 3"]),
        ("12 -5", ["12", "5"]),
        ("The answer is - 3", ["- 3"]),
        ("- 3 apples", ["3"]),
        ("-_1 and -_2_", ["_1", "_2_"]),
        ("I have -5 left (−7)", ["-5", "−7"]),
        ("from 2010–2015", ["2010", "2015"]),
        ("The total is \\boxed{$9{,}500}.", ["$9{,}500"]),
        ("12:30:99, 1.2.3, 3,4, x2, step 3, the 3rd, 2^3, 10³ and m_2", []),
        ("It costs $1,250.50, or 50 %.", ["$1,250.50", "50 %"]),
        ("At 8 a.m. or 12:30 there are 12.", ["8 a.m.", "12:30", "12"]),
        ("So 1/2 of 24 = 12, \\frac{3}{4} of 16", ["1/2", "24", "12", "\\frac{3}{4}", "16"]),
        ("$12$ and 5cm, 3x and 5k", ["12", "5", "3", "5k"]),
        ("1.2 × 10^3 m and 1.2e-3 kg", ["1.2 × 10^3", "1.2e-3"]),
        ("5 x 10 = 50", ["5", "10", "50"]),
        ("1.5 million people", ["1.5 million"]),
        ("None here.", []),
        ("", []),
    ],
)
def test_values_in_running_text(text: str, expected: list[str]) -> None:
    values = list(find_values(text))
    assert [text[start:stop] for start, stop, _ in values] == expected
    assert [value for *_, value in values] == [read_value(each) for each in expected]


WHOLE = st.integers(-(10**12), 10**12)
SEPARATORS = st.sampled_from(["", ",", "{,}", "\\,", ",\\!", "\u202f", "\u2009", "\u00a0", "'", "_"])
SIGNS = st.sampled_from(["-", "−", "–", "- "])
UNITS = st.sampled_from(
    [("", ""), ("$", ""), ("\\$", ""), ("€", ""), ("", " €"), ("", "%"), ("", "\\%"), ("", " percent")]
)
FRAMES = st.sampled_from(["{}", " {}. ", "**{}**", "\\boxed{{{}}}", "\\({}\\)", "\\boxed{{\\text{{{}}}}}"])
EXACT = settings(max_examples=200, deadline=None)


@EXACT
@given(WHOLE, st.integers(0, 6), SEPARATORS, SIGNS, UNITS, FRAMES, st.integers(0, 3), st.sampled_from(".,"))
def test_every_spelling_of_a_decimal_is_read_back(
    digits: int, places: int, separator: str, sign: str, unit: tuple[str, str], frame: str, zeros: int, mark: str
) -> None:
    if mark == ",":
        separator = {",": ".", "{,}": "."}.get(separator, separator)
        separator = "" if separator == ",\\!" else separator
    whole, decimals = divmod(abs(digits), 10**places)
    tail = (str(decimals).zfill(places) if places else "") + "0" * zeros
    number = f"{whole:,}".replace(",", separator) + (mark + tail if tail else "")
    written = frame.format((sign if digits < 0 else "") + unit[0] + number + unit[1])
    value = Fraction(digits, 10**places)
    assert read_value(written, mark) == Value(value)  # type: ignore[arg-type]
    assert read_value(write_number(value)) == Value(value)
    assert str(read_value(write_number(value))) == write_number(value)


@EXACT
@given(
    st.fractions(max_denominator=10**6),
    st.sampled_from(["{}/{}", "{} / {}", "\\frac{{{}}}{{{}}}", "\\dfrac{{{}}}{{{}}}"]),
)
def test_every_spelling_of_a_fraction_is_read_back(value: Fraction, form: str) -> None:
    sign = "-" if value < 0 else ""
    assert read_value(sign + form.format(abs(value.numerator), value.denominator)) == Value(value)
    assert read_value(write_number(value)) == Value(value)


@EXACT
@given(
    WHOLE, st.integers(-30, 30), st.sampled_from(["{}e{}", "{}E{}", "{} × 10^{}", "{} \\times 10^{{{}}}", "{}*10**{}"])
)
def test_powers_of_ten_are_read_back(digits: int, power: int, form: str) -> None:
    assert read_value(form.format(digits, power)) == Value(digits * Fraction(10) ** power)


@EXACT
@given(st.dates(date(1000, 1, 1)), st.sampled_from(["%Y-%m-%d", "%B %d, %Y", "%d %B %Y", "%b %d, %Y"]))
def test_dates_are_read_back(day: date, form: str) -> None:
    assert read_value(day.strftime(form)) == Value(day)
    assert read_value(str(Value(day))) == Value(day)


@EXACT
@given(st.times().map(lambda moment: moment.replace(microsecond=0)), st.booleans())
def test_times_are_read_back(moment: time, is_english: bool) -> None:
    assert read_value(moment.strftime("%I:%M:%S %p" if is_english else "%H:%M:%S")) == Value(moment)
    assert read_value(str(Value(moment))) == Value(moment)


def write_words(n: int) -> str:
    """`n` in words, by division: independent of how they are read."""
    small = [
        *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
        *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
    ]
    tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    for size, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if n >= size:
            rest = f" {write_words(n % size)}" if n % size else ""
            return f"{write_words(n // size)} {name}{rest}"
    if n < 20:
        return small[n]
    return tens[n // 10 - 2] + (f"-{small[n % 10]}" if n % 10 else "")


@EXACT
@given(st.integers(0, 10**12 - 1))
def test_words_are_read_back(n: int) -> None:
    assert read_number_words(write_words(n)) == n
    assert read_value("minus " + write_words(n)) == Value(Fraction(-n))


@EXACT
@given(st.integers(11, 99).filter(lambda hundreds: hundreds % 10), st.integers(0, 99), st.sampled_from([" ", " and "]))
def test_years_and_prices_in_hundreds_are_read_back(hundreds: int, rest: int, joint: str) -> None:
    words = f"{write_words(hundreds)} hundred" + (f"{joint}{write_words(rest)}" if rest else "")
    assert read_number_words(words) == 100 * hundreds + rest
    assert read_number_words(f"{words} hundred") is None


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789.,-−/:%$€ {}\\^eE×xk\u202f½³²abmthousandfrac*\n", max_size=25))
def test_any_text_is_read_the_same_by_its_normal_form_or_not_at_all(text: str) -> None:
    value = read_value(text)
    if value is not None:
        assert read_value(str(value)) == value
    stop = 0
    for result in find_values(text):
        assert stop <= result.start < result.stop <= len(text)
        stop = result.stop
