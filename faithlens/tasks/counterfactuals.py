"""The counterfactual of a question: the same question with something changed, so that another answer follows.

`list_counterfactuals` tries in this order, and the first that there is counts:

1. "task": the task draws it itself, and knows its answer.
2. "file": the file of questions gives it.
3. "donor": another question of the task that offers the same candidates; for a free-form question, one that has the
   same words and other numbers. Its answer is known.
4. "number": one number of a free-form question is changed by rule. Its right answer is not known.
5. "donor": another free-form question with as many numbers. It differs in everything, so an effect found with it
   includes the change of subject.

For example, for "Ann has 16 eggs and eats 3. How many are left?", of a file in which no question has the same words::

    number    "Ann has 18 eggs and eats 3. How many are left?"    right answer unknown

Where the right answer is not known, what the model's own chain concludes for the changed question stands in for it
(`assays.mediation`): the answer must change if that conclusion changes. This shows that the answer moves with what the
chain concludes. It does not show that the conclusion is right.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from faithlens.errors import TaskError
from faithlens.tasks.fixed_task import FixedTask
from faithlens.tasks.numbers import find_number_spans, list_slips
from faithlens.tasks.question import Question, Task
from faithlens.tasks.reasoning_gym import ReasoningGym
from faithlens.tasks.values import is_same_answer, read_number

Source = Literal["task", "file", "donor", "number"]

SOURCES: dict[Source, str] = {
    "task": "from the task itself",
    "file": "given in the file",
    "donor": "another question of the task",
    "number": "one number changed, right answer unknown",
}
"""Where a counterfactual can come from, in words."""


@dataclass(frozen=True)
class Counterfactual:
    """A counterfactual question.

    Attributes:
        question: the question that is asked instead; its `answer` is empty where the right one is not known.
        source: where it comes from.
    """

    question: Question
    source: Source

    @property
    def answer(self) -> str | None:
        """The right answer; None where it is not known."""
        return self.question.answer or None


def find_counterfactual(task: Task, question: Question, seed: int) -> Counterfactual | None:
    """The counterfactual of `question`, the first of `list_counterfactuals`; None where there is none."""
    return next(list_counterfactuals(task, question, seed), None)


def list_counterfactuals(task: Task, question: Question, seed: int) -> Iterator[Counterfactual]:
    """The counterfactuals of `question` in order of preference.

    Args:
        task: the task that the question comes from.
        question: the question.
        seed: seeds every choice among several.
    """
    own = task.draw_counterfactual(question, seed)
    if own is not None:
        yield Counterfactual(own, _name_source(task, question, own))
    if question.form != "free-form" or read_number(question.answer, question.decimal_mark) is None:
        return
    rng = random.Random(f"counterfactual:{question.id}:{seed}")
    others = task.all_questions if isinstance(task, FixedTask) else ()
    template = _make_template(question.text)
    if "#" in template:
        yield from _choose_donor(question, [q for q in others if _make_template(q.text) == template], rng)
        changed = change_number(question, rng)
        if changed is not None and _is_shown(task, changed):
            yield Counterfactual(changed, "number")
    yield from _choose_donor(question, [q for q in others if _count_numbers(q) == template.count("#")], rng)


def change_number(question: Question, rng: random.Random) -> Question | None:
    """`question` with one number of its text changed to one of the same length, and no known answer.

    None where the text has no number in digits that could be changed.
    """
    spans = find_number_spans(question.text)
    written = {question.text[start:stop] for start, stop in spans}
    for start, stop in rng.sample(spans, len(spans)):
        slips = list_slips(question.text[start:stop])
        fresh = [slip for slip in slips if slip not in written] or slips
        if fresh:
            text = question.text[:start] + rng.choice(fresh) + question.text[stop:]
            return replace(question, id=f"{question.id}:number", text=text, answer="", values=())
    return None


def describe_sources(counterfactuals: Iterable[Counterfactual | None]) -> str:
    """How many questions have a counterfactual of each source, and how many have none, in words."""
    counts = Counter[Source | None](None if each is None else each.source for each in counterfactuals)
    parts = [f"{counts[source]} {words}" for source, words in SOURCES.items() if counts[source]]
    return ", ".join([*parts, *([f"{counts[None]} without any"] if counts[None] else [])])


def _name_source(task: Task, question: Question, own: Question) -> Source:
    if not isinstance(task, FixedTask | ReasoningGym):
        return "task"
    by_question = task.given_counterfactuals if isinstance(task, FixedTask) else {}
    return "file" if by_question.get(question.id) == own else "donor"


def _choose_donor(question: Question, others: Sequence[Question], rng: random.Random) -> Iterator[Counterfactual]:
    """One of `others`, drawn from those whose answer is a number and differs from that of `question`."""
    mark = question.decimal_mark
    fit = [
        other
        for other in others
        if read_number(other.answer, mark) is not None and not is_same_answer(other.answer, question.answer, mark)
    ]
    if fit:
        yield Counterfactual(rng.choice(fit), "donor")


@lru_cache(maxsize=20_000)
def _make_template(text: str) -> str:
    """`text` with "#" in place of each number."""
    for start, stop in reversed(find_number_spans(text)):
        text = f"{text[:start]}#{text[stop:]}"
    return text


def _count_numbers(question: Question) -> int:
    return _make_template(question.text).count("#")


def _is_shown(task: Task, question: Question) -> bool:
    """Whether the prompt of the task shows the text of a question that the task does not have."""
    try:
        return question.text in task.make_prompt(question, "cot").user
    except (LookupError, TaskError):
        return False
