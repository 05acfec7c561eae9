"""Dates and times of day: read from text, found in it, written in the notation of another, and in all usual spellings.

1. `read_date` and `read_time` read a text that is one date or one time, and nothing else. A date must have its year.
   "3/4/2021" is not read, because it does not say which number is the month.
2. `find_dates` lists the dates in running text, so that no part of one is taken for a number.
3. `write_like` writes a date or a time as another text writes one, and `list_spellings` in the usual ways.

For example::

    read_time("9:05 p.m.")                          time(21, 5)
    write_like(date(2021, 5, 4), "May 3rd, 2021")   "May 4th, 2021"
    list_spellings(date(2021, 5, 3))                2021-05-03, 3 May 2021, May 3, 2021
"""

import re
from collections.abc import Iterator
from datetime import date, time

Moment = date | time

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip

TIME = re.compile(
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?(?P<half>\s*[ap]\.?\s?m\.?)?"
    r"|(?P<full>[0-9]{1,2})(?P<full_half>\s*[ap]\.?m\.?)",
    re.I,
)
_ORDINAL = r"(?P<{0}>[0-9]{{1,2}})(?P<{0}_th>st|nd|rd|th)?"
_MONTH_NAMES = "|".join(rf"{month[:3]}(?:{month[3:]})?" if len(month) > 3 else month for month in MONTHS) + "|Sept"
_NAMED_DATE = (
    rf"(?:{_ORDINAL.format('day')}(?:\s+of)?\s+(?P<month>{_MONTH_NAMES})\.?|(?P<month_first>{_MONTH_NAMES})\.?"
    rf"\s+{_ORDINAL.format('day_after')}),?\s+(?P<year>[0-9]{{4}})"
)
_DATE = re.compile(
    rf"(?P<iso>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})|{_NAMED_DATE}"
    r"|(?P<first>[0-9]{1,2})(?P<slash>[/.])(?P<second>[0-9]{1,2})(?P=slash)(?P<last>[0-9]{4})",
    re.I,
)
_IN_TEXT = re.compile(rf"(?<![\w.,:/-])(?:{_DATE.pattern})(?![\w:/]|[.,-][0-9])", re.I)


def read_time(text: str) -> time | None:
    """The time of day that `text` is, such as "12:30", "9:05:30" or "8 p.m."; None if it is none."""
    match = TIME.fullmatch(text)
    if match is None:
        return None
    hour, half = int(match["hour"] or match["full"]), (match["half"] or match["full_half"] or "").strip().lower()
    if hour > 23 or (half and not 1 <= hour <= 12):
        return None
    hour = hour % 12 + 12 * half.startswith("p") if half else hour
    return time(hour, int(match["minute"] or 0), int(match["second"] or 0))


def read_date(text: str) -> date | None:
    """The date that `text` is, with its year; None if it is no date, or could be two."""
    match = _DATE.fullmatch(text)
    return None if match is None else _make_date(match)


def find_dates(text: str) -> Iterator[tuple[int, int, date]]:
    """The start, the stop (exclusive) and the value of each date in running text."""
    for match in _IN_TEXT.finditer(text):
        if (day := _make_date(match)) is not None:
            yield *match.span(), day


def write_like(moment: Moment, like: str) -> str | None:
    """`moment` in the notation of the text `like`; None if `like` is no moment, or the notation can be misread."""
    if isinstance(moment, time):
        match = TIME.fullmatch(like)
        written = match and _write_time(moment, match)
        return written if written and read_time(written) == moment else None
    match = _DATE.fullmatch(like)
    written = match and _write_date(moment, match)
    return written if written and read_date(written) == moment else None


def list_spellings(moment: Moment) -> list[str]:
    """The usual ways to write a date or a time in English, the normal form first."""
    if isinstance(moment, date):
        month = MONTHS[moment.month - 1]
        return [moment.isoformat(), f"{moment.day} {month} {moment.year:04}", f"{month} {moment.day}, {moment.year:04}"]
    rest = f":{moment.minute:02}" + (f":{moment.second:02}" if moment.second else "")
    twelve = f"{moment.hour % 12 or 12}{rest}"
    halves = ("pm", "PM") if moment.hour >= 12 else ("am", "AM")
    spelled = [f"{moment.hour:02}{rest}", f"{moment.hour}{rest}", *(f"{twelve} {half}" for half in halves)]
    return list(dict.fromkeys(spelled))


def _make_date(match: re.Match[str]) -> date | None:
    if match["iso"]:
        return _try_date(*match["iso"].split("-"))
    if name := match["month"] or match["month_first"]:
        month = next(i for i, each in enumerate(MONTHS, 1) if each[:3].lower() == name[:3].lower())
        return _try_date(match["year"], month, match["day"] or match["day_after"])
    first, second, year = match["first"], match["second"], match["last"]
    read = {_try_date(year, first, second), _try_date(year, second, first)} - {None}
    return read.pop() if len(read) == 1 else None


def _try_date(year: str, month: str | int, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None  # the 35th of May


def _write_time(moment: time, like: re.Match[str]) -> str:
    hour, half = like["hour"] or like["full"], like["half"] or like["full_half"] or ""
    if half:
        half = re.sub("[apAP]", lambda old: _match_case("p" if moment.hour >= 12 else "a", old[0]), half, count=1)
    number = moment.hour % 12 or 12 if half else moment.hour
    rest = f":{moment.minute:02}" if like["minute"] or moment.minute else ""
    rest += f":{moment.second:02}" if like["second"] or moment.second else ""
    return (f"{number:02}" if hour.startswith("0") else str(number)) + rest + half


def _write_date(moment: date, like: re.Match[str]) -> str:
    if like["iso"]:
        return moment.isoformat()
    if like["slash"]:
        is_day_first = int(like["first"]) > 12 or like["slash"] == "."
        day, month = (like["first"], like["second"]) if is_day_first else (like["second"], like["first"])
        pair = [_pad_like(moment.day, day), _pad_like(moment.month, month)]
        return like["slash"].join([*(pair if is_day_first else reversed(pair)), f"{moment.year:04}"])
    name = like["month"] or like["month_first"]
    month = MONTHS[moment.month - 1]
    month = month[:3] if len(name) <= 4 and name.lower() not in ("may", "june", "july") else month
    text, th = like[0], "th" if 11 <= moment.day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(moment.day % 10, "th")
    day = "day" if like["day"] else "day_after"
    new = {"month" if like["month"] else "month_first": month, day: str(moment.day), "year": f"{moment.year:04}"}
    new |= {f"{day}_th": th} if like[f"{day}_th"] else {}
    for part in sorted(new, key=like.start, reverse=True):
        text = text[: like.start(part)] + new[part] + text[like.end(part) :]
    return text


def _pad_like(number: int, like: str) -> str:
    return f"{number:02}" if like.startswith("0") else str(number)


def _match_case(letter: str, like: str) -> str:
    return letter.upper() if like.isupper() else letter
