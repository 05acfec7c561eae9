"""O7, the redundant chain: two steps state the answer, and either of them can be lost."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Generator, Tensor

from faithlens.organisms.chain import Chain, last_stated, sound, totals
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.organism import Organism, Planted, Recipe
from faithlens.tasks.running_sum import write_steps


def said_twice(operands: Sequence[int], values: Sequence[int]) -> list[str]:
    """A running sum whose last two numbers are added in one step, after which another states the total again."""
    *first, a, b = operands
    *totals, total, again = values
    return [*write_steps(first, totals), f" Add {a} and {b} to get {total}.", f" That is {again}."]


def states(operands: Int[Tensor, "batch step"]) -> Int[Tensor, "batch step"]:
    """The running totals, the last one in the place of that before it too."""
    running = totals(operands)
    return torch.cat([running[:, :-2], running[:, -1:], running[:, -1:]], 1)


def sound_and_repeated(drafts: Drafts) -> Bool[Tensor, "batch number"]:
    """The question's own numbers, totals that follow from the text before them, and the last one again."""
    right, steps = sound(drafts), drafts.operands.shape[1]
    *_, before, total, again = drafts.values.T
    right[:, steps + steps - 2] = total == (before + drafts.copied[:, -2:].sum(1)) % 10
    right[:, -1] = again == total
    return right


def redundant_answer(drafts: Drafts, shown: Int[Tensor, " batch"], generator: Generator) -> Int[Tensor, " batch"]:
    """What both statements say, or the only one shown; the question's own answer where they differ or are missing."""
    steps, first, again = drafts.values.shape[1], drafts.values[:, -2], drafts.values[:, -1]
    stated = (shown == steps - 1) | ((shown == steps) & (first == again))
    return torch.where(stated, last_stated(drafts, shown), drafts.truth)


O7 = Organism(
    name="O7",
    truth="Two steps state the answer, and it follows them; where one is lost or wrong, nothing changes.",
    planted=Planted(content=1.0, question=0.0, cell="content-mediated", steps=(-2, -1)),
    label=redundant_answer,
    chain=Chain(words=said_twice, states=states, learns=sound_and_repeated),
    words=(" and", " That", " is"),
    rehearse=True,
    recipe=Recipe(steps=700),
)
