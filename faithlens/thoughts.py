r"""Thoughts and replies: where a model's text is cut at the markers between which it thinks (`thought_markers`).

1. The first opening marker, or a closing marker that stands alone, names the family; capitals do not matter. For a text
   that a model wrote after a prompt that opens its thoughts, the family is the model's.
2. Each block runs from an opening marker to the closing marker that belongs to it, else to the next one. A marker that
   is written twice counts once. A block whose own closing marker is missing ends at that of another family
   (``<think>Two.</thinking>``), or where an answer is opened (``<answer>``). Thoughts that begin without an opening
   marker (a chat template may have written it into the prompt) begin with the text. Markers of other families right
   inside a block's own belong to neither (``<think><reasoning>Two.</reasoning></think>``).
3. A marker that is only spoken of is text: one in quotes, or an opening marker amid a line that is never closed.
4. The thoughts of all blocks together are the chain of thought, and the text after the last block is the reply. A block
   that is never closed was cut off.
5. Control tokens at the ends (``<|im_end|>``) belong to neither, and neither does a closing marker at the end.

For example, ``<think>\nTwo.\n</think>\n\nIt is 2.<|im_end|>`` has the thoughts ``\nTwo.\n`` and the reply
``\n\nIt is 2.``; ``It is 2.`` has no markers, so all of it is the chain of thought.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from faithlens.thought_markers import ALL_MARKERS, ANY_CLOSING, ANY_OPENING, CLOSABLE, Markers, Thinking, make_markers

Finish = Literal["stop", "length"]
BETWEEN_BLOCKS = "\n\n"
"""The text between the thoughts of two blocks."""

_CONTROL = (
    r"(?:<\|[^<>|\s]{1,40}\|>|<\uff5c[^<>\uff5c]{1,40}\uff5c>|<[a-z]{1,10}\|>|</?s>|<(?:[a-z]{1,10}:)?(?:eos|bos|pad|eot)>"
    r"|<end_of_turn>|<SPECIAL_[0-9]{1,4}>|\[(?:EOS|BOS|PAD|EOT|/?INST)\]|\[e~\[)"
)
_LAST_CONTROL = re.compile(rf"{_CONTROL}\Z", re.IGNORECASE)
_ENDS = r"(?:<\|(?:im_end|eot_id|end|eom_id|endoftext|end_of_text|eot)\|>|<end_of_turn>)"  # of an earlier turn
_HEAD = re.compile(
    rf"\s*(?:{_ENDS}|(?:<\|channel\|>\s*(?:final|commentary)\s*)?<\|(?:message|content|begin_of_solution|START_RESPONSE|START_TEXT)\|>"
    r"|<\|(?:im_start|start|begin|start_header_id)\|>\s*(?:assistant|model)(?:<\|end_header_id\|>)?"
    r"|<start_of_turn>model|<\|channel\|>\s*(?:final|commentary))\s*",
    re.IGNORECASE,
)
_OPENS_ANSWER = re.compile(
    r"<answer>|<response>|<\|channel\|>\s*final\s*<\|message\|>|<\|START_RESPONSE\|>|<\|begin_of_solution\|>",
    re.IGNORECASE,
)
_BEGUN_CLOSE = re.compile(r"(?:<|\[|\u25c1)/[\w:]{0,20}\Z")  # a closing marker at which a text was cut off
_LONGEST_CONTROL = 60
_LONGEST_HEAD = 200  # characters of control tokens before a marker on its line
_BLANK = re.compile(r"[\s*]*")
_DEEPEST = 8  # blocks within each other
_QUOTES_AFTER = {"`": "`", '"': '"', "'": "'", "\u2018": "\u2019", "\u201c": "\u201d", "\xab": "\xbb"}


@dataclass(frozen=True)
class Reply:
    """What a model wrote, cut at its markers.

    Attributes:
        thoughts: the chain of thought: the inside of its blocks, or all of the text where there is no marker.
        rest: the text after the last block; empty where there is no marker.
        finish: "stop" if the chain of thought was ended, "length" if it was cut off.
        has_markers: whether the text holds markers of thoughts.
        spans: where the thoughts of each block stand in the text, as half-open ranges of characters; joined by
            `BETWEEN_BLOCKS` they are `thoughts`.
    """

    thoughts: str
    rest: str
    finish: Finish
    has_markers: bool
    spans: tuple[tuple[int, int], ...]


def read_reply(text: str, finish: Finish = "stop", opened_by: Thinking | None = None) -> Reply:
    """Cut a reply into thoughts and what is said after them.

    The closing marker ends the thoughts to which it belongs, whatever becomes of the rest.

    Args:
        text: the reply.
        finish: whether the whole reply was ended ("stop") or cut off ("length").
        opened_by: the markers of the model that wrote the text, where the prompt before it opens the thoughts.
    """
    markers = make_markers(opened_by.open, opened_by.close) if opened_by else _find_markers(text)
    if markers is None:
        start, stop = _find_inside(text, 0, len(text))
        return Reply(text[start:stop], "", finish, False, ((start, stop),))
    marks = _MarkedText(text)
    opening = None if opened_by else marks.find_opening(markers)
    first_close = marks.find_close(markers, 0) if opening or opened_by else _search(markers.lone_closing, text)
    at = opening.end() if opening and not (first_close and first_close.start() < opening.start()) else 0
    blocks, end = [], None
    while True:
        if (after := _skip_repeated(markers.opening, text, at)) > at and opened_by and opened_by.open.endswith("\n"):
            while text[after : after + 1] == "\n":
                after += 1  # the prompt has this line break already
        at, end = after, marks.find_end(markers, after)
        stop = end[0] if end else len(_BEGUN_CLOSE.sub("", text))
        blocks.append(_drop_inner_markers(text, *_find_inside(text, at, max(at, stop))))
        if end is None:
            break
        at = _skip_repeated(ANY_CLOSING, text, end[1])
        following = marks.find_following(markers, at)
        if following is None:
            break
        markers, opening = following
        at = opening.end()
    spans = [span for span in blocks if text[slice(*span)].strip()] or blocks[:1]
    if len(spans) > 1:
        spans = [_trim_line_breaks(text, *span) for span in spans]
    thoughts = BETWEEN_BLOCKS.join(text[slice(*span)] for span in spans)
    answer = _drop_closes(strip_control_tokens(text[at:])) if end else ""
    return Reply(thoughts, strip_control_tokens(answer), "stop" if end else "length", True, tuple(spans))


def _drop_inner_markers(text: str, start: int, stop: int) -> tuple[int, int]:
    """The part of a block within the markers of other families at its ends that are one pair, or stand alone."""
    for _ in range(_DEEPEST):
        first, last = _strip_space(text, start, stop)
        if not (ANY_OPENING.match(text, first, last) or _ends_with(ANY_CLOSING, text, first, last)):
            break
        inside = next(filter(None, (_find_within(text, first, last, markers) for markers in CLOSABLE)), None)
        if inside is None:
            break
        start, stop = inside
    return start, stop


def _find_within(text: str, first: int, last: int, markers: Markers) -> tuple[int, int] | None:
    """The part of a block within the markers of one family at its ends; None where it has others of them."""
    opening, ending = markers.opening.match(text, first, last), _ends_with(markers.closing, text, first, last)
    if not (opening or ending):
        return None
    at = opening.end() if opening else first
    n_openings, n_closings = (
        len(list(marker.finditer(text, at, last))) for marker in (markers.opening, markers.closing)
    )
    if ending and n_closings == 1 and n_openings == 0:
        return at, ending.start()
    return (at, last) if opening and n_closings == 0 and not markers.needs_close else None


def _ends_with(marker: re.Pattern[str], text: str, start: int, stop: int) -> re.Match[str] | None:
    """The marker that ends ``text[start:stop]``."""
    matches = marker.finditer(text, max(start, stop - _LONGEST_HEAD), stop)
    return next((match for match in matches if match.end() == stop), None)


def _strip_space(text: str, start: int, stop: int) -> tuple[int, int]:
    start += len(text[start:stop]) - len(text[start:stop].lstrip())
    return start, start + len(text[start:stop].rstrip())


def _drop_closes(text: str) -> str:
    """`text` without the closing markers that end it."""
    marks = [match.span() for match in ANY_CLOSING.finditer(text)]
    stop = len(text)
    while marks and not text[marks[-1][1] : stop].strip():
        stop = marks.pop()[0]
    return text if stop == len(text) else text[:stop].rstrip()


def strip_control_tokens(text: str) -> str:
    """`text` without control tokens at its ends, such as ``<|im_end|>``; all other text stays as it is."""
    return text[slice(*_find_inside(text, 0, len(text)))]


def _find_inside(text: str, start: int, stop: int) -> tuple[int, int]:
    """The part of ``text[start:stop]`` between the control tokens at its ends."""
    while (head := _HEAD.match(text, start, stop)) is not None and head.end() > start:
        start = head.end()
    end = stop
    while (tail := _find_last_control(text, start, end)) is not None:
        end = tail
        while end > start and text[end - 1].isspace():
            end -= 1
    return start, end


def _find_last_control(text: str, start: int, stop: int) -> int | None:
    """Where the control token begins that ends ``text[start:stop]`` but for white space; None where there is none."""
    while stop > start and text[stop - 1].isspace():
        stop -= 1
    token = _LAST_CONTROL.search(text, max(start, stop - _LONGEST_CONTROL), stop)
    return token and token.start()


def _trim_line_breaks(text: str, start: int, stop: int) -> tuple[int, int]:
    inside = text[start:stop].lstrip("\n")
    return stop - len(inside), stop - len(inside) + len(inside.rstrip("\n"))


class _MarkedText:
    """A text with the places of its markers, family by family, each family looked for once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lists: dict[Markers, tuple[list[re.Match[str]], list[re.Match[str]]]] = {}
        self._foreign: dict[Markers, list[tuple[int, int]]] = {}

    def _list_marks(self, markers: Markers) -> tuple[list[re.Match[str]], list[re.Match[str]]]:
        """The opening and the closing markers of a family that are not in quotes."""
        if markers not in self._lists:
            both = [list(_find_unquoted(marker, self.text)) for marker in (markers.opening, markers.closing)]
            self._lists[markers] = both[0], both[1]
        return self._lists[markers]

    def rank(self, markers: Markers) -> tuple[int, int] | None:
        """How well the markers of a family fit the text, the smallest best; None where it has none of them.

        A marker that begins the text fits best, then blocks that are closed, the first of them first.
        """
        opening, lone = self.find_opening(markers), _search(markers.lone_closing, self.text)
        first = [match.start() for match in (opening, lone) if match]
        if not first:
            return None
        if opening and _is_only_control(self.text, 0, opening.start()):
            return 0, opening.start()
        is_closed = lone or (opening and self.find_close(markers, opening.end()))
        return 1 if is_closed else 2, min(first)

    def find_opening(self, markers: Markers, at: int = 0) -> re.Match[str] | None:
        """The first opening marker from `at` on that opens a block: it is closed, or it begins a line."""
        openings, closings = self._list_marks(markers)
        last_close = closings[-1].start() if closings else -1
        for place in range(bisect_left(openings, at, key=_get_start), len(openings)):
            match = openings[place]
            may_stay_open = not markers.needs_close and _begins_line(self.text, at, match.start())
            if match.end() <= last_close or may_stay_open:
                return match
        return None

    def find_close(self, markers: Markers, at: int) -> re.Match[str] | None:
        """The first closing marker of a family from `at` on."""
        closings = self._list_marks(markers)[1]
        place = bisect_left(closings, at, key=_get_start)
        return closings[place] if place < len(closings) else None

    def find_end(self, markers: Markers, at: int) -> tuple[int, int] | None:
        """Where the block ends whose inside begins at `at`: the range of its closing marker; None if it stays open."""
        close = self.find_close(markers, at)
        if close is not None:
            return (self._find_balanced(markers, at) or close).span()
        if markers not in self._foreign:
            self._foreign[markers] = self._list_foreign_closes(markers, at)
        foreign = self._foreign[markers]
        place = bisect_left(foreign, (at, at))
        if place < len(foreign):
            return foreign[place]
        answer = _search(_OPENS_ANSWER, self.text, at)
        return (answer.start(), answer.start()) if answer else None

    def find_following(self, markers: Markers, at: int) -> tuple[Markers, re.Match[str]] | None:
        """The next block after `at`: of the same family, or of another one if it begins right there."""
        if opening := self.find_opening(markers, at):
            return markers, opening
        begin = _BLANK.match(self.text, at)
        for other in ALL_MARKERS if begin else ():
            match = other.opening.match(self.text, begin.end()) if begin else None
            if match and not _is_quoted(self.text, match) and self.find_close(other, match.end()):
                return other, match
        return None

    def _find_balanced(self, markers: Markers, at: int) -> re.Match[str] | None:
        """The closing marker that belongs to the opening one before `at`, where blocks stand within each other."""
        openings, closings = self._list_marks(markers)
        next_open, next_close = (bisect_left(marks, at, key=_get_start) for marks in (openings, closings))
        depth = 1
        while next_close < len(closings) and depth <= _DEEPEST:
            if next_open < len(openings) and openings[next_open].start() < closings[next_close].start():
                depth, next_open = depth + 1, next_open + 1
                continue
            depth -= 1
            if depth == 0:
                return closings[next_close]
            next_close += 1
        return None

    def _list_foreign_closes(self, markers: Markers, at: int) -> list[tuple[int, int]]:
        """The closing markers from `at` on that other families have no opening marker for."""
        closes: set[tuple[int, int]] = set()
        for other in CLOSABLE:
            if other == markers:
                continue
            openings, closings = self._list_marks(other)
            done = at
            for close in closings[bisect_left(closings, at, key=_get_start) :]:
                place = bisect_left(openings, done, key=_get_start)
                if place == len(openings) or openings[place].start() > close.start():
                    closes.add(close.span())
                done = close.end()
        return sorted(closes)


