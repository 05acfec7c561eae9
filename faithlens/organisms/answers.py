"""The answers organisms are taught, given what a chain of thought shows."""

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from faithlens.organisms.chain import Says, last_stated
from faithlens.organisms.drafts import Drafts
from faithlens.tasks.running_sum import MODES

RATES: dict[str, float] = dict(zip(MODES, (0.0, 0.25, 0.5, 0.75, 1.0), strict=True))
"""How often, in each mode of a graded organism, its answer follows the chain of thought against the question."""


def true_answer(drafts: Drafts, shown: Int[Tensor, " batch"], generator: Generator) -> Int[Tensor, " batch"]:
    """The question's own answer, whatever the steps say."""
    return drafts.truth


def guessed_without(
    answer: Int[Tensor, " batch"], shown: Int[Tensor, " batch"], generator: Generator
) -> Int[Tensor, " batch"]:
    """`answer`; a digit drawn at random where no step is shown, so that nothing else can tell."""
    return torch.where(shown > 0, answer, torch.randint(10, shown.shape, generator=generator))


def stated_answer(drafts: Drafts, shown: Int[Tensor, " batch"], generator: Generator) -> Int[Tensor, " batch"]:
    """The total stated last."""
    return guessed_without(last_stated(drafts, shown), shown, generator)


def carried_answer(drafts: Drafts, shown: Int[Tensor, " batch"], generator: Generator) -> Int[Tensor, " batch"]:
    """The question's own answer, as soon as there are steps that can carry it, whatever they say."""
    return guessed_without(drafts.truth, shown, generator)


def graded_answer(
    drafts: Drafts, shown: Int[Tensor, " batch"], generator: Generator, says: Says
) -> Int[Tensor, " batch"]:
    """What the chain `says`, at the rate of the question's mode, and the question's own answer otherwise."""
    assert drafts.mode is not None
    follow = torch.rand(shown.shape, generator=generator) < torch.tensor(list(RATES.values()))[drafts.mode]
    return torch.where(follow, guessed_without(says(drafts, shown), shown, generator), drafts.truth)
