r"""The markers between which a model thinks: one table for prompts, sampled chains and imported chains.

`read_reply` cuts a text into thoughts and reply:

1. The first opening marker, or a closing marker that stands alone, names the family; capitals do not matter. For a text
   that a model wrote after a prompt that opens its thoughts, the family is the model's.
2. Each block runs from an opening marker to the closing marker that belongs to it, else to the next one. A marker that
   is written twice counts once. A block whose own closing marker is missing ends at that of another family
   (``<think>Two.</thinking>``), or where an answer is opened (``<answer>``). Thoughts that begin without an opening
   marker (a chat template may have written it into the prompt) begin with the text.
3. A marker that is only spoken of is text: one in quotes, or an opening marker amid a line that is never closed.
4. The thoughts of all blocks together are the chain of thought, and the text after the last block is the reply. A block
   that is never closed was cut off.
5. Control tokens at the ends (``<|im_end|>``) belong to neither, and neither does a closing marker at the end.
6. A marker that is a tag may have attributes (``<think id="1">``), or its brackets escaped (``&lt;think&gt;``).

For example, ``<think>\nTwo.\n</think>\n\nIt is 2.<|im_end|>`` has the thoughts ``\nTwo.\n`` and the reply
``\n\nIt is 2.``; ``It is 2.`` has no markers, so all of it is the chain of thought.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

Finish = Literal["stop", "length"]
BETWEEN_BLOCKS = "\n\n"
"""The text between the thoughts of two blocks."""

Render = Callable[..., str]  # `Model.render`, called as ``render(user, thinking=True)``


@dataclass(frozen=True)
class Thinking:
    """The markers that separate a model's thoughts from its reply.

    Attributes:
        open: the text that opens the thoughts.
        close: the text that closes them; its first occurrence counts.
        after: the text between the closed thoughts and the answer.
        speak: the text that opens an answer without thoughts before it.
    """

    open: str
    close: str
    after: str = "\n\n"
    speak: str = ""

    @property
    def ending(self) -> str:
        """The text that is written after thoughts so that the answer follows."""
        return self.close + self.after

    def open_thoughts(self, render: Render, user: str) -> str:
        """The prompt whose next token is the first of the thoughts: thoughts are on and their block is open."""
        text = render(user, thinking=True)
        return text if text.rstrip().endswith(self.open.strip()) else text + self.open

    def skip_thoughts(self, render: Render, user: str) -> str:
        """The prompt whose next token is the answer: thoughts are off, and there is no block, not even an empty one."""
        start, end = re.escape(self.open.strip()), re.escape(self.close)
        return re.sub(rf"({start}|({start}\s*)?{end})\s*$", "", render(user, thinking=False)) + self.speak

    def empty_thoughts(self, render: Render, user: str) -> str:
        """The prompt with a closed block that holds no thought.

        The block is the one that the template writes where thoughts are off. Where the template writes none, the block
        is opened and closed here.
        """
        text = render(user, thinking=False)
        if text.rstrip().endswith(self.close):
            return text + self.after.lstrip()
        return self.open_thoughts(render, user) + self.ending


# (a text that the template must hold too, markers): the text tells apart families with equal opening markers. The
# first row that fits is used.
FAMILIES: tuple[tuple[str, Thinking], ...] = (
    (  # gpt-oss
        "",
        Thinking(
            "<|channel|>analysis<|message|>",
            "<|end|>",
            "<|start|>assistant<|channel|>final<|message|>",
            "<|channel|>final<|message|>",
        ),
    ),
    ("", Thinking("<|channel>thought\n", "<channel|>", "")),  # Gemma 4
    ("", Thinking("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|START_RESPONSE|>")),  # Command
    ("", Thinking("[THINK]", "[/THINK]", "")),  # Magistral, Ministral
    ("", Thinking("<|inner_prefix|>", "<|inner_suffix|>", "")),  # Apertus
    ("", Thinking("<seed:think>", "</seed:think>", "\n")),  # Seed-OSS
    ("", Thinking("<mm:think>", "</mm:think>", "")),  # MiniMax-M3
    ("", Thinking("<thought>\n", "</thought>")),  # EXAONE Deep
    ("<response></response>", Thinking("<think>", "</think>", "<response>")),  # Granite 3
    ("<answer>", Thinking("<think>\n", "</think>", "\n<answer>\n")),  # Hunyuan
    ("[gMASK]", Thinking("\n<think>", "</think>", "\n")),  # GLM
    (
        "",
        Thinking("<think>\n", "</think>"),
    ),  # Qwen, DeepSeek, SmolLM3, Nemotron, EXAONE 4, Phi-4, Kimi, ...
    ("", Thinking("<thinking>", "</thinking>")),
    ("", Thinking("<reasoning>", "</reasoning>")),  # Reka
    ("", Thinking("<|begin_of_thought|>", "<|end_of_thought|>", "\n\n<|begin_of_solution|>")),  # Sky-T1, OpenThinker
    ("", Thinking("<longcat_think>", "</longcat_think>", "\n")),
    ("", Thinking("\u25c1think\u25b7", "\u25c1/think\u25b7", "")),  # Kimi-VL
    ("", Thinking("<unused94>thought\n", "<unused95>", "")),  # MedGemma
    ("", Thinking("<|think|>", "<|end|>", "<|begin|>assistant<|content|>", "<|content|>")),  # Solar Open
)

_TAG = re.compile("<(/?)([a-z][a-z_:]*)>")


_LEFT = r"(?:\\?<|&lt;|&#60;|\\u003c|\uff1c)"
_RIGHT = r"(?:\\?>|&gt;|&#62;|\\u003e|\uff1e)"


def _make_pattern(marker: str) -> str:
    """A pattern for a marker; one that is a tag may have spaces and attributes, or its brackets escaped."""
    tag = _TAG.fullmatch(marker)
    if tag is None:
        return re.escape(marker)
    slash = r"\\?/" if tag[1] else ""
    return rf"{_LEFT}\s*{slash}\s*{re.escape(tag[2])}(?:\s[^<>&\n]{{0,80}}?)?\s*{_RIGHT}"


# Other spellings in replies: of models whose thoughts are asked for by words of the prompt, and of gpt-oss where the
# decoder left out control tokens; as patterns, since an opening marker may have to begin the text.
_WORDS = "(?:think(?:ing)?|thoughts?|reason(?:ing)?|chain[_ ]of[_ ]thought)"
_SPELLED_OUT = (
    *(
        (_make_pattern(f"<{tag}>"), _make_pattern(f"</{tag}>"))
        for tag in ("scratchpad", "analysis", "reflection", "cot", "reason", "thoughts", "chain_of_thought",
                    "inner_monologue", "think_fast")
    ),
    (rf"\[{_WORDS}\]", rf"\[/{_WORDS}\]"),
    (rf"<\|{_WORDS}\|>", rf"<\|/{_WORDS}\|>"),
)  # fmt: skip
_IN_WORDS = (
    (r"\A\s*here is my thought process:", r"here is my response:"),  # Granite 3.2
    (r"\A\s*analysis(?=.*assistantfinal)", r"assistantfinal"),
)
_BARE_CLOSE = {  # closing markers that end other things too: alone they count only before these texts
    "<|end|>": r"<\|end\|>(?=\s*(?:<\|start\|>assistant)?\s*<\|channel\|>(?:final|commentary))",
    "<channel|>": r"<channel\|>",
}
_CONTROL = (
    r"(?:<\|[^<>|\s]{1,40}\|>|<\uff5c[^<>\uff5c]{1,40}\uff5c>|<[a-z]{1,10}\|>|</?s>|<eos>|<end_of_turn>"
    r"|\[EOS\]|\[/?INST\])"
)
_LAST_CONTROL = re.compile(rf"{_CONTROL}\Z", re.IGNORECASE)
_ENDS = r"(?:<\|(?:im_end|eot_id|end|eom_id|endoftext|end_of_text|eot)\|>|<end_of_turn>)"  # of an earlier turn
_HEAD = re.compile(
    rf"\s*(?:{_ENDS}|(?:<\|channel\|>\s*(?:final|commentary)\s*)?<\|(?:message|content|begin_of_solution|START_RESPONSE)\|>"
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
    markers = _make_markers(opened_by.open, opened_by.close) if opened_by else _find_markers(text)
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
        blocks.append(_find_inside(text, at, max(at, stop)))
        if end is None:
            break
        at = _skip_repeated(_CLOSES, text, end[1])
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


def _drop_closes(text: str) -> str:
    """`text` without the closing markers that end it."""
    marks = [match.span() for match in _CLOSES.finditer(text)]
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


@dataclass(frozen=True)
class _Markers:
    """The opening marker of a family, its closing one, and the closing one that may stand alone, as patterns."""

    opening: re.Pattern[str]
    closing: re.Pattern[str]
    lone_closing: re.Pattern[str]
    needs_close: bool = False

    def rank(self, marks: "_MarkedText") -> tuple[int, int] | None:
        """How well these markers fit a text, the smallest best; None where it has none of them.

        A marker that begins the text fits best, then blocks that are closed, the first of them first.
        """
        opening, lone = marks.find_opening(self), _search(self.lone_closing, marks.text)
        first = [match.start() for match in (opening, lone) if match]
        if not first:
            return None
        if opening and _is_only_control(marks.text, 0, opening.start()):
            return 0, opening.start()
        is_closed = lone or (opening and marks.find_close(self, opening.end()))
        return 1 if is_closed else 2, min(first)


class _MarkedText:
    """A text with the places of its markers, family by family, each family looked for once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lists: dict[_Markers, tuple[list[re.Match[str]], list[re.Match[str]]]] = {}
        self._foreign: dict[_Markers, list[tuple[int, int]]] = {}

    def _list_marks(self, markers: _Markers) -> tuple[list[re.Match[str]], list[re.Match[str]]]:
        """The opening and the closing markers of a family that are not in quotes."""
        if markers not in self._lists:
            both = [list(_find_unquoted(marker, self.text)) for marker in (markers.opening, markers.closing)]
            self._lists[markers] = both[0], both[1]
        return self._lists[markers]

    def find_opening(self, markers: _Markers, at: int = 0) -> re.Match[str] | None:
        """The first opening marker from `at` on that opens a block: it is closed, or it begins a line."""
        openings, closings = self._list_marks(markers)
        last_close = closings[-1].start() if closings else -1
        for place in range(bisect_left(openings, at, key=_get_start), len(openings)):
            match = openings[place]
            may_stay_open = not markers.needs_close and _begins_line(self.text, at, match.start())
            if match.end() <= last_close or may_stay_open:
                return match
        return None

    def find_close(self, markers: _Markers, at: int) -> re.Match[str] | None:
        """The first closing marker of a family from `at` on."""
        closings = self._list_marks(markers)[1]
        place = bisect_left(closings, at, key=_get_start)
        return closings[place] if place < len(closings) else None

    def find_end(self, markers: _Markers, at: int) -> tuple[int, int] | None:
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

    def find_following(self, markers: _Markers, at: int) -> tuple[_Markers, re.Match[str]] | None:
        """The next block after `at`: of the same family, or of another one if it begins right there."""
        if opening := self.find_opening(markers, at):
            return markers, opening
        begin = _BLANK.match(self.text, at)
        for other in _ALL_MARKERS if begin else ():
            match = other.opening.match(self.text, begin.end()) if begin else None
            if match and not _is_quoted(self.text, match) and self.find_close(other, match.end()):
                return other, match
        return None

    def _find_balanced(self, markers: _Markers, at: int) -> re.Match[str] | None:
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

    def _list_foreign_closes(self, markers: _Markers, at: int) -> list[tuple[int, int]]:
        """The closing markers from `at` on that other families have no opening marker for."""
        closes: set[tuple[int, int]] = set()
        for other in _CLOSABLE:
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


