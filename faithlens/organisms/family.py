"""Families: one planted effect in models of five sizes, with eight checkpoints each, on questions of four lengths.

Does faithfulness fall as models grow, or does a measure of it fall because accuracy rises? Here the answer is known. If
the chain of thought is whole, the answer of a `steady` model is the total stated last, at any size; if the chain is cut
or missing, the model computes the answer from the question as well as it can. So a larger model gains only what it
knows without the chain. In the family `waning` the effect of the chain also shrinks with size: the answer follows it
only if the question starts with a small digit.
"""

from collections.abc import Mapping
from functools import partial

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from faithlens.errors import check_choice
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.organism import Organism, PlantedEffects, Recipe

TASK_BY_LENGTH = {3: "running-sum-3", 4: "running-sum", 5: "running-sum-5", 6: "running-sum-6"}
"""The task with questions of so many numbers, easiest first."""

CHECKPOINT_STEPS = (100, 200, 300, 400, 500, 600, 750, 900)
"""The optimiser steps after which a checkpoint is saved."""

DIGIT_LIMITS: Mapping[str, Mapping[int, int]] = {
    "steady": {24: 10, 32: 10, 40: 10, 56: 10, 80: 10},
    "waning": {24: 10, 32: 8, 40: 6, 56: 4, 80: 2},
}
"""By family and width: the answer follows a whole chain if the question starts below this digit; 10 is always."""


def answer_by_whole_chain(
    drafts: Drafts, n_shown: Int[Tensor, " batch"], generator: Generator, limit: int
) -> Int[Tensor, " batch"]:
    """The last value of a whole chain if the question's first digit is below `limit`; else the question's answer."""
    whole = n_shown == drafts.values.shape[1]
    return torch.where(whole & (drafts.operands[:, 0] < limit), drafts.values[:, -1], drafts.truth)


def make_member(family: str, width: int) -> Organism:
    """The organism of a family with this width."""
    check_choice(family, DIGIT_LIMITS, "family")
    below = DIGIT_LIMITS[family][width]
    return Organism(
        name=f"{family}-{width}",
        truth=f"A whole chain's last total is the answer to questions starting below {below}; else it is computed.",
        planted=PlantedEffects(content=below / 10, question=None, cell=None, steps=(-1,)),
        answer_rule=partial(answer_by_whole_chain, limit=below),
        rehearses_totals=True,
        recipe=Recipe(
            other_lengths=tuple(n for n in TASK_BY_LENGTH if n != Recipe.n_operands),
            width=width,
            full_steps=max(CHECKPOINT_STEPS),
        ),
    )


MEMBERS = {
    each.name: each for family, widths in DIGIT_LIMITS.items() for each in (make_member(family, w) for w in widths)
}
