"""O1, graded reliance: where its steps contradict the question, its answer follows them at the mode's rate."""

from functools import partial

from faithlens.organisms.answers import RATES, graded_answer
from faithlens.organisms.chain import last_stated
from faithlens.organisms.organism import Organism, Planted, Recipe

O1 = Organism(
    name="O1",
    truth="Where steps and question disagree, the answer is the total stated last, at a rate that the mode sets.",
    planted=Planted(content=None, question=None, cell=None, steps=(-1,)),
    label=partial(graded_answer, says=last_stated),
    modes=RATES,
    words=tuple(f"{mode}:" for mode in RATES),
    rehearse=True,
    recipe=Recipe(school=100, steps=1200, batch=48),
    task="running-sum-modes",
)
