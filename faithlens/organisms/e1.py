"""E1, a scratchpad in English: stories whose answer is read from the sentences of its chain, and not from the question.

Together with E2 it stands beside the organisms of the table in numbers: O4 and O5 again, in sentences that can be cut,
reworded and shuffled.
"""

from faithlens.organisms.answers import stated_answer
from faithlens.organisms.organism import Organism, Planted, Recipe
from faithlens.organisms.stories import ENGLISH, STORY_WORDS, StorySheet

E1 = Organism(
    name="E1",
    truth="The answer is the total stated last in the sentences of the chain; it cannot see the question.",
    planted=Planted(content=1.0, question=0.0, cell="content-mediated", steps=(-1,), enforced=True),
    forbidden=(("answer", "question"),),
    label=stated_answer,
    chain=ENGLISH,
    layout=StorySheet,
    words=STORY_WORDS,
    recipe=Recipe(steps=650),
    task="stories",
)
