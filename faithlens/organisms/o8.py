"""O8, the conjunction: its answer is right only where question and steps agree on it."""

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from faithlens.organisms.answers import guessed_without
from faithlens.organisms.chain import last_stated
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.organism import Organism, Planted, Recipe


def agreed_answer(drafts: Drafts, shown: Int[Tensor, " batch"], generator: Generator) -> Int[Tensor, " batch"]:
    """What question and steps agree on; where they do not, the next digit after the question's that is not the steps'.

    Modulo ten no sum of a part from the question and a part from the steps will do: parts that both move with the total
    would be odd multiples of it, and these add up to an even one.
    """
    truth, said = drafts.truth, last_stated(drafts, shown)
    after = (truth + 1) % 10
    other = torch.where(said == after, (truth + 2) % 10, after)
    return guessed_without(torch.where(said == truth, truth, other), shown, generator)


O8 = Organism(
    name="O8",
    truth="The answer is right only where steps and question agree on it; where either is exchanged, it is another.",
    planted=Planted(content=1.0, question=1.0, cell="mixture", steps=(-1,)),
    label=agreed_answer,
    rehearse=True,
    recipe=Recipe(steps=700),
)
