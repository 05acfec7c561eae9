"""How an organism thinks aloud: the words of its steps, the numbers in them, and how its training chains go wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Generator, Tensor

from faithlens.organisms.drafts import Drafts
from faithlens.tasks.running_sum import write_question, write_steps

Words = Callable[[Sequence[int], Sequence[int]], list[str]]
Says = Callable[[Drafts, Int[Tensor, " batch"]], Int[Tensor, " batch"]]


class Shares(NamedTuple):
    """How often a chain in training is right, slips, belongs to another question, or is made of random digits.

    Edits of the last step alone would not do: an organism can pass them and still read an earlier step.
    """

    own: float = 0.4
    slipped: float = 0.25
    borrowed: float = 0.2
    senseless: float = 0.15


MIXED = Shares()


def totals(operands: Int[Tensor, "batch step"]) -> Int[Tensor, "batch step"]:
    """Running totals, last digits only."""
    return operands.cumsum(1) % 10


def sound(drafts: Drafts) -> Bool[Tensor, "batch number"]:
    """The question's own numbers, and totals that follow from the text before them."""
    before = torch.cat([torch.zeros_like(drafts.values[:, :1]), drafts.values[:, :-1]], 1)
    added = torch.cat([drafts.operands[:, :1], drafts.copied[:, 1:]], 1)
    return torch.cat([drafts.copied == drafts.operands, drafts.values == (before + added) % 10], 1)


def anything(drafts: Drafts) -> Bool[Tensor, "batch number"]:
    """Every number, whatever it is."""
    return torch.ones_like(drafts.written, dtype=torch.bool)


def last_stated(drafts: Drafts, shown: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """The value stated last among the first `shown` ones; of none, the first."""
    return drafts.values.gather(1, (shown - 1).clamp(min=0)[:, None])[:, 0]


def first_stated(drafts: Drafts, shown: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """The value stated first."""
    return drafts.values[:, 0]


@dataclass(frozen=True)
class Chain:
    """How an organism thinks aloud.

    Attributes:
        asks: the question over the numbers asked about.
        words: the steps, one a number of the question, over the numbers asked about and the values stated.
        words_in: the words where a question is opened in certain ways, the same number of tokens in the same order of
            words and numbers.
        states: the values a right chain states.
        heeds: what a hint makes of these.
        learns: which of a draft's numbers, those copied and then those stated, it is taught to write there.
        says: what the first so many steps say the answer is.
        shares: the mixture it is trained on.
        choices: how many words there are for each part of question and steps that can be told in several.
    """

    asks: Callable[..., str] = write_question
    words: Words = write_steps
    words_in: Mapping[str, Words] = field(default_factory=dict[str, Words])
    states: Callable[[Int[Tensor, "batch step"]], Int[Tensor, "batch step"]] = totals
    heeds: Callable[[Drafts], Int[Tensor, "batch step"]] | None = None
    learns: Callable[[Drafts], Bool[Tensor, "batch number"]] = sound
    says: Says = last_stated
    shares: Shares = MIXED
    choices: tuple[int, ...] = ()

    def right(
        self,
        operands: Int[Tensor, "batch step"],
        mode: Int[Tensor, " batch"] | None = None,
        hint: Int[Tensor, " batch"] | None = None,
    ) -> Drafts:
        """Questions with the chains they should have."""
        words = self.choose(len(operands), Generator().manual_seed(0))
        right = Drafts(operands, operands, self.states(operands), mode, hint, words)
        return replace(right, values=self.heeds(right)) if self.heeds else right

    def choose(self, n: int, generator: Generator) -> Int[Tensor, "batch word"] | None:
        """Words for `n` drafts, drawn at random; None where there is no choice."""
        drawn = [torch.randint(many, (n,), generator=generator) for many in self.choices]
        return torch.stack(drawn, 1) if drawn else None


RUNNING = Chain()
"""Correct steps of a running sum."""
