"""The types `Question`, `Prompt` and `Stem`, and the protocol `Task` that every task follows.

Some tasks follow a further protocol: `ExecutableTask` (the consequence of an edit is known), `CheckingTask` (whether a
step follows is known), `ParaphrasingTask` (other words for a step are known), `RenamingTask` (other names for people
or variables are known), `EvidencePairTask` (a sentence of the question is about either of two people), and
`HintingTask` (the task has its own hints).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, get_args, runtime_checkable

from faithlens.errors import TaskError, check_choice
from faithlens.tasks.values import DecimalMark

QuestionForm = Literal["choice", "free-form"]
Strategy = Literal["cot", "no_cot"]


@dataclass(frozen=True)
class Prompt:
    """What the model is given before it writes.

    Attributes:
        user: the user's turn.
        prefill: the first words of the model's own turn; may be empty.
        turns: the messages before the user's turn, as role ("system", "user" or "assistant") and text.
        frame: the text before and after `user`, where a prompt is given word for word; the model's chat template is
            not used then.
    """

    user: str
    prefill: str
    turns: tuple[tuple[str, str], ...] = ()
    frame: tuple[str, str] | None = None


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
            ("A", "B", ...) where form is "choice"; for "free-form", the true answer among plausible values.
        answer: the right one of `candidates`; empty where it is not known, as in some files of chains.
        choices: the options' contents, aligned with `candidates`; empty where form is "free-form".
        values: the true intermediate values in the order they arise, the last one the final value; empty where unknown.
        form: "choice" or "free-form".
        decimal_mark: what stands before decimals in the answers, and in what the model writes: "." or ",".

    Raises:
        TaskError: an unknown form or decimal mark.
    """

    id: str
    text: str
    candidates: tuple[str, ...]
    answer: str
    choices: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    form: QuestionForm = "choice"
    decimal_mark: DecimalMark = "."

    def __post_init__(self) -> None:
        check_choice(self.form, get_args(QuestionForm), "form of a question", TaskError)
        check_choice(self.decimal_mark, get_args(DecimalMark), "decimal mark of a question", TaskError)


@runtime_checkable
class Task(Protocol):
    """A source of questions, with what a test of faithfulness needs from it.

    A class of your own that has these members is a task: `load_task` and ``--task`` accept it.
    """

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

    def draw_questions(self, n: int, seed: int) -> list[Question]:
        """`n` different questions, a function of `seed` alone; a longer list starts with the shorter one."""
        ...

    def make_prompt(self, question: Question, strategy: Strategy) -> Prompt:
        """The words that ask `question`, with or without a chain of thought."""
        ...

    def draw_counterfactual(self, question: Question, seed: int) -> Question | None:
        """The same question changed so that its answer differs, with the same `candidates`; None where unknown."""
        ...

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with one stated value replaced by a plausible wrong one; None where it states no value."""
        ...


@dataclass(frozen=True)
class PropagatedChain:
    """A chain of thought with one value made wrong and everything after it made to agree.

    `steps`: all of them, those before the edit untouched. `answer`: the candidate that follows, never the right one.
    """

    steps: tuple[str, ...]
    answer: str


class RenamedChain(NamedTuple):
    """A question and the steps of its chain of thought in which the same people or variables have other names.

    Labels, candidates and the right answer are those of the question as it was.
    """

    question: Question
    steps: tuple[str, ...]


@runtime_checkable
class ExecutableTask(Protocol):
    """A task that can tell what follows from an edited step."""

    def infer_answer(self, question: Question, before: str, after: str) -> str | None:
        """The answer if the step `before` had stated what `after` states, and all later values were computed from it.

        It is a label if `question` offers options, else a text that need not be among the candidates. None if the
        answer is unknown: `before` states no known true value, or no option has the result as its content.
        """
        ...

    def propagate(self, question: Question, steps: Sequence[str], i: int, rng: random.Random) -> PropagatedChain | None:
        """The chain with the value that step `i` states made wrong, there and wherever it is used later.

        Another candidate follows from the rewritten chain. None if the steps cannot be rewritten with certainty: they
        hold a number that is not known, or one that may be either a value to change or a number of the question.
        """
        ...


class StepCheck(NamedTuple):
    """Whether one step follows from the question and the steps before it, and why it does not or was not read."""

    verdict: Literal["follows", "does not follow", "unread", "says nothing"]
    reason: str = ""


@runtime_checkable
class CheckingTask(Protocol):
    """A task that can tell whether the steps of a chain follow from its question."""

    def check_steps(self, question: Question, steps: Sequence[str]) -> list[StepCheck]:
        """Whether each step follows from the question and the steps before it."""
        ...


@runtime_checkable
class ParaphrasingTask(Protocol):
    """A task that knows other words for the steps of its chains."""

    def paraphrase(self, step: str, rng: random.Random) -> str | None:
        """`step` in other words that say the same, with its numbers and names; None where the task knows none."""
        ...


@runtime_checkable
class RenamingTask(Protocol):
    """A task whose questions name people or variables that could as well have other names."""

    def rename(self, question: Question, steps: Sequence[str], rng: random.Random) -> RenamedChain | None:
        """The question and the steps of its chain with other names, the same in both.

        None where the question has no such names, or a step cannot be renamed with certainty.
        """
        ...


@runtime_checkable
class EvidencePairTask(Protocol):
    """A task whose questions lean on weak evidence about one of two people (Turpin et al. 2023, section 4)."""

    def swap_evidence(self, question: Question) -> Question | None:
        """The same question with the evidence about the other person; None where there is no such version."""
        ...

    def find_unknown_label(self, question: Question) -> str:
        """The label of the option that says that nobody knows. Raises TaskError for a question of another task."""
        ...

    def find_stereotyped_label(self, question: Question) -> str:
        """The label of the person the stereotype points at. Raises TaskError for a question of another task."""
        ...


@runtime_checkable
class ReversibleTask(Protocol):
    """A task of pairs of questions with the options Yes and No that exclude each other (`tasks.reversed_pairs`)."""

    def reverse_question(self, question: Question) -> Question | None:
        """The reverse of `question`, with the same options in the same order; None where it has none."""
        ...

    def read_pair(self, question: Question) -> tuple[tuple[str, ...], tuple[str, str]]:
        """The group of questions that are worded alike, and the two things, in the order of the question.

        Raises TaskError for a question of another task.
        """
        ...


@runtime_checkable
class HintingTask(Protocol):
    """A task whose questions take hints of its own, in place of those of `tasks.biased_prompts`."""

    @property
    def hint_kinds(self) -> tuple[str, ...]:
        """The kinds of hints, which `stats.derived` knows by the same names."""
        ...

    def make_hinted_prompt(self, question: Question, kind: str, label: str) -> Prompt:
        """The words that ask `question` with a hint at the option `label`. Raises TaskError where there are none."""
        ...
