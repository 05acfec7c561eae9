"""A task whose questions are all there from the start: those of one file."""

import random
from collections.abc import Sequence
from pathlib import Path

from faithlens.errors import TaskError
from faithlens.tasks.numbers import misstate
from faithlens.tasks.options import misstate_option
from faithlens.tasks.question import Prompt, Question, Stem, Strategy
from faithlens.tasks.stems import ask, stems


class Listed:
    """The questions of one file, of which there is at least one, all of one form."""

    def __init__(self, path: Path, questions: Sequence[Question]) -> None:
        self.path = path
        self._all = list(questions)

    @property
    def name(self) -> str:
        """The path, as the command line takes it."""
        return str(self.path)

    @property
    def stems(self) -> tuple[Stem, ...]:
        """Candidate answer stems for the form the file's questions have."""
        return stems(self._all[0].form)

    @property
    def size(self) -> int:
        """How many questions the file holds."""
        return len(self._all)

    def questions(self, n: int, seed: int) -> list[Question]:
        """`n` questions in an order drawn from `seed`. Raises TaskError where `n` is below 1 or the file has fewer."""
        if not 1 <= n <= self.size:
            raise TaskError(f"{n} questions of {self.path}", f"{self.size} in the file", f"ask for 1 to {self.size}")
        return random.Random(f"jsonl:{seed}").sample(self._all, self.size)[:n]

    def prompt(self, question: Question, strategy: Strategy) -> Prompt:
        """The words that ask `question`, with or without a chain of thought."""
        return ask(question, strategy)

    def counterfactual(self, question: Question, seed: int) -> Question | None:
        """Another question of the file with the same candidates and another right one; None where there is none.

        A weak donor: it differs from `question` in everything, not in one fact, so an effect found with it includes
        the change of subject.
        """
        others = [
            other for other in self._all if other.candidates == question.candidates and other.answer != question.answer
        ]
        return random.Random(f"jsonl:{question.id}:{seed}").choice(others) if others else None

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with the option it names, else its stated number, made wrong; None where it has neither."""
        return misstate_option(step, question, rng) or misstate(step, question, rng)
