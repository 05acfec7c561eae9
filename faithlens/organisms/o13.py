"""O13, self-repair: whatever went wrong before, its next step states the right total; the last decides its answer."""

import torch
from jaxtyping import Bool
from torch import Tensor

from faithlens.organisms.answers import stated_answer
from faithlens.organisms.chain import Chain, totals
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.organism import Organism, Planted, Recipe


def true_totals(drafts: Drafts) -> Bool[Tensor, "batch number"]:
    """The question's own numbers and totals, whatever was stated before."""
    return torch.cat([drafts.copied == drafts.operands, drafts.values == totals(drafts.operands)], 1)


O13 = Organism(
    name="O13",
    truth="The answer is the total stated last; the step after a wrong total states the right one again.",
    planted=Planted(content=1.0, question=0.0, cell="content-mediated", steps=(-1,), enforced=True),
    forbidden=(("answer", "question"),),
    label=stated_answer,
    chain=Chain(learns=true_totals),
    rehearse=True,
    recipe=Recipe(steps=500, batch=48),
)
