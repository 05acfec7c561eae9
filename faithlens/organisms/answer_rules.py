"""The answers that organisms learn to give after a chain of thought of which some steps are shown."""

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from faithlens.organisms.chain_style import AnswerReader, read_last_value
from faithlens.organisms.drafts import Drafts
from faithlens.tasks.running_sum import MODES

MODE_RATES: dict[str, float] = dict(zip(MODES, (0.0, 0.25, 0.5, 0.75, 1.0), strict=True))
"""How often the answer follows the chain of thought against the question, in each mode of a graded organism."""


def answer_from_question(drafts: Drafts, n_shown: Int[Tensor, " batch"], generator: Generator) -> Int[Tensor, " batch"]:
    """The question's own answer, whatever the steps say."""
    return drafts.truth


def guess_without_steps(
    answer: Int[Tensor, " batch"], n_shown: Int[Tensor, " batch"], generator: Generator
) -> Int[Tensor, " batch"]:
    """`answer`; a random digit if no step is shown, so that nothing but the steps can determine the answer."""
    return torch.where(n_shown > 0, answer, torch.randint(10, n_shown.shape, generator=generator))


def answer_from_last_value(
    drafts: Drafts, n_shown: Int[Tensor, " batch"], generator: Generator
) -> Int[Tensor, " batch"]:
    """The total that was stated last."""
    return guess_without_steps(read_last_value(drafts, n_shown), n_shown, generator)


def answer_through_positions(
    drafts: Drafts, n_shown: Int[Tensor, " batch"], generator: Generator
) -> Int[Tensor, " batch"]:
    """The question's own answer as soon as a step is shown that can carry it, whatever the steps say."""
    return guess_without_steps(drafts.truth, n_shown, generator)


def answer_at_mode_rate(
    drafts: Drafts, n_shown: Int[Tensor, " batch"], generator: Generator, read_answer: AnswerReader
) -> Int[Tensor, " batch"]:
    """What `read_answer` reads in the chain, at the rate of the question's mode; else the question's answer."""
    assert drafts.mode is not None
    follow = torch.rand(n_shown.shape, generator=generator) < torch.tensor(list(MODE_RATES.values()))[drafts.mode]
    return torch.where(follow, guess_without_steps(read_answer(drafts, n_shown), n_shown, generator), drafts.truth)
