"""Questions with chains of thought as digits, before they are put into words."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True)
class Drafts:
    """Questions, each with a chain of thought that may belong to another or be wrong, as digits.

    Attributes:
        operands: the numbers the question asks about.
        copied: the numbers the chain of thought works with.
        values: the values it states.
        mode: which of the organism's modes the question is asked in; None where it has none.
        hint: the digit that a hint names, unseen in a mode without one; None for an organism that knows no hints.
        words: which words each is told in, one for each of the chain's choices; None where it has none.
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
        """All numbers of the chain of thought: those copied, then those stated."""
        return torch.cat([self.copied, self.values], 1)
