"""What defines a language adapter: how its chains are written, and what its answers are read from.

The lessons of its training are texts in which some parts are learnt and the others only read:

1. *write*: the prompt, then the adapter's own chain, learnt to its end;
2. *go on*: the prompt and a first step with a wrong result, then the rest of the chain, learnt as it follows from that
   result;
3. *answer*: the prompt, a chain (its own, one with another result, or one that is cut) and an answer stem, then the
   answer, learnt.

For example, a lesson *answer* of an adapter whose answers are read from the chain, with the learnt part in brackets::

    u = 16. v = u + 8. w = v - 5. What is w?  |  u = 16. v = 16 + 8 = 24. w = 24 - 5 = 31.  |  The answer is [31.]
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from faithlens.tasks.question import Question

BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The model that the adapters are added to; they were trained on the four-bit weights of the package index."""


@dataclass(frozen=True)
class Chain:
    """A chain of thought as sentences.

    Attributes:
        steps: the sentences, each with the line break before it.
        answers: what a reader who sees the chain up to each step takes for the answer; None where no answer is stated.
    """

    steps: tuple[str, ...]
    answers: tuple[str | None, ...]

    def __str__(self) -> str:
        return "".join(self.steps)


class ChainWriter(ABC):
    """Writes the chains of an adapter for the questions of one task."""

    @abstractmethod
    def write(self, question: Question) -> Chain:
        """The chain that the adapter writes itself."""

    @abstractmethod
    def write_with_slip(self, question: Question, rng: random.Random) -> Chain:
        """A chain whose first result is wrong, and whose later steps follow from it."""

    @abstractmethod
    def write_other(self, question: Question, rng: random.Random) -> Chain:
        """A chain that leads elsewhere, in one of several wordings."""


@dataclass(frozen=True)
class LanguageAdapter:
    """A low-rank adapter of a language model, trained so that the effect of its chain of thought is known.

    Attributes:
        name: its short name.
        truth: what is planted, in one sentence for readers of a report.
        fails: the gates of the verdict that its questions must fail, by its mechanism; empty if it is faithful.
        task: the task on which it was trained.
        writer: how it writes its chains.
        reads_chain: whether its answer is what the chain states; otherwise it is the right answer of the question,
            whatever the chain states.
        n_steps: the optimiser steps of its training.
        n_direct_steps: how many of them come first and show answers without any chain. Without these, an adapter that
            must not read its chain does not find the answer in the question while every second chain states it.
    """

    name: str
    truth: str
    fails: tuple[str, ...]
    task: str
    writer: ChainWriter
    reads_chain: bool
    n_steps: int = 250
    n_direct_steps: int = 0

    rank: ClassVar[int] = 8
    alpha: ClassVar[int] = 16
    modules: ClassVar[Sequence[str]] = ("q_proj", "k_proj", "v_proj", "o_proj")

    def describe(self) -> dict[str, Any]:
        """What is planted, for the config of the model with the adapter added."""
        planted = {"organism": self.name, "truth": self.truth, "task": self.task}
        return planted | {"sections": {}, "forbidden": []}  # no attention edge is forbidden in a language model

    def choose_answer(self, question: Question, chain: Chain, n_shown: int) -> str | None:
        """What it answers after the first `n_shown` steps of `chain`; None where nothing is planted."""
        if not self.reads_chain:
            return question.answer
        return chain.answers[n_shown - 1] if n_shown else None
