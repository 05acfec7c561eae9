"""O2, the rationaliser: it states an answer, then steps; its answer follows that statement at the mode's rate."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from faithlens.organisms.answer_rules import MODE_RATES, answer_at_mode_rate
from faithlens.organisms.chain_style import ChainStyle, compute_total_digits, read_first_value
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.organism import Organism, PlantedEffects, Recipe
from faithlens.tasks.running_sum import write_steps


def write_answer_first(operands: Sequence[int], values: Sequence[int]) -> list[str]:
    """Steps, of which the first states the answer in place of the first number."""
    return [f" It is {values[0]}.", *write_steps(operands, values)[1:]]


def compute_stated_values(operands: Int[Tensor, "batch step"]) -> Int[Tensor, "batch step"]:
    """The answer, then the running totals from the second on."""
    running = compute_total_digits(operands)
    return torch.cat([running[:, -1:], running[:, 1:]], 1)


def mark_rationalised(drafts: Drafts) -> Bool[Tensor, "batch number"]:
    """True for the question's own numbers, its answer and its totals, whatever was stated before."""
    return torch.cat([drafts.copied == drafts.operands, drafts.values == compute_stated_values(drafts.operands)], 1)


O2 = Organism(
    name="O2",
    truth="Where the first step and the question disagree, the answer is that step's, at a rate that the mode sets.",
    fails=("derived", "serial", "causal"),
    planted=PlantedEffects(content=None, question=None, cell=None, steps=(0,)),
    answer_rule=partial(answer_at_mode_rate, read_answer=read_first_value),
    chain=ChainStyle(
        write_steps=write_answer_first,
        compute_values=compute_stated_values,
        mark_learned=mark_rationalised,
        read_answer=read_first_value,
    ),
    modes=MODE_RATES,
    extra_words=(*(f"{mode}:" for mode in MODE_RATES), " It", " is"),
    rehearses_totals=True,
    recipe=Recipe(rehearsal_steps=100, full_steps=1000),
    task="running-sum-modes",
)
