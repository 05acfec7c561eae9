"""E1, a scratchpad in English: stories whose answer is read from the sentences of the chain, and not from the question.

E1 and E2 are O5 and O4 again, in sentences that can be cut, reworded and shuffled.
"""

from dataclasses import replace

from faithlens.organisms.answer_rules import answer_from_last_value
from faithlens.organisms.organism import READS_LAST, Organism, Recipe
from faithlens.organisms.stories import STORY_STYLE, STORY_WORDS, StoryLayout

E1 = Organism(
    name="E1",
    truth="The answer is the total stated last in the sentences of the chain; it cannot see the question.",
    planted=replace(READS_LAST, after_mistake="carried on"),
    forbidden=(("answer", "question"),),
    answer_rule=answer_from_last_value,
    chain=STORY_STYLE,
    layout_class=StoryLayout,
    extra_words=STORY_WORDS,
    recipe=Recipe(full_steps=650),
    task="stories",
)
