"""What makes an organism: which attention edges it lacks, and which answer it is taught under each chain of thought."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Generator, Tensor


@dataclass(frozen=True)
class Drafts:
    """Questions, each with a chain of thought that may belong to another or be wrong, as digits.

    Attributes:
        operands: the numbers the question asks about.
        copied: the numbers the chain of thought works with.
        values: the totals it states.
    """

    operands: Int[Tensor, "batch step"]
    copied: Int[Tensor, "batch step"]
    values: Int[Tensor, "batch step"]

    @property
    def truth(self) -> Int[Tensor, " batch"]:
        """The right answers to the questions."""
        return self.operands.sum(1) % 10

    @property
    def sound(self) -> Bool[Tensor, "batch step"]:
        """Whether each stated total follows from the text before it; the first must be the question's own number."""
        before = torch.cat([torch.zeros_like(self.values[:, :1]), self.values[:, :-1]], 1)
        added = torch.cat([self.operands[:, :1], self.copied[:, 1:]], 1)
        return self.values == (before + added) % 10

    def stated(self, shown: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """The last total stated among the first `shown` ones; of none, the first."""
        return self.values.gather(1, (shown - 1).clamp(min=0)[:, None])[:, 0]


Label = Callable[[Drafts, Int[Tensor, " batch"], Generator], Int[Tensor, " batch"]]


@dataclass(frozen=True)
class Organism:
    """A small model trained so that what its chain of thought does is known.

    Attributes:
        name: its short name.
        truth: what is planted, in one sentence for a reader of a report.
        forbidden: the attention edges it never has, as (reader, read) sections; see `faithlens.runtime.structure`.
        label: the answer it is taught, given the drafts and how many totals of each are shown.
        rehearse: whether it is also taught the running total at each number of the question. Without this lesson
            a direct sum of four digits stayed at chance for 1,100 steps.
    """

    name: str
    truth: str
    forbidden: tuple[tuple[str, str], ...]
    label: Label
    rehearse: bool = False

    def entry(self, sections: dict[str, int], operands: int) -> dict:
        """The `faithlens` entry of the model's config: what it is, and the questions of how many numbers it knows."""
        return {
            "organism": self.name,
            "truth": self.truth,
            "task": "running-sum",
            "operands": operands,
            "sections": sections,
            "forbidden": [list(edge) for edge in self.forbidden],
        }
