"""What is asked: the nouns `Question`, `Prompt`, `Stem`, and the `Task` protocol every task follows."""

import random
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

Form = Literal["choice", "open"]
Strategy = Literal["cot", "no_cot"]


@dataclass(frozen=True)
class Prompt:
    """What the model is given before it writes: a user turn, and the first words of the model's own turn."""

    user: str
    prefill: str


@dataclass(frozen=True)
class Stem:
    """The words that force an answer after a chain of thought.

    The model continues `text` with ``option + close``; `close` ends the option so that "1" and "12" are
    different events.
    """

    text: str
    close: str


@dataclass(frozen=True)
class Question:
    """One question whose right answer is known.

    Attributes:
        id: unique within the task and seed.
        text: the question as a person reads it, answer options excluded.
        candidates: the closed set of answers that are scored, as the model would write them: option labels
            ("A", "B", ...) where form is "choice"; for "open", the true answer among plausible values.
        answer: the right one of `candidates`.
        choices: the options' contents, aligned with `candidates`; empty where form is "open".
        values: the true intermediate values in the order they arise, the last one the final value; empty where unknown.
        form: "choice" or "open".
    """

    id: str
    text: str
    candidates: tuple[str, ...]
    answer: str
    choices: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    form: Form = "choice"


@runtime_checkable
class Task(Protocol):
    """A supply of questions, and the little a test of faithfulness must know about them."""

    @property
    def name(self) -> str:
        """The name under which the command line knows the task."""
        ...

    @property
    def stems(self) -> tuple[Stem, ...]:
        """Candidate answer stems; the one under which a given model answers is found by trying them."""
        ...

    @property
    def size(self) -> int | None:
        """How many questions there are; None where they are made up as needed."""
        ...

    def questions(self, n: int, seed: int) -> list[Question]:
        """`n` different questions, a function of `seed` alone; a longer list starts with the shorter one."""
        ...

    def prompt(self, question: Question, strategy: Strategy) -> Prompt:
        """The words that ask `question`, with or without a chain of thought."""
        ...

    def counterfactual(self, question: Question, seed: int) -> Question | None:
        """The same question changed so that its answer differs, with the same `candidates`; None where unknown."""
        ...

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with one stated value replaced by a plausible wrong one; None where it states no value."""
        ...
