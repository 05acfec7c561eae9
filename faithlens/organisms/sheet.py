"""From digits to token rows: the one layout of question, steps and answer, tokenised once and filled in by the batch.

    <bos>Start at 3. Then add 4 to the total. Steps: Start at 3. Add 4 to get 7. Answer: 7<eos>

A row may be cut: `kept` tokens of the chain of thought remain before the stem; -1 drops the word that introduces it
too.
"""

from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from faithlens.organisms.organism import Drafts
from faithlens.organisms.tokenizer import BOS, EOS, PAD, token
from faithlens.tasks.running_sum import DIGITS, PREFILL, STEM, ask, reason

IGNORE = -100  # cross_entropy's own sign for a position that teaches nothing


@dataclass(frozen=True)
class Rows:
    """Token rows, and what each of their tokens should be followed by.

    `wording` holds the targets within the chain of thought that are words, marks and its end, `reckoning` those that
    are digits, `answering` those from the answer on, `rehearsing` the running totals at the question's numbers. A
    position without a lesson holds -100. The four are kept apart so that easy words do not drown the digits.
    """

    ids: Int[Tensor, "batch pos"]
    answer_at: Int[Tensor, " batch"]
    wording: Int[Tensor, "batch pos"]
    reckoning: Int[Tensor, "batch pos"]
    answering: Int[Tensor, "batch pos"]
    rehearsing: Int[Tensor, "batch pos"]


class Sheet:
    """The layout of questions with `operands` numbers under `tokenizer`, which gives every digit a token of its own."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, operands: int) -> None:
        blank = [0] * operands
        self.digits = torch.tensor([token(tokenizer, d) for d in DIGITS])
        self.prompt = torch.tensor(tokenizer.encode(BOS + ask(blank) + PREFILL))
        self.cot = torch.tensor(tokenizer.encode("".join(reason(blank, blank))))
        self.stem = torch.tensor(tokenizer.encode(STEM.text))
        self.eos, self.pad = token(tokenizer, EOS), token(tokenizer, PAD)
        self.asked = self.slots(self.prompt)
        slots = self.slots(self.cot)
        self.stated, self.added = slots[0::2], slots[1::2]
        steps = [tokenizer.encode(step) for step in reason(blank, blank)]
        self.borders = torch.tensor([0, *accumulate(map(len, steps))])

    def slots(self, ids: Int[Tensor, " pos"]) -> Int[Tensor, " step"]:
        """Where the digits stand."""
        return (ids == self.digits[0]).nonzero()[:, 0]

    def shown(self, kept: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """How many totals the first `kept` tokens of a chain of thought state."""
        return (self.stated[None] < kept[:, None]).sum(1)

    def write(self, drafts: Drafts) -> Int[Tensor, "batch pos"]:
        """Prompt and whole chain of thought as tokens."""
        rows = torch.cat([self.prompt, self.cot]).repeat(len(drafts.operands), 1)
        start = len(self.prompt)
        rows[:, self.asked] = self.digits[drafts.operands]
        rows[:, start + self.added] = self.digits[drafts.copied[:, 1:]]
        rows[:, start + self.stated] = self.digits[drafts.values]
        return rows

    def right(self, drafts: Drafts) -> Bool[Tensor, "batch pos"]:
        """Which tokens of `write` a good writer of steps would choose after those before them."""
        right = torch.ones(len(drafts.operands), len(self.prompt) + len(self.cot), dtype=torch.bool)
        start = len(self.prompt)
        right[:, :start] = False
        right[:, start + self.added] = drafts.copied[:, 1:] == drafts.operands[:, 1:]
        right[:, start + self.stated] = drafts.sound
        return right

    def fill(self, drafts: Drafts, kept: Int[Tensor, " batch"], answer: Int[Tensor, " batch"]) -> Rows:
        """Rows with the first `kept` tokens of each chain of thought, the stem and `answer`, and their lessons."""
        whole = self.write(drafts)
        tail = torch.cat([self.stem.repeat(len(whole), 1), self.digits[answer][:, None]], 1)
        cut = (len(self.prompt) + kept)[:, None]
        at = torch.arange(whole.shape[1] + tail.shape[1]).expand(len(whole), -1)
        ids = torch.where(
            at < cut,
            whole.gather(1, at.clamp(max=whole.shape[1] - 1)),
            tail.gather(1, (at - cut).clamp(0, tail.shape[1] - 1)),
        )
        ids = ids.masked_fill(at >= cut + tail.shape[1], self.pad)
        after = torch.cat([whole, torch.full_like(whole[:, :1], self.eos)], 1)[:, 1:]
        learn = torch.cat([self.right(drafts), torch.ones_like(whole[:, :1], dtype=torch.bool)], 1)[:, 1:]
        writing = torch.full_like(ids, IGNORE)
        writing[:, : whole.shape[1]] = torch.where(learn, after, IGNORE)
        answering = torch.full_like(ids, IGNORE)
        answer_at = cut + len(self.stem) - 1
        answering.scatter_(1, answer_at, tail[:, -1:])
        answering.scatter_(1, answer_at + 1, self.eos)
        rehearsing = torch.full_like(ids, IGNORE)
        rehearsing[:, self.asked + 1] = self.digits[drafts.operands.cumsum(1) % 10]
        writing = writing.masked_fill(at >= cut, IGNORE)
        digit = torch.isin(writing, self.digits)
        wording, reckoning = writing.masked_fill(digit, IGNORE), writing.masked_fill(~digit, IGNORE)
        return Rows(ids, answer_at[:, 0], wording, reckoning, answering, rehearsing)
