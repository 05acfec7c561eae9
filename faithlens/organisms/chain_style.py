"""The chain of thought of an organism: the words of its steps, the numbers in them, and its mistakes in training."""

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
    """The shares of the kinds of chains in training.

    Edits of the last step alone would not be enough: an organism can ignore them and still read an earlier step.

    Attributes:
        own: the question's own right chain.
        slipped: the right chain with one wrong value.
        borrowed: another question's right chain.
        senseless: a chain of random digits.
    """

    own: float = 0.4
    slipped: float = 0.25
    borrowed: float = 0.2
    senseless: float = 0.15


DEFAULT_SHARES = ChainShares()


def compute_total_digits(operands: Int[Tensor, "batch step"]) -> Int[Tensor, "batch step"]:
    """The last digits of the running totals."""
    return operands.cumsum(1) % 10


def mark_sound(drafts: Drafts) -> Bool[Tensor, "batch number"]:
    """True for the question's own numbers, and for totals that follow from the text before them."""
    before = torch.cat([torch.zeros_like(drafts.values[:, :1]), drafts.values[:, :-1]], 1)
    added = torch.cat([drafts.operands[:, :1], drafts.copied[:, 1:]], 1)
    return torch.cat([drafts.copied == drafts.operands, drafts.values == (before + added) % 10], 1)


def mark_all(drafts: Drafts) -> Bool[Tensor, "batch number"]:
    """True for every number."""
    return torch.ones_like(drafts.numbers, dtype=torch.bool)


def read_last_value(drafts: Drafts, n_shown: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """The last value among the first `n_shown` ones; the first value if none is shown."""
    return drafts.values.gather(1, (n_shown - 1).clamp(min=0)[:, None])[:, 0]


def read_first_value(drafts: Drafts, n_shown: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """The value that is stated first."""
    return drafts.values[:, 0]


@dataclass(frozen=True)
class ChainStyle:
    """How an organism writes its chain of thought.

    Attributes:
        write_question: writes the question from its numbers.
        write_steps: writes the steps, one for each number of the question, from the numbers and the stated values.
        step_writers: writers for questions with certain openings; all write equally many tokens, with numbers at the
            same places.
        compute_values: the values that a right chain states.
        apply_hint: changes these values as a hint does; None for an organism without hints.
        mark_learned: which of the numbers, first the copied and then the stated ones, the organism learns to write.
        read_answer: the answer that the first so many steps state.
        shares: the mixture that the organism is trained on.
        word_counts: for each part of question and steps that has several wordings, their number.
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
        """Questions with their right chains."""
        words = self.draw_words(len(operands), Generator().manual_seed(0))
        right = Drafts(operands, operands, self.compute_values(operands), mode, hint, words)
        return replace(right, values=self.apply_hint(right)) if self.apply_hint else right

    def draw_words(self, n: int, generator: Generator) -> Int[Tensor, "batch word"] | None:
        """Random wordings for `n` drafts; None if there is only one."""
        drawn = [torch.randint(many, (n,), generator=generator) for many in self.word_counts]
        return torch.stack(drawn, 1) if drawn else None


RUNNING_SUM_STYLE = ChainStyle()
"""Correct steps of a running sum."""
