r"""The markers between which a model thinks: one table for prompts, sampled chains and imported chains.

`read_reply` cuts a text into thoughts and reply:

1. The first opening marker, or a closing marker that stands alone, names the family; capitals do not matter.
2. Each block runs from an opening marker to the next closing marker. A marker that is written twice counts once.
   Thoughts that begin without an opening marker (a chat template may have written it into the prompt) begin with the
   text.
3. The thoughts of all blocks together are the chain of thought, and the text after the last block is the reply. A block
   that is never closed was cut off.
4. Control tokens at the ends (``<|im_end|>``) belong to neither.

For example, ``<think>\nTwo.\n</think>\n\nIt is 2.<|im_end|>`` has the thoughts ``\nTwo.\n`` and the reply
``It is 2.``; ``It is 2.`` has no markers, so all of it is the chain of thought.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Finish = Literal["stop", "length"]
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

# Other spellings in replies, of families whose templates leave the thoughts to words of the prompt, and of gpt-oss
# where the decoder left out control tokens; as patterns, since an opening marker may have to begin the text.
_SPELLED_OUT = (
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


@dataclass(frozen=True)
class Reply:
    """What a model wrote, cut at its markers.

    Attributes:
        thoughts: the chain of thought: the inside of its blocks, or all of the text where there is no marker.
        said: the text after the last block; empty where there is no marker.
        finish: "stop" if the chain of thought was ended, "length" if it was cut off.
        has_markers: whether the text holds markers of thoughts.
    """

    thoughts: str
    said: str
    finish: Finish
    has_markers: bool


def read_reply(text: str, finish: Finish = "stop") -> Reply:
    """Cut a reply into thoughts and what is said after them; `finish` is that of the whole reply.

    The closing marker ends the thoughts to which it belongs, whatever becomes of the rest.
    """
    pair = _find_pair(text)
    if pair is None:
        return Reply(strip_control_tokens(text), "", finish, False)
    opening, closing = pair
    blocks, at, is_closed = [], 0, False
    opened = opening.search(text)
    first_close = closing.search(text)
    if opened and not (first_close and first_close.start() < opened.start()):
        at = opened.end()
    while True:
        while repeated := re.compile(rf"\s*(?:{opening.pattern})", opening.flags).match(text, at):
            at = repeated.end()
        end = closing.search(text, at)
        is_closed = end is not None
        blocks.append(text[at : end.start()] if end else text[at:])
        if not end:
            break
        at = end.end()
        while repeated := re.compile(rf"\s*(?:{closing.pattern})", closing.flags).match(text, at):
            at = repeated.end()
        again = opening.search(text, at)
        if again is None:
            break
        at = again.end()
    inside = [block for block in blocks if block.strip()] or blocks[:1]
    thoughts = strip_control_tokens(inside[0] if len(inside) == 1 else "\n\n".join(b.strip("\n") for b in inside))
    return Reply(
        thoughts, strip_control_tokens(text[at:]) if is_closed else "", "stop" if is_closed else "length", True
    )


def strip_control_tokens(text: str) -> str:
    """`text` without control tokens at its ends, such as ``<|im_end|>``; all other text stays as it is."""
    while (head := _HEAD.match(text)) is not None and head.end():
        text = text[head.end() :]
    return _TAIL.sub("", text)


def _find_pair(text: str) -> tuple[re.Pattern[str], re.Pattern[str]] | None:
    """The markers of the family whose marker stands first in `text`; None where there is none."""
    found = []
    for opening, closing, alone in _PAIRS:
        first = [match.start() for pattern in (opening, alone) if (match := pattern.search(text))]
        if first:
            found.append((min(first), opening, closing if opening.search(text) else alone))
    return min(found, key=lambda each: each[0])[1:] if found else None


def _list_pairs() -> list[tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]]:
    """For each spelling: the opening marker, the closing one, and the closing one that may stand alone."""
    flags = re.IGNORECASE | re.DOTALL
    spelled = {(re.escape(row.open.strip()), row.close): row for _, row in FAMILIES}
    pairs = [(opening, re.escape(close), _BARE_CLOSE.get(close, re.escape(close))) for opening, close in spelled]
    pairs += [(opening, closing, r"(?!)") for opening, closing in _SPELLED_OUT]
    return [(re.compile(a, flags), re.compile(b, flags), re.compile(c, flags)) for a, b, c in pairs]


_PAIRS = _list_pairs()
