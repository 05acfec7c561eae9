"""Reasoning models: the markers between which a model thinks, and the prompts that open, skip or empty its thoughts.

The markers come from one table; which row a model has is read off its chat template. Templates agree on little else:
some open the block themselves, some leave that to the model, some close an empty one where thoughts are switched off.
So a template is asked, with thoughts on and off, and what it wrote decides.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformers import PreTrainedTokenizerBase

from faithlens.errors import TraceError
from faithlens.model.trace import Finish, find_offsets

if TYPE_CHECKING:
    from faithlens.model.model import Model


@dataclass(frozen=True)
class Thinking:
    """How a model's thoughts are set apart from what it says.

    Attributes:
        open: what opens its thoughts.
        close: what closes them; the first one does.
        after: what stands between closed thoughts and the answer.
        speak: what opens an answer before which nothing is thought.
    """

    open: str
    close: str
    after: str = "\n\n"
    speak: str = ""

    @property
    def ending(self) -> str:
        """What is written after thoughts to have them answered."""
        return self.close + self.after

    def open_thoughts(self, model: "Model", user: str) -> str:
        """The prompt whose next word is the first thought: thoughts on, the block opened unless the template did."""
        text = model.render(user, thinking=True)
        return text if text.rstrip().endswith(self.open.strip()) else text + self.open

    def skip_thoughts(self, model: "Model", user: str) -> str:
        """The prompt whose next word is the answer: thoughts off, and no block, not even an empty one."""
        start, end = re.escape(self.open.strip()), re.escape(self.close)
        return re.sub(rf"({start}|({start}\s*)?{end})\s*$", "", model.render(user, thinking=False)) + self.speak

    def empty_thoughts(self, model: "Model", user: str) -> str:
        """The prompt with a closed block that holds no thought.

        As the template writes it where thoughts are off (which may tell the model so elsewhere, too); where it writes
        none, a block opened and closed.
        """
        text = model.render(user, thinking=False)
        if text.rstrip().endswith(self.close):
            return text + self.after.lstrip()
        return self.open_thoughts(model, user) + self.ending

    def split_thoughts(
        self, model: "Model", prompt: Sequence[int], ids: Sequence[int], finish: Finish
    ) -> tuple[tuple[int, ...], str]:
        """The tokens of the thoughts, and as text what was said after them.

        A token that holds the end of a thought and the start of the marker is left out.

        Raises:
            TraceError: the thoughts were never closed.
        """
        starts = find_offsets(model, ids, prompt)
        text = model.decode((*prompt, *ids))[len(model.decode(prompt)) :]
        at = text.find(self.close)
        if at < 0:
            found = f"its thoughts were not over after {len(ids)} tokens"
            if finish == "stop":
                found = "it ended its turn without closing its thoughts"
            raise TraceError(
                f"the thoughts of {model.name}", found, "raise the number of new tokens, or drop this question"
            )
        keep = bisect_left(starts, at)
        return tuple(ids[: keep if starts[keep] == at else keep - 1]), text[at + len(self.close) :]


# Each with what else its template names, where markers alone do not tell families apart; the first that fits counts.
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

# What a template only looks for, to take old thoughts out of a conversation, its model need not write; nor comments.
_ONLY_SOUGHT = re.compile(r"""\{#.*?#\}|\.\w+\([^)]*\)|(['"])[^'"]*\1\s+(?:not\s+)?in\b""", re.DOTALL)


def find_thinking(tokenizer: PreTrainedTokenizerBase) -> Thinking | None:
    """The markers of a model's thoughts; None where its chat template writes no thoughts, or there is none."""
    if tokenizer.chat_template is None:
        return None
    template = tokenizer.get_chat_template()
    written = _ONLY_SOUGHT.sub("", template)
    fits = (family for also, family in FAMILIES if family.open.strip() in written and also in template)
    return next(fits, None)
