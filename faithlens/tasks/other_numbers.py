"""Which numbers of a sentence name something else than an amount: a year, a day, a time, a remainder, a line, a step?

What stands just before the number and just after it decides. For example, in "In 2019 she keeps 12 hens (see line 3),
and at least 10 ducks." the 2019, the 3 and the bound 10 name something else, and the 12 does not.
"""

import re

from faithlens.tasks.larger_expressions import is_bound

_COMPARED = r"\s*(?:[<>≤≥]|\\[lg]e?q?\b)\s*[$€£(]*"
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_REFERENCE = re.compile(
    r"\b(?:(?:(?:step|line|part|page|section|chapter|equation|figure|table|row|item|rule|example|question|problem|case|day"
    r"|week|round|version|room|year|option|choice|verse)s\s+[0-9]+\s*(?:[-–]|\b(?:and|to|or)\b)\s*)"
    r"|(?:steps?|lines?|parts?|pages?|p\.|pp\.|sections?|sec\.|chapters?|eqs?\.|equations?|figs?\.|figures?|tables?|rows?"
    r"|items?|rules?|examples?|questions?|problems?|cases?|no\.|day|week|round|remainder(?: of| is|:)?|modulo|mod"
    rf"|versions?|rooms?|bus|grade|age|aged|verse|{_MONTH},?|option|choice)\s*[(#]?)$|(?<![#\w&])#$|[№§]\s?$",
    re.I,
)
_YEAR = re.compile("1[5-9][0-9]{2}|20[0-9]{2}")
_YEAR_BEFORE = re.compile(
    r"\b(?:(?:in|since|until|till|before|after|during|year|years|between)\s+(?:the\s+(?:years?\s+)?)?"
    r"|(?:by|from|for)\s+(?:the\s+year\s+)?"
    r"|(?:year|spring|summer|autumn|fall|winter|end|start|beginning|class|months?)\s+of\s+|years?\s+[0-9]{4}\s+(?:and|to|or)\s+"
    r"|(?:from|between)\s+[0-9]{4}\s+(?:to|and|until|till)\s+)$",
    re.I,
)
_COUNTED_AFTER = re.compile(r"\s+(?!was\b|is\b|has\b|does\b)[a-z]+s\b")  # "in 2000 steps"
_TAKES_YEAR_AS_NUMBER = re.compile(r"\b(?:divid|multipl|subtract|tak|add|increas|decreas|reduc|times)\w*\b", re.I)
_LISTED_BEFORE = re.compile(r"(?:^|[:;,.]\s|\b(?:and|or|then)\s)[*_]*(?P<bracket>\(?)$")
_LISTED_AFTER = re.compile(r"[).][*_]*\s+(?=(?P<next>\S))")
_IS_MOMENT = rf"(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?![a-z])|\s+o['’]clock|\s?[ap]\.?m\b|\s+(?:BC|AD|B\.C\.|A\.D\.)"
MOMENT_AFTER = re.compile(_IS_MOMENT)
LEFT_OVER_AFTER = re.compile(
    r"\s+(?:\w+\s+)?(?:(?:is|are|was|were|being)\s+)?left\s?-?over|\s+(?:as|is the) (?:a )?remainder"
)
_NAMED_AFTER = re.compile(rf"{_IS_MOMENT}|{LEFT_OVER_AFTER.pattern}|s\b(?<=[0-9]0s)")
NEAR = 60  # characters before a number that say what it is


def stands_before(pattern: re.Pattern[str], text: str, place: int) -> bool:
    """Whether `pattern`, which ends in "$", stands just before `place`."""
    return pattern.search(text, max(0, place - NEAR), place) is not None


def names_something_else(sentence: str, start: int, stop: int) -> bool:
    """Whether the number from `start` to `stop` is a year, a day, a remainder, a reference, the number of a list item,
    or is only compared with another.
    """
    before = sentence[max(0, start - NEAR) : start]
    if re.compile(rf"{_COMPARED}[0-9]").match(sentence, stop) or re.search(rf"[0-9)]{_COMPARED}$", before):
        return True
    return bool(
        _is_year(sentence, start, stop)
        or _is_list_number(sentence, start, stop)
        or is_bound(sentence, start, stop)
        or stands_before(_REFERENCE, sentence, start)
        or _NAMED_AFTER.match(sentence, stop)
    )


def _is_year(sentence: str, start: int, stop: int) -> bool:
    if not _YEAR.fullmatch(sentence, start, stop) or _COUNTED_AFTER.match(sentence, stop):
        return False
    before = _YEAR_BEFORE.search(sentence, max(0, start - NEAR), start)
    is_loose = before is not None and re.match("by|from|for", before[0], re.I)
    return before is not None and not (is_loose and _TAKES_YEAR_AS_NUMBER.search(sentence, max(0, start - 200), start))


def _is_list_number(sentence: str, start: int, stop: int) -> bool:
    """Whether a number counts the items of a list within the sentence: "first (1) add, (2) count", "Plan: 1. add"."""
    before, after = _LISTED_BEFORE.search(sentence, max(0, start - NEAR), start), _LISTED_AFTER.match(sentence, stop)
    if before is None or after is None or stop - start > 2 or not sentence[start:stop].isdecimal():
        return False
    is_bracketed = sentence[stop] == ")"
    return is_bracketed if before["bracket"] else is_bracketed or after["next"].isalpha()
