"""Stories as token rows. The wording differs from draft to draft, but the number of tokens does not.

    <bos>Emma has 3 coins. A day later she wins 4 more of them. How many are there now? Steps:
     Emma has 3 coins to begin with. She wins 4 more, which makes 7. Answer: 7<eos>

The words are drawn with the numbers: person, thing and verbs, which the question and its steps share, and the phrasing
of each step. So a paraphrase of a step is a step that the organism has met in training.
"""

from dataclasses import replace
from itertools import chain as joined
from itertools import pairwise

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from faithlens.organisms.chain_style import ChainStyle
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.token_layout import TokenLayout
from faithlens.organisms.tokenizer import BOS, COMMON_WORDS
from faithlens.tasks.running_sum import PREFILL
from faithlens.tasks.stories import (
    N_PHRASINGS,
    VARIED_WORDS,
    StepPhrasing,
    classify_step,
    count_word_choices,
    list_vocabulary,
    write_clauses,
    write_question,
    write_steps,
)

N_NUMBERS = 4
STORY_STYLE = ChainStyle(
    write_question=write_question,
    write_steps=write_steps,
    word_counts=(*count_word_choices(N_NUMBERS), *[N_PHRASINGS] * N_NUMBERS),
)
"""Correct steps of a story, each in one of its phrasings."""
STORY_WORDS = tuple(word for word in list_vocabulary() if word not in COMMON_WORDS)


class StoryLayout(TokenLayout):
    """The layout of stories."""

    VARYING_WORDS = VARIED_WORDS

    def write_rows(self, drafts: Drafts) -> Int[Tensor, "batch pos"]:
        """Prompt and whole chain of thought, in tokens."""
        assert drafts.words is not None
        steps = drafts.operands.shape[1]
        rows: list[list[int]] = []
        for operands, copied, values, words in zip(
            *(each.tolist() for each in (drafts.operands, drafts.copied, drafts.values, drafts.words)), strict=True
        ):
            shared, phrasings = words[:-steps], words[-steps:]
            texts = [BOS, *write_clauses(operands, shared), PREFILL, *write_steps(copied, values, shared, phrasings)]
            rows.append([*joined.from_iterable(map(self.encode, texts))])
        return torch.tensor(rows)

    def read_rows(self, rows: Int[Tensor, "batch pos"], questions: Drafts) -> Drafts:
        """The numbers in whole rows of `write_rows`, and the phrasing of each step. A loss is its complement to ten."""
        assert questions.words is not None
        drafts, steps = super().read_rows(rows, questions), questions.operands.shape[1]
        spans = pairwise((len(self.prompt_ids) + self.borders).tolist())
        parsed = [
            [classify_step(text) or StepPhrasing(0, False) for text in self.decode(rows[:, a:b])] for a, b in spans
        ]
        phrasings, lost = torch.tensor(parsed).transpose(0, 1).unbind(-1)
        copied = torch.where(lost > 0, -drafts.copied % 10, drafts.copied)
        return replace(drafts, copied=copied, words=torch.cat([questions.words[:, :-steps], phrasings], 1))

    def mark_right_tokens(self, drafts: Drafts) -> Bool[Tensor, "batch pos"]:
        """Whether the organism should choose each token after those before it; not another story's losses."""
        same = self.write_rows(drafts) == self.write_rows(replace(drafts, copied=drafts.operands))
        same[:, len(self.prompt_ids) + self.number_places] = True
        return super().mark_right_tokens(drafts) & same
