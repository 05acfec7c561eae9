r"""Values in text: the type for what an answer is, its reader, and its normal form.

1. `read_value` takes a text that is one value and nothing else. It removes what only decorates it (``\boxed{}``,
   ``**``, ``\(``), then tries a time, a date, a number and a fraction. Each has a grammar, which must match the whole
   text.
2. A text that no grammar matches has no value: the reader never takes a part of what it cannot read.
3. `find_values` takes running text. It cuts out each longest run of digits, with the marks that join digits, and reads
   the run as a whole. So of "12:30:99" or "1.2.3" nothing is taken, not even "12".
4. Two values are the same if their contents are: the unit does not count, since the question gives it.

For example::

    read_value("1,200")       Value(1200)              read_value("9{,}500")         Value(9500)
    read_value("$1,200.00")   Value(1200, "$")         read_value(r"\frac{3}{4}")    Value(3/4)
    read_value("12:30")       Value(time(12, 30))      read_value("3 to 4")          None
    read_value("1,2")         None: a list, or a decimal with a comma; with decimal_mark="," it is 6/5
    list(find_values("5 - 8 = -3"))                    5 at 0 to 1, 8 at 4 to 5, and -3 at 8 to 10
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, time
from fractions import Fraction
from functools import cache, lru_cache
from typing import Literal, NamedTuple, get_args

from faithlens.errors import TaskError, check_choice
from faithlens.tasks.larger_expressions import GOES_ON
from faithlens.tasks.moments import Moment, find_dates, read_date, read_time
from faithlens.tasks.number_words import SCALES, read_number_words

ValueKind = Literal["integer", "decimal", "fraction", "percent", "currency", "date", "time", "letter", "text"]
DecimalMark = Literal[".", ","]
"""What stands before the decimals: a point, or the comma of most European languages, where a task says so."""

MAX_LENGTH = 400
"""Characters of the longest text that is read as a value; also the largest power of ten."""
_LONGEST_DECORATED = 10 * MAX_LENGTH  # with what decorates it

_MINUS = "-−–‐‑－"
_DIGIT_SPACES = "\u00a0\u2006\u2007\u2009\u202f"  # spaces that do not break a line, or are too thin to part words
_LATEX_SPACES = r"\\[,;:! ]|~"
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_CURRENCY = r"\\?[$€£¥]"
_CURRENCY_WORDS = r"dollars?|euros?|USD|EUR|GBP"
_PERCENT = r"\\?%|percent\b|per\s?cent\b"
_POWER = (
    r"\s*(?:[×x*·⋅]|\\times|\\cdot)\s*10\s*"
    rf"(?:(?:\^|\*\*)\s*(?:\{{\s*(?P<braced>[{_MINUS}+]?[0-9]{{1,4}})\s*\}}|(?P<power>[{_MINUS}+]?[0-9]{{1,4}}))"
    r"|(?P<raised>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4}))"
)
_LATEX_FRACTION = rf"\\[cdt]?frac\s*(?:\{{\s*([{_MINUS}]?\s*[0-9]+)\s*\}}\s*\{{\s*([0-9]+)\s*\}}|\s?([0-9])\s*([0-9]))"
_SCALE_WORDS = "|".join(SCALES)

_WRAPPER = re.compile(r"\\(?:boxed|text|mathrm|mathbf|textbf)\s*\{(.*)\}", re.S)
_FRACTION = re.compile(
    rf"(?P<sign>[{_MINUS}+]?)\s*(?P<currency>{_CURRENCY})?\s*(?:(?P<whole>[0-9]+)(?:\s+|\s*(?=\\|[^\x00-\x7f])))?"
    rf"(?:(?P<above>[0-9]+)\s*[/⁄]\s*(?P<below>[0-9]+)|(?P<latex>{_LATEX_FRACTION})|(?P<vulgar>[^\x00-\x7f]))"
    rf"\s*(?P<percent>{_PERCENT})?"
)
_LETTER = re.compile(r"\(([A-Z])\)|([A-Z])[).:]?")
_GOES_ON_FOREVER = re.compile(rf"[0-9][.,][0-9]{{1,20}}{GOES_ON}")
_ENDS = re.compile(r"(?:\.|(?<![0-9)\]}!\s])!+)+$")  # "5!" is another number than 5


@dataclass(frozen=True)
class Value:
    """What an answer is, however it is written.

    Attributes:
        content: an exact number; a date or a time of day; or a text, which a letter is too.
        unit: the currency sign, or "%"; empty for none. Two values are equal if their contents are.
    """

    content: Fraction | date | time | str
    unit: str = field(default="", compare=False)

    @property
    def is_number(self) -> bool:
        """Whether it is a number, of any kind."""
        return isinstance(self.content, Fraction)

    @property
    def kind(self) -> ValueKind:
        """What kind of value it is; a number without unit is an integer, a finite decimal, or a fraction."""
        match self.content:
            case Fraction() as number:
                if self.unit:
                    return "percent" if self.unit == "%" else "currency"
                return "integer" if number.denominator == 1 else "decimal" if _is_decimal(number) else "fraction"
            case date():
                return "date"
            case time():
                return "time"
            case text:
                return "letter" if re.fullmatch("[A-Z]", text) else "text"

    def __str__(self) -> str:
        """The normal form: equal values have the same, whatever their unit, and `read_value` reads it back."""
        match self.content:
            case Fraction() as number:
                return write_number(number)
            case date() as day:
                return day.isoformat()
            case time() as moment:
                return moment.isoformat("seconds" if moment.second else "minutes")
            case text:
                return text


class FoundValue(NamedTuple):
    """A value, and the half-open range of characters in which it stands, with its sign and unit."""

    start: int
    stop: int
    value: Value


def read_value(text: str, decimal_mark: DecimalMark = ".") -> Value | None:
    """The number, date or time that `text` is; None if it is none of these, or could be two.

    Raises TaskError for an unknown decimal mark.
    """
    check_choice(decimal_mark, get_args(DecimalMark), "decimal mark", TaskError)
    bare = strip_decoration(text) if len(text.strip()) <= _LONGEST_DECORATED else ""
    if not bare or len(bare) > MAX_LENGTH or _GOES_ON_FOREVER.search(text):
        return None
    return _read_bare(bare, decimal_mark)


def read_answer(text: str, decimal_mark: DecimalMark = ".") -> Value | None:
    """The value of an answer of any kind: as `read_value`, else a letter ("(B)"), else the text; None if empty."""
    value = read_value(text, decimal_mark)
    if value is None and (bare := text.strip()):
        letter = _LETTER.fullmatch(bare)
        value = Value((letter[1] or letter[2]) if letter else bare)
    return value


def is_same_answer(first: str | None, second: str | None, decimal_mark: DecimalMark = ".") -> bool:
    """Whether two answers have the same value; an unread one is the same as nothing, not even another."""
    if first is None or second is None:
        return False
    value = read_answer(first, decimal_mark)
    return value is not None and value == read_answer(second, decimal_mark)


def read_number(text: str, decimal_mark: DecimalMark = ".") -> Value | None:
    """The number that `text` writes in digits: "1,200", "-$3.50", "50 %", "1.2e3", "5 million"; None for a fraction."""
    bare = strip_decoration(text)
    match = _compile_number(decimal_mark).fullmatch(bare) if len(bare) <= MAX_LENGTH else None
    if match is None or (match["sign"] and match["inner_sign"]):
        return None
    decimals = match["decimals"] or match["only_decimals"] or ""
    digits = re.sub("[^0-9]", "", match["whole"] or "0") + decimals
    power = match["e"] or match["power"] or match["braced"] or (match["raised"] or "0").translate(_SUPERSCRIPTS)
    exponent = int(re.sub(f"[{_MINUS}]", "-", power)) - len(decimals)
    if abs(exponent) > MAX_LENGTH:
        return None
    number = int(digits) * Fraction(10) ** exponent * SCALES.get((match["scale"] or "").lower(), 1)
    negative = (match["sign"] or match["inner_sign"] or "+") in _MINUS
    if match["thousands"]:
        number *= 1000
    unit = "%" if match["percent"] else (match["currency"] or match["currency_after"] or "").removeprefix("\\")
    return Value(-number if negative else number, unit)


def write_number(number: Fraction, decimals: int = 0) -> str:
    """`number` in plain digits, exactly, with at least `decimals` decimals; "1/3" where no decimals are exact."""
    if not _is_decimal(number):
        return f"{number.numerator}/{number.denominator}"
    shift = 0
    while (number * 10**shift).denominator > 1:
        shift += 1
    places = max(shift, decimals)
    digits = str(abs(int(number * 10**places))).zfill(places + 1)
    sign = "-" if number < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def find_values(text: str, decimal_mark: DecimalMark = ".") -> Iterator[FoundValue]:
    """The numbers, dates and times in running text, each with its sign and unit, in order.

    Numbers that name something else are left out: ordinals, names such as x2, the number of a step, bases of powers. A
    run of digits that cannot be read as a whole gives nothing. Raises TaskError for an unknown decimal mark.
    """
    check_choice(decimal_mark, get_args(DecimalMark), "decimal mark", TaskError)
    dates = [FoundValue(start, end, Value(day)) for start, end, day in find_dates(text)]
    stop = 0
    for run in _RUN.finditer(text):
        while dates and dates[0].start < run.end():
            stop = dates[0].stop
            yield dates.pop(0)
        if run.start() < stop or not _begins_value(text, run):
            continue
        if (value := _read_run(text, stop, run, decimal_mark)) is not None:
            stop = value.stop
            yield value


_JOINT = (
    rf"(?<=[0-9])(?:\{{,\}}|,\\!|\\!,|{_LATEX_SPACES}|[.,:/⁄'’{_DIGIT_SPACES}])(?=[0-9])"
    rf"|(?<=[0-9][eE])[{_MINUS}+](?=[0-9])"
)
_MIXED = r"(?<![\w.,/⁄])[0-9]{1,4}[^\S\n][0-9]{1,3}[/⁄][0-9]{1,3}(?![\w/⁄]|[.,][0-9])"
_RUN = re.compile(rf"(?:\w*[0-9]\s?)?{_LATEX_FRACTION}|{_MIXED}|(?:(?<![\w.])\.)?\w+(?:(?:{_JOINT})\w+)*")
_NEAR = 40  # characters before a minus that say whether it is a sign
_HALF_DAY = re.compile(r"\s?[ap]\.?m\b\.?", re.I)
_AFTER = re.compile(
    rf"(?:{_POWER})?(?P<scale>\s+(?:{_SCALE_WORDS})\b)?(?P<unit>\s?(?:{_PERCENT}|[€£]|(?:{_CURRENCY_WORDS})\b))?",
    re.I,
)
_ENDS_IN_LETTERS = re.compile(r"(\.?[0-9](?:.*[0-9])?)([^\W0-9_]+)", re.S)
_NOT_A_UNIT = frozenset({"st", "nd", "rd", "th", "s", "e", "M", "B", "bn", "K", "k"})
_IS_NAMED = re.compile(rf"(?:\bstep|\bpart|[\^_]\{{?[{_MINUS}+]?|(?<=[\w)}}])\*\*[{_MINUS}+]?|[0-9]\s\*\*)\s?$", re.I)
_IS_BASE = re.compile(
    rf"\s?(?:\^(?!\s*\{{?\s*\\circ\b)\s?[{_MINUS}+]?[{{(\w]|\*\*(?:\s?[{_MINUS}+]?[0-9{{(]|[A-Za-z]))"
)
_BEFORE = re.compile(rf"(?P<sign>[{_MINUS}])?(?P<gap>[^\S\n]*)(?P<currency>{_CURRENCY})?$")
_SAYS_IS = re.compile(r"(?:\b(?:is|are|was|be|equals|makes|gives|leaves|get|to|of)\s|[=:({\[≈<>≤≥*/×+]\s?)\s*$")


def _begins_value(text: str, run: re.Match[str]) -> bool:
    return any(c in "0123456789" for c in run[0]) and not _IS_NAMED.search(text, max(0, run.start() - 8), run.start())


def _read_run(text: str, start: int, run: re.Match[str], decimal_mark: DecimalMark) -> FoundValue | None:
    """The value of one longest run of digits, with the sign and unit on either side; nothing before `start` is read."""
    core, stop = run[0], run.end()
    letters = _ENDS_IN_LETTERS.fullmatch(core)
    if letters and not letters[2].isalpha():  # a superscript or a digit of another script
        return None
    if half := _HALF_DAY.match(text, stop - len(letters[2]) if letters else stop):
        value = _wrap(read_time(text[run.start() : half.end()].rstrip(".")))
        return None if value is None else FoundValue(run.start(), half.end(), value)
    if letters and not (letters[2] == "k" and read_number(core, decimal_mark)):
        if letters[2] in _NOT_A_UNIT:
            return None
        core, stop = letters[1], run.start() + len(letters[1])  # the letters are a unit, as in "5cm" and "3x"
    elif _IS_BASE.match(text, stop):
        return None
    elif after := _AFTER.match(text, stop):
        core, stop = core + after[0], after.end()
    value = read_value(core, decimal_mark)
    if value is None:
        return None
    before = _BEFORE.search(text, max(start, run.start() - _NEAR), run.start())
    if before is None or core.startswith("_") or not isinstance(value.content, Fraction):
        return FoundValue(run.start(), stop, value)
    is_formula = before["currency"] == "$" and text[stop : stop + 1] == "$"
    start = before.start("currency") if before["currency"] and not is_formula else run.start()
    unit = value.unit or ("" if is_formula else (before["currency"] or "").removeprefix("\\"))
    if before["sign"] and _is_sign(text, before):
        return FoundValue(before.start(), stop, Value(-value.content, unit))
    return FoundValue(start, stop, Value(value.content, unit))


def _is_sign(text: str, before: re.Match[str]) -> bool:
    """Whether a minus is the sign of the number after it, and neither an operation, a hyphen, a range nor a bullet."""
    left = text[max(0, before.start() - _NEAR) : before.start()]
    if _SAYS_IS.search(left):
        return True
    if before["gap"]:
        return False
    return not left or ((left[-1].isspace() or not left[-1].isalnum()) and not re.search(r"[0-9)\]}%]\s*$", left))


def _wrap(moment: Moment | None) -> Value | None:
    return None if moment is None else Value(moment)


def _is_decimal(number: Fraction) -> bool:
    """Whether finitely many decimals write the number."""
    rest = number.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    return rest == 1


def strip_decoration(text: str) -> str:
    """`text` without what only decorates it or ends its sentence."""
    before = None
    while text != before:
        before = text
        text = _ENDS.sub("", text.strip()).strip('*_`"“”').strip()
        if (len(text) > 2 and text[0] == text[-1] == "$") or text[:2] + text[-2:] in (r"\(\)", r"\[\]", "$$$$"):
            text = text[1:-1] if text[0] == "$" else text[2:-2]
        if wrapped := _WRAPPER.fullmatch(text):
            text = wrapped[1]
    return text


@lru_cache(maxsize=1 << 14)  # a run reads the same few answers many thousand times
def _read_bare(bare: str, decimal_mark: DecimalMark) -> Value | None:
    """The value of a short text that nothing decorates."""
    return (
        _wrap(read_time(bare))
        or _wrap(read_date(bare))
        or read_number(bare, decimal_mark)
        or _read_fraction(bare)
        or (None if (number := read_number_words(bare)) is None else Value(Fraction(number)))
    )


@cache
def _compile_number(decimal_mark: DecimalMark) -> re.Pattern[str]:
    """The grammar of numbers in digits, with thousands by one separator throughout."""
    mark, group = (r"\.", r",|\{,\}|,\\!|\\!,") if decimal_mark == "." else (r"(?:,|\{,\})", r"\.")
    separator = rf"{group}|{_LATEX_SPACES}|['’_{_DIGIT_SPACES}]"
    indian = r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}" if decimal_mark == "." else ""
    return re.compile(
        rf"(?P<sign>[{_MINUS}+])?\s*(?P<currency>{_CURRENCY})?\s*(?P<inner_sign>[{_MINUS}+])?\s*"
        rf"(?:(?P<whole>[1-9][0-9]{{0,2}}(?P<separator>{separator})[0-9]{{3}}(?:(?P=separator)[0-9]{{3}})*{indian}|[0-9]+)"
        rf"(?:{mark}(?P<decimals>[0-9]+))?|{mark}(?P<only_decimals>[0-9]+))"
        rf"(?:[eE](?P<e>[{_MINUS}+]?[0-9]{{1,4}})|{_POWER})?"
        rf"(?:(?P<thousands>(?-i:k))|\s*(?P<scale>{_SCALE_WORDS}))?"
        rf"\s*(?:(?P<percent>{_PERCENT})|(?P<currency_after>{_CURRENCY}|{_CURRENCY_WORDS}))?",
        re.I,
    )


def _read_fraction(text: str) -> Value | None:
    match = _FRACTION.fullmatch(text)
    if match is None:
        return None
    if match["vulgar"]:
        if not unicodedata.name(match["vulgar"], "").startswith("VULGAR FRACTION"):
            return None
        part = Fraction(unicodedata.numeric(match["vulgar"])).limit_denominator(10)
    else:
        digits = re.findall("[0-9]+", match["latex"] or f"{match['above']}/{match['below']}")
        above, below = digits if len(digits) == 2 else digits[0]
        if int(below) == 0:
            return None
        is_negative = bool(re.search(f"[{_MINUS}]", match["latex"] or ""))
        part = Fraction(int(above), int(below)) * (-1 if is_negative else 1)
    if (match["whole"] and not 0 <= part < 1) or (match["sign"] and part < 0):
        return None
    number = int(match["whole"] or 0) + part
    unit = "%" if match["percent"] else (match["currency"] or "").removeprefix("\\")
    return Value(-number if match["sign"] and match["sign"] in _MINUS else number, unit)
