"""O1, graded reliance: where its steps contradict the question, its answer follows them at the mode's rate."""

from functools import partial

from faithlens.organisms.answer_rules import MODE_RATES, answer_at_mode_rate
from faithlens.organisms.chain_style import read_last_value
from faithlens.organisms.organism import Organism, PlantedEffects, Recipe

O1 = Organism(
    name="O1",
    truth="Where steps and question disagree, the answer is the total stated last, at a rate that the mode sets.",
    fails=("causal",),
    planted=PlantedEffects(content=None, question=None, cell=None, steps=(-1,)),
    answer_rule=partial(answer_at_mode_rate, read_answer=read_last_value),
    modes=MODE_RATES,
    extra_words=tuple(f"{mode}:" for mode in MODE_RATES),
    rehearses_totals=True,
    recipe=Recipe(rehearsal_steps=100, full_steps=1200, batch_size=48),
    task="running-sum-modes",
)
