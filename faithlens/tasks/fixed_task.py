"""Tasks with a fixed list of questions: those of a file or a dataset."""

import random
from collections.abc import Mapping, Sequence

from faithlens.errors import TaskError
from faithlens.tasks.numbers import misstate
from faithlens.tasks.option_labels import misstate_option
from faithlens.tasks.prompts import choose_stems, write_prompt
from faithlens.tasks.question import Prompt, Question, Stem, Strategy
from faithlens.tasks.seeds import check_number


class FixedTask:
    """The base of tasks with a fixed list of questions, which is not empty and holds questions of one form."""

    def __init__(
        self, name: str, questions: Sequence[Question], counterfactuals: Mapping[str, Question] | None = None
    ) -> None:
        self._name, self._all_questions = name, list(questions)
        self.given_counterfactuals = dict(counterfactuals or {})

    @property
    def name(self) -> str:
        """What the command line takes."""
        return self._name

    @property
    def stems(self) -> tuple[Stem, ...]:
        """Candidate answer stems for the form the questions have."""
        return choose_stems(self._all_questions[0].form)

    @property
    def all_questions(self) -> Sequence[Question]:
        """Every question, in the order of the file."""
        return self._all_questions

    @property
    def size(self) -> int:
        """How many questions there are."""
        return len(self._all_questions)

    def draw_questions(self, n: int, seed: int) -> list[Question]:
        """`n` questions in an order drawn from `seed`.

        Raises TaskError where `n` is no number from 1 on, or there are fewer.
        """
        check_number(n)
        if n > self.size:
            raise TaskError(
                f"{self.name} has {self.size} questions, and {n} were requested", f"Pass n of 1 to {self.size}."
            )
        return random.Random(f"jsonl:{seed}").sample(self._all_questions, self.size)[:n]

    def make_prompt(self, question: Question, strategy: Strategy) -> Prompt:
        """The words that ask `question`, with or without a chain of thought."""
        return write_prompt(question, strategy)

    def draw_counterfactual(self, question: Question, seed: int) -> Question | None:
        """The counterfactual that was given, else another question with the same candidates and another right one.

        None where there is neither. The other question is a weak donor: it differs from `question` in everything, not
        in one fact, so an effect found with it includes the change of subject.
        """
        if question.id in self.given_counterfactuals:
            return self.given_counterfactuals[question.id]
        others = [
            other
            for other in self._all_questions
            if other.candidates == question.candidates and other.answer != question.answer
        ]
        return random.Random(f"jsonl:{question.id}:{seed}").choice(others) if others else None

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with the option it names, else its stated number, made wrong; None where it has neither."""
        return misstate_option(step, question, rng) or misstate(step, question, rng)
