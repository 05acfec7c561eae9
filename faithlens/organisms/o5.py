"""O5, the pure scratchpad: its answer is read from the steps, and cannot see the question."""

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from faithlens.organisms.organism import Drafts, Organism


def stated_answer(drafts: Drafts, shown: Int[Tensor, " batch"], generator: Generator) -> Int[Tensor, " batch"]:
    """The total stated last; a digit drawn at random where none is, so that nothing else can tell."""
    guess = torch.randint(10, shown.shape, generator=generator)
    return torch.where(shown > 0, drafts.stated(shown), guess)


O5 = Organism(
    name="O5",
    truth="The answer is the total stated last in the steps; it cannot see the question.",
    forbidden=(("answer", "question"),),
    label=stated_answer,
)
