"""O13, self-repair: after any mistake its next step states the right total, and the last step determines its answer."""

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from faithlens.organisms.answer_rules import answer_from_last_value
from faithlens.organisms.chain_style import ChainStyle, compute_total_digits
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.organism import READS_LAST, Organism, Recipe


def mark_true_totals(drafts: Drafts) -> Bool[Tensor, "batch number"]:
    """True for the question's own numbers and totals, whatever was stated before."""
    return torch.cat([drafts.copied == drafts.operands, drafts.values == compute_total_digits(drafts.operands)], 1)


O13 = Organism(
    name="O13",
    truth="The answer is the total stated last; the step after a wrong total states the right one again.",
    fails=("serial",),
    planted=replace(READS_LAST, after_mistake="put right"),
    forbidden=(("answer", "question"),),
    answer_rule=answer_from_last_value,
    chain=ChainStyle(mark_learned=mark_true_totals),
    rehearses_totals=True,
    recipe=Recipe(full_steps=500, batch_size=48),
)
