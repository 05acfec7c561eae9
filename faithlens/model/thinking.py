r"""Reasoning models: the markers between which a model thinks, and the prompts that open, skip or empty its thoughts.

The markers come from one table. Which row of the table a model has is read from its chat template. Templates differ in
the rest: some open the block of thoughts themselves, some leave that to the model, and some write a closed empty block
where thoughts are switched off. So each template is rendered with thoughts on and off, and its output decides.

For example, Qwen3 has the markers ``<think>\n`` and ``</think>``. Its template writes no block where thoughts are on,
so `open_thoughts` adds ``<think>\n``; where thoughts are off the template writes ``<think>\n\n</think>\n\n``, so
`empty_thoughts` keeps this block and `skip_thoughts` removes it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

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
)

# Templates also name markers in comments, and where they remove old thoughts from a conversation. These are no evidence
# that the model writes them.
_ONLY_SOUGHT = re.compile(r"""\{#.*?#\}|\.\w+\([^)]*\)|(['"])[^'"]*\1\s+(?:not\s+)?in\b""", re.DOTALL)


def find_thinking(tokenizer: PreTrainedTokenizerBase) -> Thinking | None:
    """The markers of a model's thoughts; None where the tokenizer has no chat template or one without thoughts."""
    if tokenizer.chat_template is None:
        return None
    template = tokenizer.get_chat_template()
    written = _ONLY_SOUGHT.sub("", template)
    fits = (family for also, family in FAMILIES if family.open.strip() in written and also in template)
    return next(fits, None)
