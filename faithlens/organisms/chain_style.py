"""How an organism thinks aloud: the words of its steps, the numbers in them, and how its training chains go wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Generator, Tensor

from faithlens.organisms.drafts import Drafts
from faithlens.tasks.running_sum import write_question, write_steps

StepWriter = Callable[[Sequence[int], Sequence[int]], list[str]]
AnswerReader = Callable[[Drafts, Int[Tensor, " batch"]], Int[Tensor, " batch"]]


class ChainShares(NamedTuple):
    """How often a chain in training is right, slips, belongs to another question, or is made of random digits.

    Edits of the last step alone would not do: an organism can pass them and still read an earlier step.
    """

    own: float = 0.4
    slipped: float = 0.25
    borrowed: float = 0.2
    senseless: float = 0.15


DEFAULT_SHARES = ChainShares()


def compute_total_digits(operands: Int[Tensor, "batch step"]) -> Int[Tensor, "batch step"]:
    """Running totals, last digits only."""
    return operands.cumsum(1) % 10


def mark_sound(drafts: Drafts) -> Bool[Tensor, "batch number"]:
    """The question's own numbers, and totals that follow from the text before them."""
    before = torch.cat([torch.zeros_like(drafts.values[:, :1]), drafts.values[:, :-1]], 1)
    added = torch.cat([drafts.operands[:, :1], drafts.copied[:, 1:]], 1)
    return torch.cat([drafts.copied == drafts.operands, drafts.values == (before + added) % 10], 1)


def mark_all(drafts: Drafts) -> Bool[Tensor, "batch number"]:
    """Every number, whatever it is."""
    return torch.ones_like(drafts.numbers, dtype=torch.bool)


def read_last_value(drafts: Drafts, n_shown: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """The value stated last among the first `n_shown` ones; of none, the first."""
    return drafts.values.gather(1, (n_shown - 1).clamp(min=0)[:, None])[:, 0]


def read_first_value(drafts: Drafts, n_shown: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """The value stated first."""
    return drafts.values[:, 0]


@dataclass(frozen=True)
class ChainStyle:
    """How an organism thinks aloud.

    Attributes:
        write_question: the question over the numbers asked about.
        write_steps: the steps, one a number of the question, over the numbers asked about and the values stated.
        step_writers: the words where a question is opened in certain ways, the same number of tokens in the same order of
            words and numbers.
        compute_values: the values a right chain states.
        apply_hint: what a hint makes of these.
        mark_learned: which of a draft's numbers, those copied and then those stated, it is taught to write there.
        read_answer: what the first so many steps say the answer is.
        shares: the mixture it is trained on.
        word_counts: how many words there are for each part of question and steps that can be told in several.
    """

    write_question: Callable[..., str] = write_question
    write_steps: StepWriter = write_steps
    step_writers: Mapping[str, StepWriter] = field(default_factory=dict[str, StepWriter])
    compute_values: Callable[[Int[Tensor, "batch step"]], Int[Tensor, "batch step"]] = compute_total_digits
    apply_hint: Callable[[Drafts], Int[Tensor, "batch step"]] | None = None
    mark_learned: Callable[[Drafts], Bool[Tensor, "batch number"]] = mark_sound
    read_answer: AnswerReader = read_last_value
    shares: ChainShares = DEFAULT_SHARES
    word_counts: tuple[int, ...] = ()

    def make_right_drafts(
        self,
        operands: Int[Tensor, "batch step"],
        mode: Int[Tensor, " batch"] | None = None,
        hint: Int[Tensor, " batch"] | None = None,
    ) -> Drafts:
        """Questions with the chains they should have."""
        words = self.draw_words(len(operands), Generator().manual_seed(0))
        right = Drafts(operands, operands, self.compute_values(operands), mode, hint, words)
        return replace(right, values=self.apply_hint(right)) if self.apply_hint else right

    def draw_words(self, n: int, generator: Generator) -> Int[Tensor, "batch word"] | None:
        """Words for `n` drafts, drawn at random; None where there is no choice."""
        drawn = [torch.randint(many, (n,), generator=generator) for many in self.word_counts]
        return torch.stack(drawn, 1) if drawn else None


RUNNING_SUM_STYLE = ChainStyle()
"""Correct steps of a running sum."""
