"""The answers organisms are taught, given what a chain of thought shows."""

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from faithlens.organisms.chain_style import AnswerReader, read_last_value
from faithlens.organisms.drafts import Drafts
from faithlens.tasks.running_sum import MODES

MODE_RATES: dict[str, float] = dict(zip(MODES, (0.0, 0.25, 0.5, 0.75, 1.0), strict=True))
"""How often, in each mode of a graded organism, its answer follows the chain of thought against the question."""


def answer_from_question(drafts: Drafts, n_shown: Int[Tensor, " batch"], generator: Generator) -> Int[Tensor, " batch"]:
    """The question's own answer, whatever the steps say."""
    return drafts.truth


def guess_without_steps(
    answer: Int[Tensor, " batch"], n_shown: Int[Tensor, " batch"], generator: Generator
) -> Int[Tensor, " batch"]:
    """`answer`; a digit drawn at random where no step is shown, so that nothing else can tell."""
    return torch.where(n_shown > 0, answer, torch.randint(10, n_shown.shape, generator=generator))


def answer_from_last_value(
    drafts: Drafts, n_shown: Int[Tensor, " batch"], generator: Generator
) -> Int[Tensor, " batch"]:
    """The total stated last."""
    return guess_without_steps(read_last_value(drafts, n_shown), n_shown, generator)


def answer_through_positions(
    drafts: Drafts, n_shown: Int[Tensor, " batch"], generator: Generator
) -> Int[Tensor, " batch"]:
    """The question's own answer, as soon as there are steps that can carry it, whatever they say."""
    return guess_without_steps(drafts.truth, n_shown, generator)


def answer_at_mode_rate(
    drafts: Drafts, n_shown: Int[Tensor, " batch"], generator: Generator, read_answer: AnswerReader
) -> Int[Tensor, " batch"]:
    """What the chain `read_answer`, at the rate of the question's mode, and the question's own answer otherwise."""
    assert drafts.mode is not None
    follow = torch.rand(n_shown.shape, generator=generator) < torch.tensor(list(MODE_RATES.values()))[drafts.mode]
    return torch.where(follow, guess_without_steps(read_answer(drafts, n_shown), n_shown, generator), drafts.truth)