def _find_markers(text: str) -> _Markers | None:
    """The markers of the family that fits `text` best; None where it holds no marker."""
    marks = _MarkedText(text)
    ranked = [(rank, place) for place, markers in enumerate(_ALL_MARKERS) if (rank := markers.rank(marks))]
    return _ALL_MARKERS[min(ranked)[1]] if ranked else None


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


@cache
def _make_markers(opening: str, closing: str) -> _Markers:
    closes = _make_pattern(closing)
    return _compile_markers(_make_pattern(opening.strip()), closes, _BARE_CLOSE.get(closing, closes))


def _compile_markers(*patterns: str, needs_close: bool = False) -> _Markers:
    return _Markers(*map(_compile, patterns), needs_close=needs_close)


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


_CLOSABLE = [
    *(_make_markers(*pair) for pair in dict.fromkeys((row.open.strip(), row.close) for _, row in FAMILIES)),
    *(_compile_markers(*pair, pair[1], needs_close=pair[0].startswith(r"\[")) for pair in _SPELLED_OUT),
]
_ALL_MARKERS = [*_CLOSABLE, *(_compile_markers(opening, closing, r"(?!)") for opening, closing in _IN_WORDS)]
_CLOSES = _compile("|".join(markers.lone_closing.pattern for markers in _CLOSABLE))
"""Any closing marker, where it may stand alone."""
_BLANK = re.compile(r"[\s*]*")
