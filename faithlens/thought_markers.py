"""The markers between which a model thinks: one table for prompts, sampled chains and imported chains.

1. `Thinking` holds the markers of one family, and opens, skips or empties thoughts in a prompt.
2. `FAMILIES` lists the families whose chat templates are known, and `ALL_MARKERS` all spellings that replies have, as
   patterns. `faithlens.thoughts` reads replies with them.

A marker that is a tag may have attributes (``<think id="1">``), or its brackets escaped (``&lt;think&gt;``).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

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
    (r"<\|im_start\|>think\b", r"<\|im_start\|>answer\b"),  # s1
)  # fmt: skip
_IN_WORDS = (
    (r"\A\s*here is my thought process:", r"here is my response:"),  # Granite 3.2
    (r"\A\s*analysis(?=.*assistantfinal)", r"assistantfinal"),
)
_BARE_CLOSE = {  # closing markers that end other things too: alone they count only before these texts
    "<|end|>": r"<\|end\|>(?=\s*(?:<\|start\|>assistant)?\s*<\|channel\|>(?:final|commentary))",
    "<channel|>": r"<channel\|>",
}


@dataclass(frozen=True)
class Markers:
    """The opening marker of a family, its closing one, and the closing one that may stand alone, as patterns."""

    opening: re.Pattern[str]
    closing: re.Pattern[str]
    lone_closing: re.Pattern[str]
    needs_close: bool = False


@cache
def make_markers(opening: str, closing: str) -> Markers:
    """The patterns for the opening and the closing marker of a family."""
    closes = _make_pattern(closing)
    return _compile_markers(_make_pattern(opening.strip()), closes, _BARE_CLOSE.get(closing, closes))


def _compile_markers(*patterns: str, needs_close: bool = False) -> Markers:
    return Markers(*map(_compile, patterns), needs_close=needs_close)


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


CLOSABLE = [
    *(make_markers(*pair) for pair in dict.fromkeys((row.open.strip(), row.close) for _, row in FAMILIES)),
    *(_compile_markers(*pair, pair[1], needs_close=pair[0].startswith(r"\[")) for pair in _SPELLED_OUT),
]
ALL_MARKERS = [*CLOSABLE, *(_compile_markers(opening, closing, r"(?!)") for opening, closing in _IN_WORDS)]
ANY_OPENING = _compile("|".join(markers.opening.pattern for markers in CLOSABLE))
"""Any opening marker."""
ANY_CLOSING = _compile("|".join(markers.lone_closing.pattern for markers in CLOSABLE))
"""Any closing marker, where it may stand alone."""
