"""Running sums in words: what `arithmetic` and `variable-chain` share.

A first number, then a few additions and subtractions. Every total is between 1 and 99 and none repeats, so that a
total names its step. The counterfactual changes one number and keeps its digit count and that of every total: the
two texts, and their correct chains of thought, have the same shape.
"""

import random
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import ClassVar, get_args

from faithlens.errors import TaskError, check_choice
from faithlens.tasks.candidates import list_free_form_candidates
from faithlens.tasks.consequences import infer_answer, propagate
from faithlens.tasks.generated_task import COUNTERFACTUAL_SUFFIX, GeneratedTask
from faithlens.tasks.numbers import misstate
from faithlens.tasks.option_labels import misstate_option
from faithlens.tasks.prompts import choose_stems
from faithlens.tasks.question import PropagatedChain, Question, QuestionForm, Stem
from faithlens.tasks.question_factory import make_choice_question


@dataclass(frozen=True)
class SumPair:
    """Two sums with the same `signs`; `numbers` and `counterfactual` differ at one place."""

    signs: tuple[int, ...]
    numbers: tuple[int, ...]
    counterfactual: tuple[int, ...]

    def compute_totals(self) -> tuple[list[int], list[int]]:
        """The running totals of both sums, the first number left out."""
        return _compute_totals(self.numbers, self.signs), _compute_totals(self.counterfactual, self.signs)


@dataclass(frozen=True)
class SumTask(GeneratedTask):
    """A task whose questions are running sums; a subclass gives the words.

    `steps`: how many additions and subtractions, 2 to 4. `form`: "free-form", or "choice" among four numbers.
    """

    steps: int = 3
    form: QuestionForm = "free-form"
    family: ClassVar[str]
    first_range: ClassVar[range]
    later_range: ClassVar[range]

    def __post_init__(self) -> None:
        check_choice(self.form, get_args(QuestionForm), "form of a question", TaskError)
        if self.steps not in range(2, 5):
            raise TaskError(f"steps of the task {self.family} must be 2, 3 or 4, got {self.steps}", "Pass 2, 3 or 4.")

    @property
    def name(self) -> str:
        """The family, "-mc" where options are offered, and the number of steps where it is not the usual one."""
        usual = self.steps == type(self).steps  # a dataclass keeps its defaults as class attributes
        return self.family + ("-mc" if self.form == "choice" else "") + ("" if usual else f"-{self.steps}")

    @property
    def stems(self) -> tuple[Stem, ...]:
        """Candidate answer stems for this form."""
        return choose_stems(self.form)

    @abstractmethod
    def draw_template(self, rng: random.Random, signs: tuple[int, ...]) -> str:
        """A question with one ``{}`` for each number, the first number and then one for each sign."""

    def draw_pair(self, key: str) -> tuple[Question, Question]:
        """The question whose id is `key`, and its counterfactual."""
        rng = random.Random(key)
        sums = draw_sum_pair(rng, self.steps, self.first_range, self.later_range)
        wording = self.draw_template(rng, sums.signs)
        this, that = sums.compute_totals()
        if self.form == "choice":
            offered = _draw_choices(rng, sums)
        else:
            offered = list_free_form_candidates([str(this[-1]), str(that[-1])], map(str, this + that))
        return (
            self._make_question(key, wording.format(*sums.numbers), this, offered),
            self._make_question(key + COUNTERFACTUAL_SUFFIX, wording.format(*sums.counterfactual), that, offered),
        )

    def _make_question(self, key: str, text: str, totals: list[int], offered: tuple[str, ...]) -> Question:
        answer, values = str(totals[-1]), tuple(map(str, totals))
        if self.form == "free-form":
            return Question(key, text, offered, answer, (), values, "free-form")
        return make_choice_question(key, text, offered, offered.index(answer), values)

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with the option it names, else its stated result, made wrong; None where it has neither."""
        return misstate_option(step, question, rng) or misstate(step, question, rng)

    def infer_answer(self, question: Question, before: str, after: str) -> str | None:
        """What follows if `before` had stated what `after` states: an error in one total moves all later ones."""
        return infer_answer(question, before, after)

    def propagate(self, question: Question, steps: Sequence[str], i: int, rng: random.Random) -> PropagatedChain | None:
        """An error in the total step `i` states, carried through to the end; None where it cannot be for certain."""
        return propagate(question, steps, i, rng)


def draw_sum_pair(rng: random.Random, steps: int, first_range: range, later_range: range) -> SumPair:
    """A sum and a counterfactual of the same form, whose answers occur nowhere else in either sum.

    `first_range` and `later_range` are the ranges of the first number and of the numbers added or taken away.
    """
    while True:
        signs = (1, *(rng.choice((1, -1)) for _ in range(steps)))
        numbers = (rng.choice(first_range), *(rng.choice(later_range) for _ in range(steps)))
        counterfactuals = [
            counterfactual
            for counterfactual in _change_one_number(numbers, first_range, later_range)
            if _is_pair(numbers, counterfactual, signs)
        ]
        if counterfactuals:
            return SumPair(signs, numbers, rng.choice(counterfactuals))


def _compute_totals(numbers: tuple[int, ...], signs: tuple[int, ...]) -> list[int]:
    return list(accumulate(map(mul, numbers, signs)))[1:]


def _change_one_number(numbers: tuple[int, ...], first: range, later: range) -> list[tuple[int, ...]]:
    ranges = (first, *(later for _ in numbers[1:]))
    return [
        (*numbers[:place], other, *numbers[place + 1 :])
        for place, values in enumerate(ranges)
        for other in values
        if other != numbers[place]
    ]


def _is_pair(numbers: tuple[int, ...], counterfactual: tuple[int, ...], signs: tuple[int, ...]) -> bool:
    """True where all totals are 1 to 99 and differ, the digit counts are equal, and neither answer stands elsewhere."""
    this, that = _compute_totals(numbers, signs), _compute_totals(counterfactual, signs)
    written = [*numbers, *this], [*counterfactual, *that]
    sound = all(0 < total < 100 for total in this + that)
    distinct = all(
        len({sum_[0], *totals}) == len(totals) + 1 for sum_, totals in ((numbers, this), (counterfactual, that))
    )
    same_shape = [len(str(value)) for value in written[0]] == [len(str(value)) for value in written[1]]
    answers = {this[-1], that[-1]}
    hidden = len(answers) == 2 and not answers & {*numbers, *counterfactual, *this[:-1], *that[:-1]}
    return sound and distinct and same_shape and hidden


def _draw_choices(rng: random.Random, sums: SumPair) -> tuple[str, ...]:
    """Both answers and two distractors in a drawn order: one other total, one number just beside an answer."""
    this, that = sums.compute_totals()
    answers = [this[-1], that[-1]]
    total = rng.choice(sorted({*this, *that} - set(answers)))
    beside = [str(answer + offset) for answer in answers for offset in (-2, -1, 1, 2) if answer + offset > 0]
    offered = [*map(str, answers), str(total)]
    offered.append(rng.choice([number for number in beside if number not in offered]))
    rng.shuffle(offered)
    return tuple(offered)
