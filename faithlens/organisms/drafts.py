"""Questions with chains of thought, as digits. `TokenLayout` writes them as tokens."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True)
class Drafts:
    """A batch of questions, each with a chain of thought that may be wrong or belong to another question, as digits.

    Attributes:
        operands: the numbers in the question.
        copied: the numbers that the chain of thought uses.
        values: the values that it states.
        mode: the index of the mode that each question is asked in; None for an organism without modes.
        hint: the digit that a hint names, which a mode without hints does not show; None for an organism without hints.
        words: the wording of each part that has several; None if there is only one.
    """

    operands: Int[Tensor, "batch step"]
    copied: Int[Tensor, "batch step"]
    values: Int[Tensor, "batch step"]
    mode: Int[Tensor, " batch"] | None = None
    hint: Int[Tensor, " batch"] | None = None
    words: Int[Tensor, "batch word"] | None = None

    @property
    def truth(self) -> Int[Tensor, " batch"]:
        """The right answers to the questions."""
        return self.operands.sum(1) % 10

    @property
    def numbers(self) -> Int[Tensor, "batch number"]:
        """All numbers of the chain of thought: the copied ones, then the stated ones."""
        return torch.cat([self.copied, self.values], 1)
