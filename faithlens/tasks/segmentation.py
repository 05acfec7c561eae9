"""Split a chain of thought into steps: sentences and lines, as exact character ranges.

1. Find each line break and each end of a sentence: a full stop, exclamation mark or question mark before white space.
2. Drop a break inside a displayed formula, and between a formula and the line that introduces it with a colon.
3. Drop a full stop that belongs to an enumerator ("1. Add") or to an abbreviation within a sentence ("Mr. Lee",
   "J. R. Smith", "No. 5", "at 8 a.m. on foot"; `tasks.abbreviations`), and three dots before a small letter.
4. Drop the mark that ends quoted words where the sentence goes on with a small letter (she asks "Why?" and leaves).
5. Cut the text after each remaining break; white space belongs to the step before it.
6. Join a piece without a letter or digit (a rule, a bracket) to its neighbour.

The ranges partition the text: joined, the steps give the text back exactly. Example::

    text = "1. Add: 2.5 + 1.5 = 4.\\nSo we get:\\n\\\\[4 \\\\times 3\\n= 12\\\\] Mr. Lee has 12. Done!"
    for start, stop in split_steps(text):
        print(start, stop, repr(text[start:stop]))
    # 0 23 '1. Add: 2.5 + 1.5 = 4.\\n'
    # 23 70 'So we get:\\n\\\\[4 \\\\times 3\\n= 12\\\\] Mr. Lee has 12. '
    # 70 75 'Done!'

The decimals, the "1.", the formula's line break and "Mr." break no step.
"""

import re
from itertools import pairwise

from faithlens.tasks.abbreviations import is_abbreviation

ENUMERATOR = re.compile(
    r"[\s#>*_•-]*(?:\(?(?:[0-9]{1,3}|[A-Za-z]|[IVX]{2,4})[.)]|(?:step|part)\s*[0-9]+\s*[.:)])[*_]*\s", re.I
)
"""A pattern for the number at the start of a list item or step: "1. ", "- (b) ", "**Step 2:** "."""

_DISPLAY = re.compile(r"(?::[*_]*\s+)?(?:\\\[.*?\\\]|\$\$.*?\$\$)", re.S)  # with the colon that announces it
_CLOSING = r"""(?:["')\]}*_$”’]|\\\)|\\\])*"""
_BREAK = re.compile(rf"[^\S\r\n]*[\r\n]\s*|[.!?]+{_CLOSING}\s+|[。！？]+\s*")
_QUOTED_MARK = re.compile(r"""[.!?]+["”]\s+""")
_WINDOW = 120  # characters before a full stop that are looked at, so that long texts take linear time


def split_steps(text: str) -> list[tuple[int, int]]:
    """The steps of `text` as half-open character ranges that partition it; white space belongs to the step before.

    A piece without a letter or digit (a rule, a bracket, leading white space) is no step: it joins a neighbour.
    Empty text has no steps; a text without any letter or digit is one step.
    """
    cuts = [0, *_find_boundaries(text), len(text)]
    steps: list[tuple[int, int]] = []
    for start, stop in pairwise(cuts):
        if steps and not (_says_something(text, *steps[-1]) and _says_something(text, start, stop)):
            steps[-1] = steps[-1][0], stop
        elif start < stop:
            steps.append((start, stop))
    return steps


def _find_boundaries(text: str) -> list[int]:
    """Positions strictly inside `text` where a new piece begins."""
    displays = [match.span() for match in _DISPLAY.finditer(text)]
    borders: list[int] = []
    for match in _BREAK.finditer(text):
        start = borders[-1] if borders else 0
        inside = any(first < match.end() < last for first, last in displays)
        if match.end() < len(text) and not inside and not _is_inner_stop(text, start, match):
            borders.append(match.end())
    return borders


def _is_inner_stop(text: str, start: int, match: re.Match[str]) -> bool:
    """True where the sentence that began at `start` goes on after the marks of `match`."""
    if "\n" in match[0] or "\r" in match[0]:
        return False
    goes_on = text[match.end()].islower()
    if goes_on and (match[0].startswith("...") or _QUOTED_MARK.fullmatch(match[0])):
        return True
    if match[0][0] == "!" and text[match.start() - 1].isdecimal():  # a factorial: "There are 5! ways", "5! = 120"
        return goes_on or text[match.end()] in "=+-−*/×÷·^<>≤≥≈"
    if not match[0].startswith("."):
        return False
    enumerator = ENUMERATOR.match(text, start)
    if enumerator and enumerator.start() <= match.start() < enumerator.end():
        return True
    upto = match.start() + 1
    piece = text[max(start, upto - _WINDOW) : upto]
    is_plain = not match[0].rstrip().strip(".")  # no bracket or quote is closed by it
    return is_plain and is_abbreviation(piece, text[match.end() : match.end() + _WINDOW], text[:start].rstrip()[-1:])


def _says_something(text: str, start: int, stop: int) -> bool:
    return any(character.isalnum() for character in text[start:stop])