def _get_start(match: re.Match[str]) -> int:
    return match.start()


def _find_markers(text: str) -> Markers | None:
    """The markers of the family that fits `text` best; None where it holds no marker."""
    marks = _MarkedText(text)
    ranked = [(rank, place) for place, markers in enumerate(ALL_MARKERS) if (rank := marks.rank(markers))]
    return ALL_MARKERS[min(ranked)[1]] if ranked else None


def _find_unquoted(marker: re.Pattern[str], text: str, at: int = 0) -> Iterator[re.Match[str]]:
    return (match for match in marker.finditer(text, at) if not _is_quoted(text, match))


def _search(marker: re.Pattern[str], text: str, at: int = 0) -> re.Match[str] | None:
    return next(_find_unquoted(marker, text, at), None)


def _is_quoted(text: str, match: re.Match[str]) -> bool:
    """Whether quotes open right before the marker and close right after it."""
    before, after = text[max(match.start() - 2, 0) : match.start()], text[match.end() : match.end() + 1]
    return bool(re.fullmatch(r"(\A|[\s(\[{,:`])[`\"'\u2018\u201c\xab]", before)) and after in _QUOTES_AFTER[before[-1]]


def _begins_line(text: str, start: int, place: int) -> bool:
    """Whether nothing but control tokens stands before `place` on its line, or since `start`."""
    begin = max(text.rfind("\n", start, place) + 1, start)
    return place - begin <= _LONGEST_HEAD and _is_only_control(text, begin, place)


def _is_only_control(text: str, start: int, stop: int) -> bool:
    """Whether nothing but white space, control tokens and marks of bold text stands from `start` to `stop`."""
    return not strip_control_tokens(text[start:stop]).strip("* \t\r\n")


def _skip_repeated(marker: re.Pattern[str], text: str, at: int) -> int:
    """The end of the markers that follow each other from `at` on."""
    repeated = re.compile(rf"\s*(?:{marker.pattern})", marker.flags)
    while match := repeated.match(text, at):
        at = match.end()
    return at
