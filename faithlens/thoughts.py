r"""The markers between which a model thinks: one table for prompts, sampled chains and imported chains.

`read_reply` cuts a text into thoughts and reply:

1. The first opening marker, or a closing marker that stands alone, names the family; capitals do not matter. For a text
   that a model wrote after a prompt that opens its thoughts, the family is the model's.
2. Each block runs from an opening marker to the next closing marker. A marker that is written twice counts once.
   Thoughts that begin without an opening marker (a chat template may have written it into the prompt) begin with the
   text.
3. A marker that is only spoken of is text: one in quotes, or an opening marker amid a line that is never closed.
4. The thoughts of all blocks together are the chain of thought, and the text after the last block is the reply. A block
   that is never closed was cut off.
5. Control tokens at the ends (``<|im_end|>``) belong to neither, and neither does a closing marker at the end.
6. A marker that is a tag may have attributes (``<think id="1">``), or its brackets as entities (``&lt;think&gt;``).

For example, ``<think>\nTwo.\n</think>\n\nIt is 2.<|im_end|>`` has the thoughts ``\nTwo.\n`` and the reply
``\n\nIt is 2.``; ``It is 2.`` has no markers, so all of it is the chain of thought.
"""

import re
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


def _make_pattern(marker: str) -> str:
    """A pattern for a marker; one that is a tag may have spaces and attributes, or its brackets written as entities."""
    tag = _TAG.fullmatch(marker)
    if tag is None:
        return re.escape(marker)
    return rf"(?:<|&lt;)\s*{tag[1]}\s*{re.escape(tag[2])}(?:\s[^<>&\n]{{0,80}})?\s*(?:>|&gt;)"


# Other spellings in replies: of models whose thoughts are asked for by words of the prompt, and of gpt-oss where the
# decoder left out control tokens; as patterns, since an opening marker may have to begin the text.
_SPELLED_OUT = (
    *(
        (_make_pattern(f"<{tag}>"), _make_pattern(f"</{tag}>"))
        for tag in ("scratchpad", "analysis", "reflection", "cot")
    ),
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
_TAIL = re.compile(rf"(?:\s*{_CONTROL})+\s*\Z", re.IGNORECASE)
_HEAD = re.compile(
    r"\A\s*(?:(?:<\|channel\|>\s*(?:final|commentary)\s*)?<\|(?:message|content|begin_of_solution|START_RESPONSE)\|>"
    r"|<\|(?:im_start|start|begin|start_header_id)\|>\s*(?:assistant|model)(?:<\|end_header_id\|>)?"
    r"|<start_of_turn>model|<\|channel\|>\s*(?:final|commentary))\s*",
    re.IGNORECASE,
)
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
    opening = None if opened_by else markers.find_opening(text)
    closing = markers.closing if opening or opened_by else markers.lone_closing
    first_close = _search(closing, text)
    at = opening.end() if opening and not (first_close and first_close.start() < opening.start()) else 0
    blocks, end = [], None
    while True:
        if (after := _skip_repeated(markers.opening, text, at)) > at and opened_by and opened_by.open.endswith("\n"):
            after += len(text[after:]) - len(text[after:].lstrip("\n"))  # the prompt has this line break already
        at, end = after, _search(closing, text, after)
        blocks.append(_find_inside(text, at, end.start() if end else len(text)))
        if end is None:
            break
        at = _skip_repeated(closing, text, end.end())
        opening = markers.find_opening(text, at)
        if opening is None:
            break
        at = opening.end()
    spans = [span for span in blocks if text[slice(*span)].strip()] or blocks[:1]
    if len(spans) > 1:
        spans = [_trim_line_breaks(text, *span) for span in spans]
    thoughts = BETWEEN_BLOCKS.join(text[slice(*span)] for span in spans)
    closed_again = re.compile(rf"(?:\s*(?:{closing.pattern}))+\s*\Z", closing.flags)
    answer = strip_control_tokens(closed_again.sub("", strip_control_tokens(text[at:]))) if end else ""
    return Reply(thoughts, answer, "stop" if end else "length", True, tuple(spans))


def strip_control_tokens(text: str) -> str:
    """`text` without control tokens at its ends, such as ``<|im_end|>``; all other text stays as it is."""
    return text[slice(*_find_inside(text, 0, len(text)))]


def _find_inside(text: str, start: int, stop: int) -> tuple[int, int]:
    """The part of ``text[start:stop]`` between the control tokens at its ends."""
    inside = text[start:stop]
    while (head := _HEAD.match(inside)) is not None and head.end():
        inside = inside[head.end() :]
    start = stop - len(inside)
    return start, start + len(_TAIL.sub("", inside))


def _trim_line_breaks(text: str, start: int, stop: int) -> tuple[int, int]:
    inside = text[start:stop].lstrip("\n")
    return stop - len(inside), stop - len(inside) + len(inside.rstrip("\n"))


@dataclass(frozen=True)
class _Markers:
    """The opening marker of a family, its closing one, and the closing one that may stand alone, as patterns."""

    opening: re.Pattern[str]
    closing: re.Pattern[str]
    lone_closing: re.Pattern[str]

    def find_opening(self, text: str, at: int = 0) -> re.Match[str] | None:
        """The first opening marker from `at` on that opens a block: it is closed, or it begins a line."""
        last_close = max((match.start() for match in _find_unquoted(self.closing, text, at)), default=-1)
        for match in _find_unquoted(self.opening, text, at):
            if match.end() <= last_close or _begins_line(text, at, match.start()):
                return match
        return None

    def rank(self, text: str) -> tuple[int, int] | None:
        """How well these markers fit `text`, the smallest best; None where it has none of them.

        A marker that begins the text fits best, then blocks that are closed, the first of them first.
        """
        opening, lone = self.find_opening(text), _search(self.lone_closing, text)
        first = [match.start() for match in (opening, lone) if match]
        if not first:
            return None
        if opening and not strip_control_tokens(text[: opening.start()]).strip():
            return 0, opening.start()
        is_closed = lone or (opening and _search(self.closing, text, opening.end()))
        return 1 if is_closed else 2, min(first)


def _find_markers(text: str) -> _Markers | None:
    """The markers of the family that fits `text` best; None where it holds no marker."""
    ranked = [(rank, place) for place, markers in enumerate(_ALL_MARKERS) if (rank := markers.rank(text))]
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
    line = text[max(text.rfind("\n", start, place) + 1, start) : place]
    return not strip_control_tokens(line).strip()


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


def _compile_markers(*patterns: str) -> _Markers:
    return _Markers(*(re.compile(pattern, re.IGNORECASE | re.DOTALL) for pattern in patterns))


_ALL_MARKERS = [
    *(_make_markers(*pair) for pair in dict.fromkeys((row.open.strip(), row.close) for _, row in FAMILIES)),
    *(_compile_markers(opening, closing, r"(?!)") for opening, closing in _SPELLED_OUT),
]
