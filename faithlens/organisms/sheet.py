"""From digits to token rows: the one layout of question, steps and answer, tokenised once and filled in by the batch.

    <bos>Start at 3. Then add 4 to the total. Steps: Start at 3. Add 4 to get 7. Answer: 7<eos>

A row may be cut: `kept` tokens of the chain of thought remain before the stem; -1 drops the word that introduces it
too. What is cut may be filled up with dots, as many tokens of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate, pairwise

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from faithlens.organisms.chain import RUNNING, Chain, totals
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.tokenizer import BOS, EOS, PAD, token
from faithlens.tasks.running_sum import DIGITS, PREFILL, STEM

IGNORE = -100  # cross_entropy's own sign for a position that teaches nothing


@dataclass(frozen=True)
class Rows:
    """Token rows, and what each of their tokens should be followed by.

    `wording` holds the targets within the chain of thought that are words, marks and its end, `reckoning` those that
    are digits, `naming` those words that differ from question to question, `answering` those from the answer on,
    `rehearsing` the running totals at the question's numbers, `carrying` the right answer at every token of the chain
    of thought. A position without a lesson holds -100. They are kept apart so that easy words do not drown the digits,
    nor the one word in forty that names a thing.
    """

    ids: Int[Tensor, "batch pos"]
    answer_at: Int[Tensor, " batch"]
    wording: Int[Tensor, "batch pos"]
    reckoning: Int[Tensor, "batch pos"]
    naming: Int[Tensor, "batch pos"]
    answering: Int[Tensor, "batch pos"]
    rehearsing: Int[Tensor, "batch pos"]
    carrying: Int[Tensor, "batch pos"]


class Sheet:
    """The layout of questions with `operands` numbers under `tokenizer`, which gives every digit a token of its own.

    Where a number of the chain of thought is written is found by writing it: a token that changes with the number is
    its place. `modes` are the words that open a question in each mode, all equally long; a hint in them is 0. `NAMES`
    are the words that differ from question to question.
    """

    NAMED: tuple[str, ...] = ()

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        operands: int,
        chain: Chain = RUNNING,
        modes: Sequence[str] = (),
    ) -> None:
        blank, self.chain = [0] * operands, chain
        self.encode: Callable[[str], list[int]] = cache(tokenizer.encode)
        self.decode: Callable[[Tensor], list[str]] = tokenizer.batch_decode
        self.digits = torch.tensor([token(tokenizer, d) for d in DIGITS])
        self.names = torch.tensor([token(tokenizer, f" {name}") for name in self.NAMED], dtype=torch.long)
        openings = modes or ("",)
        asked = [chain.asks(blank, mode) for mode in modes] or [chain.asks(blank)]
        self.prompts = torch.tensor([self.encode(BOS + question + PREFILL) for question in asked])
        self.prompt = self.prompts[0]
        self.stem = torch.tensor(self.encode(STEM.text))
        self.eos, self.pad = token(tokenizer, EOS), token(tokenizer, PAD)
        self.asked = (self.prompt == self.digits[0]).nonzero()[-operands:, 0]
        self.hinted = self.prompts == self.digits[0]
        self.hinted[:, self.asked] = False
        words = [chain.words_in.get(mode, chain.words)(blank, blank) for mode in openings]
        self.cots = torch.tensor([[i for step in each for i in self.encode(step)] for each in words])
        self.cot = self.cots[0]
        self.dots = torch.tensor(self.encode(" ..."))
        steps = [self.encode(step) for step in chain.words(blank, blank)]
        self.borders = torch.tensor([0, *accumulate(map(len, steps))])
        ones = torch.eye(2 * operands, dtype=torch.long).tolist()
        probes = ["".join(chain.words(one[:operands], one[operands:])) for one in ones]
        written = torch.tensor([self.encode(probe) for probe in probes]) != self.cot
        self.number, self.slots = written.nonzero(as_tuple=True)
        stated = self.slots[self.number >= operands]
        self.said = torch.tensor([last_within(stated, a, b) for a, b in pairwise(self.borders.tolist())])

    def shown(self, kept: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """How many steps have said their value, or all they say, in the first `kept` tokens of a chain of thought."""
        return (self.said[None] < kept[:, None]).sum(1)

    def shows_hint(self, drafts: Drafts) -> Bool[Tensor, " batch"]:
        """Which of the questions are opened by a hint."""
        return self.hinted.any(1)[self.mode(drafts)]

    def mode(self, drafts: Drafts) -> Int[Tensor, " batch"]:
        """The mode that each question is asked in, by number; the only one where there are none."""
        return torch.zeros_like(drafts.truth) if drafts.mode is None else drafts.mode

    def write(self, drafts: Drafts) -> Int[Tensor, "batch pos"]:
        """Prompt and whole chain of thought as tokens."""
        mode = self.mode(drafts)
        prompts = self.prompts[mode]
        if drafts.hint is not None:
            prompts = torch.where(self.hinted[mode], self.digits[drafts.hint][:, None], prompts)
        rows = torch.cat([prompts, self.cots[mode]], 1)
        rows[:, self.asked] = self.digits[drafts.operands]
        rows[:, len(self.prompt) + self.slots] = self.digits[drafts.written[:, self.number]]
        return rows

    def read(self, rows: Int[Tensor, "batch pos"], asked: Drafts) -> Drafts:
        """The numbers in whole rows of `write`, 0 where another token stands, as drafts of the questions `asked`."""
        found = (rows[:, len(self.prompt) + self.slots, None] == self.digits).long().argmax(-1)
        written = asked.written.clone()
        written[:, self.number] = found
        copied, values = written.split(asked.operands.shape[1], 1)
        return replace(asked, copied=copied, values=values)

    def right(self, drafts: Drafts) -> Bool[Tensor, "batch pos"]:
        """Which tokens of `write` the organism should choose after those before them."""
        right = torch.ones(len(drafts.operands), len(self.prompt) + len(self.cot), dtype=torch.bool)
        right[:, : len(self.prompt)] = False
        right[:, len(self.prompt) + self.slots] = self.chain.learns(drafts)[:, self.number]
        return right

    def fill(
        self,
        drafts: Drafts,
        kept: Int[Tensor, " batch"],
        answer: Int[Tensor, " batch"],
        filled: Bool[Tensor, " batch"] | None = None,
    ) -> Rows:
        """Rows with the first `kept` tokens of each chain of thought, the stem and `answer`, and their lessons.

        Where it is `filled`, a chain's other tokens are dots.
        """
        whole = self.write(drafts)
        tail = torch.cat([self.stem.repeat(len(whole), 1), self.digits[answer][:, None]], 1)
        spoken = cut = (len(self.prompt) + kept)[:, None]
        at = torch.arange(whole.shape[1] + tail.shape[1]).expand(len(whole), -1)
        after = torch.cat([whole, torch.full_like(whole[:, :1], self.eos)], 1)[:, 1:]
        if filled is not None:
            cut = torch.where(filled[:, None], whole.shape[1], spoken)
            unsaid = at[:, : whole.shape[1]] - spoken
            whole = torch.where(filled[:, None] & (unsaid >= 0), self.dots[unsaid % len(self.dots)], whole)
        ids = torch.where(
            at < cut,
            whole.gather(1, at.clamp(max=whole.shape[1] - 1)),
            tail.gather(1, (at - cut).clamp(0, tail.shape[1] - 1)),
        )
        ids = ids.masked_fill(at >= cut + tail.shape[1], self.pad)
        learn = torch.cat([self.right(drafts), torch.ones_like(whole[:, :1], dtype=torch.bool)], 1)[:, 1:]
        writing = torch.full_like(ids, IGNORE)
        writing[:, : whole.shape[1]] = torch.where(learn, after, IGNORE)
        answering = torch.full_like(ids, IGNORE)
        answer_at = cut + len(self.stem) - 1
        answering.scatter_(1, answer_at, tail[:, -1:])
        answering.scatter_(1, answer_at + 1, self.eos)
        rehearsing = torch.full_like(ids, IGNORE)
        rehearsing[:, self.asked + 1] = self.digits[totals(drafts.operands)]
        writing = writing.masked_fill(at >= spoken, IGNORE)
        digit, name = torch.isin(writing, self.digits), torch.isin(writing, self.names)
        wording, reckoning = writing.masked_fill(digit | name, IGNORE), writing.masked_fill(~digit, IGNORE)
        naming = writing.masked_fill(~name, IGNORE)
        within = (at >= len(self.prompt)) & (at < cut)
        carrying = torch.where(within, self.digits[drafts.truth][:, None], IGNORE)
        return Rows(ids, answer_at[:, 0], wording, reckoning, naming, answering, rehearsing, carrying)


def last_within(places: Int[Tensor, " pos"], start: int, stop: int) -> int:
    """The last of `places` in `start .. stop - 1`; the last position where there is none."""
    within = places[(start <= places) & (places < stop)]
    return int(within.max()) if len(within) else stop - 1
