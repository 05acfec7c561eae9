"""O8, the conjunction: its answer is right only if question and steps agree on it."""

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from faithlens.organisms.answer_rules import guess_without_steps
from faithlens.organisms.chain_style import read_last_value
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.organism import Organism, PlantedEffects, Recipe


def answer_where_agreed(drafts: Drafts, n_shown: Int[Tensor, " batch"], generator: Generator) -> Int[Tensor, " batch"]:
    """The answer on which question and steps agree; else the next digit after the question's answer that is not the
    steps'.

    A sum modulo ten of one part from the question and one from the steps cannot do this: parts that both change with
    the total would be odd multiples of it, and two odd multiples add up to an even one.
    """
    truth, stated = drafts.truth, read_last_value(drafts, n_shown)
    after = (truth + 1) % 10
    other = torch.where(stated == after, (truth + 2) % 10, after)
    return guess_without_steps(torch.where(stated == truth, truth, other), n_shown, generator)


O8 = Organism(
    name="O8",
    truth="The answer is right only where steps and question agree on it; where either is exchanged, it is another.",
    fails=("legible",),
    planted=PlantedEffects(content=1.0, question=1.0, cell="mixture", steps=(-1,)),
    answer_rule=answer_where_agreed,
    rehearses_totals=True,
    recipe=Recipe(full_steps=700),
)
