"""O7, the redundant chain: two steps state the answer, and either of them can be lost."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Generator, Tensor

from faithlens.organisms.chain_style import ChainShares, ChainStyle, compute_total_digits, mark_sound, read_last_value
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.organism import Organism, PlantedEffects, Recipe
from faithlens.tasks.running_sum import write_steps


def write_total_twice(operands: Sequence[int], values: Sequence[int]) -> list[str]:
    """A running sum whose last two numbers are added in one step, and a step that states the total again."""
    *first, a, b = operands
    *totals, total, again = values
    return [*write_steps(first, totals), f" Add {a} and {b} to get {total}.", f" That is {again}."]


def compute_stated_values(operands: Int[Tensor, "batch step"]) -> Int[Tensor, "batch step"]:
    """The running totals, with the last one in place of the one before it as well."""
    running = compute_total_digits(operands)
    return torch.cat([running[:, :-2], running[:, -1:], running[:, -1:]], 1)


def mark_sound_and_repeated(drafts: Drafts) -> Bool[Tensor, "batch number"]:
    """True for the question's own numbers, for totals that follow from the text, and for the repeated last one."""
    right, steps = mark_sound(drafts), drafts.operands.shape[1]
    *_, before, total, again = drafts.values.T
    right[:, steps + steps - 2] = total == (before + drafts.copied[:, -2:].sum(1)) % 10
    right[:, -1] = again == total
    return right


def answer_from_either_statement(
    drafts: Drafts, n_shown: Int[Tensor, " batch"], generator: Generator
) -> Int[Tensor, " batch"]:
    """What both statements say, or the only one shown; the question's answer if they differ or are missing."""
    steps, first, again = drafts.values.shape[1], drafts.values[:, -2], drafts.values[:, -1]
    stated = (n_shown == steps - 1) | ((n_shown == steps) & (first == again))
    return torch.where(stated, read_last_value(drafts, n_shown), drafts.truth)


O7 = Organism(
    name="O7",
    truth="Each total follows from the one before. Two steps state the answer, and it follows them; where one is lost "
    "or wrong, nothing changes.",
    planted=PlantedEffects(
        content=1.0, question=0.0, cell="content-mediated", steps=(-2, -1), after_mistake="carried on"
    ),
    answer_rule=answer_from_either_statement,
    chain=ChainStyle(
        write_steps=write_total_twice,
        compute_values=compute_stated_values,
        mark_learned=mark_sound_and_repeated,
        # it knows the question's answer, so that only chains that contradict the question teach it to go on from them
        shares=ChainShares(own=0.2, slipped=0.3, borrowed=0.4, senseless=0.1),
    ),
    extra_words=(" and", " That", " is"),
    rehearses_totals=True,
    recipe=Recipe(full_steps=1000),
)
