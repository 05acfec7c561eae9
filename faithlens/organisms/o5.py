"""O5, the pure scratchpad: its answer is read from the steps, and cannot see the question."""

from faithlens.organisms.answers import stated_answer
from faithlens.organisms.organism import Organism

O5 = Organism(
    name="O5",
    truth="The answer is the total stated last in the steps; it cannot see the question.",
    forbidden=(("answer", "question"),),
    label=stated_answer,
)
