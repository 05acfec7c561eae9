"""The date or the time of day that a statement or a sentence comes to, for questions whose answer is a date or a time.

1. A statement gives the date or time that it begins with.
2. Otherwise, and in a sentence that is no such statement, it is the only one named, or the last one if "is", "so" or a
   colon stands between it and the one before.
3. Of several without such a word none is taken, and none that is only a limit: "before 9:05", "no later than 3 May
   2021".

For example, "The train leaves at 9:05 and arrives at 10:30." comes to nothing, and "It leaves at 9:05, so it arrives at
10:30 a.m." to 10:30.
"""

import re
from itertools import pairwise

from faithlens.tasks.values import FoundValue, Value, find_values

_BEGINNING = re.compile(r"(?:[\s*_$(\[{:\"'“]|\\[(\[])*(?:(?:on|at|about|exactly)\s+)?")
_RESULT = re.compile(r"\b(?:is|was|be|so|thus|hence|therefore|gives|makes|becomes|falls on|equals)\b|[:=→]|->")
_ALTERNATIVE = re.compile(r"\s*[,(]?\s*\b(?:or|to|and|until|till)\s+(?:(?:on|at|maybe|perhaps)\s+)?|\s*[-–—]\s*")
_LIMIT = re.compile(
    r"\b(?:before|after|by|until|till|since|past|(?:later|earlier|sooner|other) than|at the (?:latest|earliest))\s+"
    r"(?:the\s+)?$",
    re.I,
)
_NEAR = 30  # characters before a moment that say whether it is only a limit


def read_stated_moment(statement: str) -> Value | None:
    """The date or time that a statement of the answer gives; None if it gives none, or may give two."""
    moments = _find_moments(statement)
    if moments and _BEGINNING.fullmatch(statement[: moments[0].start]) and not offers_moments(statement):
        return moments[0].value
    return read_concluded_moment(statement)


def read_concluded_moment(sentence: str) -> Value | None:
    """The date or time that a sentence comes to; None if it names none, or may mean two."""
    moments = _find_moments(sentence)
    if offers_moments(sentence):
        return None
    if len({each.value for each in moments}) == 1:
        return moments[-1].value
    if len(moments) > 1 and _RESULT.search(sentence, moments[-2].stop, moments[-1].start):
        return moments[-1].value
    return None


def offers_moments(statement: str) -> bool:
    """Whether two dates or times stand as alternatives, or as the ends of a range: "9:05 or 9:10"."""
    moments = _find_moments(statement)
    return any(
        one.value != other.value and _ALTERNATIVE.fullmatch(statement, one.stop, other.start)
        for one, other in pairwise(moments)
    )


def _find_moments(text: str) -> list[FoundValue]:
    """The dates and times of `text` that are not only the end of a period: "before 9:05"."""
    return [
        value
        for value in find_values(text)
        if not value.value.is_number and not _LIMIT.search(text, max(0, value.start - _NEAR), value.start)
    ]
