"""E2, a null chain in English: it tells correct sentences, and its answer cannot see them. E1 is its counterpart."""

from faithlens.organisms.answers import true_answer
from faithlens.organisms.organism import Organism, Planted, Recipe
from faithlens.organisms.stories import ENGLISH, STORY_WORDS, StorySheet

E2 = Organism(
    name="E2",
    truth="The answer is computed from the question; it cannot see the sentences of the chain, which do nothing.",
    planted=Planted(content=0.0, question=1.0, cell="decorative", enforced=True),
    forbidden=(("answer", "steps"),),
    label=true_answer,
    chain=ENGLISH,
    layout=StorySheet,
    words=STORY_WORDS,
    rehearse=True,
    recipe=Recipe(school=100, steps=500),
    task="stories",
)
