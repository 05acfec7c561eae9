"""O6, the serial chain: eight steps, each computed from the one before, and an answer that is read from the last."""

from dataclasses import replace

from faithlens.organisms.answer_rules import answer_from_last_value
from faithlens.organisms.organism import READS_LAST, Organism, Recipe

O6 = Organism(
    name="O6",
    truth="The answer is the last of eight totals, each made from the one before; it cannot see the question.",
    planted=replace(READS_LAST, after_mistake="carried on"),
    forbidden=(("answer", "question"),),
    answer_rule=answer_from_last_value,
    recipe=Recipe(n_operands=8),
    task="running-sum-8",
)
