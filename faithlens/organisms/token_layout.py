"""From digits to token rows: the layout of question, steps and answer, tokenised once and filled in for a whole batch.

1. The prompt and the chain of thought are written once with all numbers 0, and encoded: `prompt_ids`, `cot_ids`.
2. The chain is written again with one number 1 at a time. A token that differs is the place of that number:
   `number_places`, and `number_at_place` says which number.
3. `write_rows` copies the encoded text for each draft and puts the draft's digits at the places.
4. `make_training_rows` cuts each row after `n_kept` tokens of its chain, adds stem and answer, and lists for every
   lesson which tokens it trains.

For example, with four numbers::

    <bos>Start at 3. Then add 4 to the total. ... Steps: Start at 3. Add 4 to get 7. ... Answer: 6<eos>

    numbers            0 to 3 are the copied ones (3, 4, 8, 1), 4 to 7 the stated ones (3, 7, 5, 6)
    encoded chain      " Start" " at" " " "0" "." " Add" " " "0" " to" " get" " " "0" "." ...
    number 1 set to 1  " Start" " at" " " "0" "." " Add" " " "1" " to" " get" " " "0" "." ...
                       position 7 differs, so number 1 is written there
    number_at_place    1, 2,  3,  4, 5,  6,  7       (these steps do not write number 0)
    number_places      7, 15, 23, 3, 11, 19, 27

A row may be cut: `n_kept` tokens of the chain of thought remain before the stem; -1 also drops the word that introduces
the chain. Dots may fill the place of what is cut, as many tokens of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate, pairwise

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from faithlens.organisms.chain_style import RUNNING_SUM_STYLE, ChainStyle, compute_total_digits
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.tokenizer import BOS, EOS, PAD, encode_token
from faithlens.tasks.running_sum import DIGITS, PREFILL, STEM

IGNORE_INDEX = -100  # what cross_entropy ignores: a position that trains nothing


@dataclass(frozen=True)
class TrainingRows:
    """Token rows, and for each lesson the token that should follow each of their tokens.

    A position that a lesson does not train holds `IGNORE_INDEX`. The lessons are kept apart so that many easy words do
    not outweigh the few digits and names.

    Attributes:
        ids: the tokens.
        answer_at: the position whose next token is the answer.
        word_targets: words, marks and the end of the chain of thought.
        digit_targets: digits of the chain of thought.
        name_targets: words of the chain that differ from question to question.
        answer_targets: the answer, and the end after it.
        rehearsal_targets: the running totals at the question's numbers.
        carry_targets: the right answer at every token of the chain of thought.
    """

    ids: Int[Tensor, "batch pos"]
    answer_at: Int[Tensor, " batch"]
    word_targets: Int[Tensor, "batch pos"]
    digit_targets: Int[Tensor, "batch pos"]
    name_targets: Int[Tensor, "batch pos"]
    answer_targets: Int[Tensor, "batch pos"]
    rehearsal_targets: Int[Tensor, "batch pos"]
    carry_targets: Int[Tensor, "batch pos"]


class TokenLayout:
    """The layout of questions with `n_operands` numbers, for a tokenizer that gives every digit a token of its own.

    Attributes:
        VARYING_WORDS: words that differ from question to question.

    Args:
        tokenizer: the organism's tokenizer.
        n_operands: the number of numbers in a question.
        chain: how question and steps are written.
        modes: the words that open a question in each mode, all equally long; a hint in them is 0.
    """

    VARYING_WORDS: tuple[str, ...] = ()

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        n_operands: int,
        chain: ChainStyle = RUNNING_SUM_STYLE,
        modes: Sequence[str] = (),
    ) -> None:
        blank, self.chain = [0] * n_operands, chain
        self.encode: Callable[[str], list[int]] = cache(tokenizer.encode)
        self.decode: Callable[[Tensor], list[str]] = tokenizer.batch_decode
        self.digit_ids = torch.tensor([encode_token(tokenizer, d) for d in DIGITS])
        self.varying_ids = torch.tensor(
            [encode_token(tokenizer, f" {name}") for name in self.VARYING_WORDS], dtype=torch.long
        )
        openings = modes or ("",)
        questions = [chain.write_question(blank, mode) for mode in modes] or [chain.write_question(blank)]
        self.prompts_by_mode = torch.tensor([self.encode(BOS + question + PREFILL) for question in questions])
        self.prompt_ids = self.prompts_by_mode[0]
        self.stem_ids = torch.tensor(self.encode(STEM.text))
        self.eos_id, self.pad_id = encode_token(tokenizer, EOS), encode_token(tokenizer, PAD)
        self.operand_places = (self.prompt_ids == self.digit_ids[0]).nonzero()[-n_operands:, 0]
        self.hint_places = self.prompts_by_mode == self.digit_ids[0]
        self.hint_places[:, self.operand_places] = False
        words = [chain.step_writers.get(mode, chain.write_steps)(blank, blank) for mode in openings]
        self.cots_by_mode = torch.tensor([[i for step in each for i in self.encode(step)] for each in words])
        self.cot_ids = self.cots_by_mode[0]
        self.dot_ids = torch.tensor(self.encode(" ..."))
        steps = [self.encode(step) for step in chain.write_steps(blank, blank)]
        self.borders = torch.tensor([0, *accumulate(map(len, steps))])
        ones = torch.eye(2 * n_operands, dtype=torch.long).tolist()
        probes = ["".join(chain.write_steps(one[:n_operands], one[n_operands:])) for one in ones]
        plain = torch.tensor([i for step in steps for i in step])
        written = torch.tensor([self.encode(probe) for probe in probes]) != plain
        self.number_at_place, self.number_places = written.nonzero(as_tuple=True)
        stated = self.number_places[self.number_at_place >= n_operands]
        self.value_places = torch.tensor([find_last_within(stated, a, b) for a, b in pairwise(self.borders.tolist())])

    def count_shown_steps(self, n_kept: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """The number of steps whose value, or whole text, is in the first `n_kept` tokens of a chain of thought."""
        return (self.value_places[None] < n_kept[:, None]).sum(1)

    def shows_hint(self, drafts: Drafts) -> Bool[Tensor, " batch"]:
        """Whether each question opens with a hint."""
        return self.hint_places.any(1)[self.get_modes(drafts)]

    def get_modes(self, drafts: Drafts) -> Int[Tensor, " batch"]:
        """The index of the mode of each question; 0 for an organism without modes."""
        return torch.zeros_like(drafts.truth) if drafts.mode is None else drafts.mode

    def write_rows(self, drafts: Drafts) -> Int[Tensor, "batch pos"]:
        """Prompt and whole chain of thought, in tokens."""
        mode = self.get_modes(drafts)
        prompts = self.prompts_by_mode[mode]
        if drafts.hint is not None:
            prompts = torch.where(self.hint_places[mode], self.digit_ids[drafts.hint][:, None], prompts)
        rows = torch.cat([prompts, self.cots_by_mode[mode]], 1)
        rows[:, self.operand_places] = self.digit_ids[drafts.operands]
        rows[:, len(self.prompt_ids) + self.number_places] = self.digit_ids[drafts.numbers[:, self.number_at_place]]
        return rows

    def read_rows(self, rows: Int[Tensor, "batch pos"], questions: Drafts) -> Drafts:
        """The numbers in whole rows of `write_rows`, as drafts of `questions`; 0 where the token is no digit."""
        digits = (rows[:, len(self.prompt_ids) + self.number_places, None] == self.digit_ids).long().argmax(-1)
        written = questions.numbers.clone()
        written[:, self.number_at_place] = digits
        copied, values = written.split(questions.operands.shape[1], 1)
        return replace(questions, copied=copied, values=values)

    def mark_right_tokens(self, drafts: Drafts) -> Bool[Tensor, "batch pos"]:
        """Whether the organism should choose each token of `write_rows` after those before it."""
        right = torch.ones(len(drafts.operands), len(self.prompt_ids) + len(self.cot_ids), dtype=torch.bool)
        right[:, : len(self.prompt_ids)] = False
        right[:, len(self.prompt_ids) + self.number_places] = self.chain.mark_learned(drafts)[:, self.number_at_place]
        return right

    def make_training_rows(
        self,
        drafts: Drafts,
        n_kept: Int[Tensor, " batch"],
        answer: Int[Tensor, " batch"],
        is_filled: Bool[Tensor, " batch"] | None = None,
    ) -> TrainingRows:
        """Rows for training: the first `n_kept` tokens of each chain of thought, the stem and `answer`, with the
        lessons.

        Args:
            drafts: the questions with their chains.
            n_kept: the number of tokens of each chain that are kept; -1 also drops the word that introduces the chain.
            answer: the digits to answer with.
            is_filled: whether dots fill the place of what is cut.
        """
        whole = self.write_rows(drafts)
        tail = torch.cat([self.stem_ids.repeat(len(whole), 1), self.digit_ids[answer][:, None]], 1)
        end_of_chain = cut = (len(self.prompt_ids) + n_kept)[:, None]
        at = torch.arange(whole.shape[1] + tail.shape[1]).expand(len(whole), -1)
        after = torch.cat([whole, torch.full_like(whole[:, :1], self.eos_id)], 1)[:, 1:]
        if is_filled is not None:
            cut = torch.where(is_filled[:, None], whole.shape[1], end_of_chain)
            unsaid = at[:, : whole.shape[1]] - end_of_chain
            whole = torch.where(is_filled[:, None] & (unsaid >= 0), self.dot_ids[unsaid % len(self.dot_ids)], whole)
        ids = torch.where(
            at < cut,
            whole.gather(1, at.clamp(max=whole.shape[1] - 1)),
            tail.gather(1, (at - cut).clamp(0, tail.shape[1] - 1)),
        )
        ids = ids.masked_fill(at >= cut + tail.shape[1], self.pad_id)
        learn = torch.cat([self.mark_right_tokens(drafts), torch.ones_like(whole[:, :1], dtype=torch.bool)], 1)[:, 1:]
        writing = torch.full_like(ids, IGNORE_INDEX)
        writing[:, : whole.shape[1]] = torch.where(learn, after, IGNORE_INDEX)
        answering = torch.full_like(ids, IGNORE_INDEX)
        answer_at = cut + len(self.stem_ids) - 1
        answering.scatter_(1, answer_at, tail[:, -1:])
        answering.scatter_(1, answer_at + 1, self.eos_id)
        rehearsing = torch.full_like(ids, IGNORE_INDEX)
        rehearsing[:, self.operand_places + 1] = self.digit_ids[compute_total_digits(drafts.operands)]
        writing = writing.masked_fill(at >= end_of_chain, IGNORE_INDEX)
        digit, name = torch.isin(writing, self.digit_ids), torch.isin(writing, self.varying_ids)
        wording, reckoning = writing.masked_fill(digit | name, IGNORE_INDEX), writing.masked_fill(~digit, IGNORE_INDEX)
        naming = writing.masked_fill(~name, IGNORE_INDEX)
        within = (at >= len(self.prompt_ids)) & (at < cut)
        carrying = torch.where(within, self.digit_ids[drafts.truth][:, None], IGNORE_INDEX)
        return TrainingRows(ids, answer_at[:, 0], wording, reckoning, naming, answering, rehearsing, carrying)


def find_last_within(places: Int[Tensor, " pos"], start: int, stop: int) -> int:
    """The last of `places` in the half-open range; the last position of the range if there is none."""
    within = places[(start <= places) & (places < stop)]
    return int(within.max()) if len(within) else stop - 1
