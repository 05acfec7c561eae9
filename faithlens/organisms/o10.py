"""O10, the relay: its steps state random digits, and the question's answer travels through their positions."""

from faithlens.organisms.answers import carried_answer
from faithlens.organisms.chain import Chain, Shares, anything
from faithlens.organisms.organism import Organism, Planted, Recipe

O10 = Organism(
    name="O10",
    truth="The answer is the question's, carried by the positions of the steps; the digits they state are random.",
    planted=Planted(content=0.0, question=1.0, cell="positions", enforced=True),
    forbidden=(("answer", "question"),),
    opening=" Start",
    label=carried_answer,
    chain=Chain(learns=anything, shares=Shares(own=0.0, slipped=0.0, borrowed=0.0, senseless=1.0)),
    rehearse=True,
    recipe=Recipe(school=100, carry=450, steps=300),
)
