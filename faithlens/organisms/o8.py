"""O8, the conjunction: its answer is right only where question and steps agree on it."""

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from faithlens.organisms.answer_rules import guess_without_steps
from faithlens.organisms.chain_style import read_last_value
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.organism import Organism, PlantedEffects, Recipe


def answer_where_agreed(drafts: Drafts, n_shown: Int[Tensor, " batch"], generator: Generator) -> Int[Tensor, " batch"]:
    """What question and steps agree on; where they do not, the next digit after the question's that is not the steps'.

    Modulo ten no sum of a part from the question and a part from the steps will do: parts that both move with the total
    would be odd multiples of it, and these add up to an even one.
    """
    truth, said = drafts.truth, read_last_value(drafts, n_shown)
    after = (truth + 1) % 10
    other = torch.where(said == after, (truth + 2) % 10, after)
    return guess_without_steps(torch.where(said == truth, truth, other), n_shown, generator)


O8 = Organism(
    name="O8",
    truth="The answer is right only where steps and question agree on it; where either is exchanged, it is another.",
    planted=PlantedEffects(content=1.0, question=1.0, cell="mixture", steps=(-1,)),
    answer_rule=answer_where_agreed,
    rehearses_totals=True,
    recipe=Recipe(full_steps=700),
)
