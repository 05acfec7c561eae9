"""Split a chain of thought into steps: sentences and lines, as exact character ranges.

1. Find each line break and each end of a sentence: a full stop, exclamation mark or question mark before white space.
2. Drop a break inside a displayed formula, and between a formula and the line that introduces it with a colon.
3. Drop a full stop that belongs to an enumerator ("1. Add") or to an abbreviation within a sentence ("Mr. Lee",
   "J. R. Smith", "No. 5", "at 8 a.m. on foot"; `tasks.abbreviations`), three dots before a small letter, and "…"
   unless it ends a word before a capital.
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
from collections import deque
from itertools import pairwise

from faithlens.tasks.abbreviations import is_abbreviation

ENUMERATOR = re.compile(
    r"[\s#>*_•-]*(?:\(?(?:[0-9]{1,3}|[A-Za-z]|[IVX]{2,4})[.)]|(?:step|part)\s*[0-9]+\s*[.:)])[*_]*\s", re.I
)
"""A pattern for the number at the start of a list item or step: "1. ", "- (b) ", "**Step 2:** "."""

LONGEST_STEP = 2_000
"""Characters of a step that readers of its words look at, so that a text in one line takes linear time."""

_ENVIRONMENT = (
    r"\{(?:align(?:ed|at)?|array|cases|displaymath|eqnarray|equation|flalign|gather(?:ed)?|multline|[bpv]?matrix|split)"
    r"\*?\}"
)
_OPENS_DISPLAY = re.compile(  # with the colon that announces it
    rf"(?::[*_]*\s++)?(?:\\\[|(?P<dollars>\$\$)|\\begin(?P<environment>{_ENVIRONMENT}))"
)
_DISPLAY_MARK = re.compile(rf"{_OPENS_DISPLAY.pattern}|\\\]|\\end(?P<ended>{_ENVIRONMENT})")
_CLOSING = r"""(?:["')\]}*_$”’]|\\\)|\\\])*"""
_BREAK = re.compile(rf"(?<![^\S\r\n])[^\S\r\n]*[\r\n]\s*|(?<![.!?…])[.!?…]++{_CLOSING}\s+|[。！？]+\s*")
_QUOTED_MARK = re.compile(r"""[.!?]+["”]\s+""")
_WINDOW = 120  # characters before a full stop that are looked at, so that long texts take linear time


def split_steps(text: str) -> list[tuple[int, int]]:
    """The steps of `text` as half-open character ranges that partition it; white space belongs to the step before.

    A piece without a letter or digit (a rule, a bracket, leading white space) is no step: it joins a neighbour.
    Empty text has no steps; a text without any letter or digit is one step.
    """
    cuts = [0, *_find_boundaries(text), len(text)]
    steps: list[tuple[int, int]] = []
    is_said = False  # whether the last step says something
    for start, stop in pairwise(cuts):
        says = _says_something(text, start, stop)
        if steps and not (is_said and says):
            steps[-1] = steps[-1][0], stop
            is_said = is_said or says
        elif start < stop:
            steps.append((start, stop))
            is_said = says
    return steps


def _find_boundaries(text: str) -> list[int]:
    """Positions strictly inside `text` where a new piece begins."""
    displays = _find_displays(text)
    borders: list[int] = []
    for match in _BREAK.finditer(text):
        start = borders[-1] if borders else 0
        while displays and displays[0][1] <= match.end():
            displays.popleft()
        inside = bool(displays) and displays[0][0] < match.end()
        if match.end() < len(text) and not inside and not _is_inner_stop(text, start, match):
            borders.append(match.end())
    return borders


def _find_displays(text: str) -> deque[tuple[int, int]]:
    """The spans of the displayed formulas that are closed, in order."""
    displays, opened = deque[tuple[int, int]](), dict[str, int]()
    for mark in _DISPLAY_MARK.finditer(text):
        environment = mark["environment"] or mark["ended"]
        kind = environment or mark["dollars"] or "brackets"
        may_open = _OPENS_DISPLAY.fullmatch(mark[0]) is not None
        may_close = bool(mark["dollars"]) or not may_open
        if kind in opened and may_close:
            start = opened.pop(kind)
            while displays and displays[-1][0] >= start:
                displays.pop()  # an environment within this formula
            displays.append((start, mark.end()))
            if not environment:
                opened.clear()
        elif may_open:
            opened.setdefault(kind, mark.start())
    return displays


def _is_inner_stop(text: str, start: int, match: re.Match[str]) -> bool:
    """True where the sentence that began at `start` goes on after the marks of `match`."""
    if "\n" in match[0] or "\r" in match[0]:
        return False
    goes_on = text[match.end()].islower()
    if match[0].startswith("…") and (
        not text[match.end()].isupper() or text[max(0, match.start() - 1) : match.start()].isspace()
    ):
        return True
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
    mark_before = text[max(0, start - _WINDOW) : start].rstrip()[-1:]
    return is_plain and is_abbreviation(piece, text[match.end() : match.end() + _WINDOW], mark_before)


def _says_something(text: str, start: int, stop: int) -> bool:
    return any(character.isalnum() for character in text[start:stop])
