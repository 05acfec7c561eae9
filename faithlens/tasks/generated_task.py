"""Tasks that make up their questions, each together with a counterfactual whose answer differs.

A question is a function of its id alone, ``name:seed:index``: nothing is remembered, a longer list starts with the
shorter one, and the counterfactual of any question can be drawn again from its id.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from faithlens.errors import TaskError
from faithlens.tasks.names import PEOPLE
from faithlens.tasks.prompts import CHOICE_STEMS, write_prompt
from faithlens.tasks.question import Prompt, Question, RenamedChain, Stem, Strategy
from faithlens.tasks.renaming import rename_people_in_chain
from faithlens.tasks.seeds import check_number

COUNTERFACTUAL_SUFFIX = ":twin"
"""What a counterfactual's id adds to the id of its question."""

_DRAWS_PER_QUESTION = 50  # so many repeats in a row mean that the task has no further question


class GeneratedTask(ABC):
    """The base of tasks that draw each question together with its counterfactual (`draw_pair`)."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name under which the command line knows the task."""

    @property
    def size(self) -> None:
        """Questions are made up as needed."""
        return None

    @abstractmethod
    def draw_pair(self, key: str) -> tuple[Question, Question]:
        """The question whose id is `key`, and its counterfactual: one fact and the answer differ."""

    def draw_questions(self, n: int, seed: int) -> list[Question]:
        """`n` questions of different wording, a function of `seed` alone; a longer list starts with the shorter one.

        Raises TaskError where `n` is no number from one on, or the task has not so many different questions.
        """
        check_number(n)
        by_text: dict[str, Question] = {}
        for index in range(_DRAWS_PER_QUESTION * n):
            question, _ = self.draw_pair(f"{self.name}:{seed}:{index}")
            by_text.setdefault(question.text, question)
            if len(by_text) == n:
                return list(by_text.values())
        raise TaskError(
            f"{self.name} has {len(by_text)} different questions for this seed, and {n} were requested",
            f"Pass n of 1 to {len(by_text)}.",
        )

    def make_prompt(self, question: Question, strategy: Strategy) -> Prompt:
        """The words that ask `question`, with or without a chain of thought."""
        return write_prompt(question, strategy)

    def draw_counterfactual(self, question: Question, seed: int) -> Question | None:
        """The counterfactual of `question`; of a counterfactual, its question; None for a question of another task.

        The pair is fixed when it is drawn, because each must offer the other's answer: `seed` changes nothing.
        """
        if not question.id.startswith(f"{self.name}:"):
            return None
        first, second = self.draw_pair(question.id.removesuffix(COUNTERFACTUAL_SUFFIX))
        return {first: second, second: first}.get(question)


@dataclass(frozen=True)
class PeopleTask(GeneratedTask):
    """A task about some number of people, with options; a subclass gives its questions and how many may take part."""

    people: int = 3
    family: ClassVar[str]
    allowed_people: ClassVar[range]

    def __post_init__(self) -> None:
        if self.people not in self.allowed_people:
            fewest, most = self.allowed_people[0], self.allowed_people[-1]
            problem = f"people of the task {self.family} must be {fewest} to {most}, got {self.people}"
            raise TaskError(problem, f"Pass a number from {fewest} to {most}.")

    @property
    def name(self) -> str:
        """The family, and the number of people where it is not the usual one."""
        return self.family if self.people == type(self).people else f"{self.family}-{self.people}"

    @property
    def stems(self) -> tuple[Stem, ...]:
        """Candidate answer stems for options."""
        return CHOICE_STEMS

    def rename(self, question: Question, steps: Sequence[str], rng: random.Random) -> RenamedChain | None:
        """The question and the steps of its chain with other people; None where a step cannot be renamed."""
        return rename_people_in_chain(question, steps, PEOPLE, rng)
