"""Compute what follows from an edited step, for tasks where each value is the previous value plus a constant.

1. Read the value that the step states, and find its place among the question's true values.
2. An error of d in one value moves every later value by d, so the wrong final value is the true one plus d.
3. `infer_answer` returns the candidate with the wrong final value: the answer that the edited step implies.
4. `propagate` chooses d such that another candidate follows, and writes the moved values into every later step.
5. Both return None when a number in a step is unknown, or may be either a moved value or one given in the question.

No model is needed, so the correct reaction to a mistake is known. Example::

    text = "Ann has 5 jars. She buys 7 and then 3. How many?"
    question = Question("q", text, ("A", "B", "C"), "B", ("12", "15", "17"), ("12", "15"))
    steps = ["5 + 7 = 12. ", "12 + 3 = 15. ", "The answer is (B)."]
    infer_answer(question, before=steps[0], after="5 + 7 = 14. ")  # "C": 14 instead of 12 moves 15 to 17
    propagate(question, steps, 0, random.Random(0))
    # steps "5 + 7 = 14. ", "14 + 3 = 17. ", "The answer is (C)."; answer "C"
    propagate(question, ["5 + 7 = 12. ", "12 + 3 = 15, far from 40. "], 0, random.Random(0))  # None: 40 is unknown
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from faithlens.tasks.numbers import MAX_SLIP, find_number_spans, find_stated_span
from faithlens.tasks.option_labels import find_stated_option, replace_label
from faithlens.tasks.question import PropagatedChain, Question
from faithlens.tasks.values import read_number

_EQUALS_SIGN = re.compile(r"=\W*(?:(?:boxed|text|mathbf)\{)?$")
_NUMBER_WORD = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty)\b",
    re.I,
)


@dataclass(frozen=True)
class ValueNotation:
    """How a task's values stand in text.

    Attributes:
        find_stated: finds the span of a step's result.
        find_spans: finds the spans of all values.
        read: returns the value of a token, or None if it has none.
        write: writes a value in the notation of the token that it replaces.
        unreadable: a pattern for values in a style that `read` cannot read.
        min_value: the least possible value.
    """

    find_stated: Callable[[str], tuple[int, int] | None]
    find_spans: Callable[[str], list[tuple[int, int]]]
    read: Callable[[str], int | None]
    write: Callable[[int, str], str]
    unreadable: re.Pattern[str]
    min_value: int

    def read_values(self, text: str) -> set[int | None]:
        """The values that stand in `text`; None among them for a token without one."""
        return {self.read(text[slice(*span)]) for span in self.find_spans(text)}


def _read_number(token: str) -> int | None:
    value = None if "." in token else read_number(token)
    return int(str(value)) if value and value.kind == "integer" else None


def _write_number(value: int, like: str) -> str:
    return f"{value:,}" if "," in like else str(value)


WHOLE_NUMBERS = ValueNotation(
    find_stated_span, find_number_spans, _read_number, _write_number, _NUMBER_WORD, min_value=1
)
"""Whole numbers in digits, none below one; a step with numbers in words is not read."""


def infer_answer(question: Question, before: str, after: str, notation: ValueNotation = WHOLE_NUMBERS) -> str | None:
    """The answer that follows if the step `before` is replaced by `after` (see `ExecutableTask.infer_answer`).

    If the option label that the step names has changed, the new label is the answer. Otherwise the values that the two
    versions state decide.
    """
    label = find_stated_option(after, question)
    if label != find_stated_option(before, question):
        return label
    values = _read_values(question, notation)
    place, new = _find_place(question, before, values, notation), _read_stated(after, notation)
    if place is None or new is None or new == values[place]:
        return None
    moved = [value + new - values[place] for value in values[place:]]
    return _find_candidate(question, moved[-1], notation) if min(moved) >= notation.min_value else None


def propagate(
    question: Question, steps: Sequence[str], i: int, rng: random.Random, notation: ValueNotation = WHOLE_NUMBERS
) -> PropagatedChain | None:
    """The chain with an error in the value that step `i` states, carried through to the end.

    Preferred are small errors that keep the number of digits of every value and give no other value of the question.
    See `ExecutableTask.propagate`.
    """
    values = _read_values(question, notation)
    place = _find_place(question, steps[i], values, notation)
    if place is None:
        return None
    moving, staying = values[place:], {*notation.read_values(question.text), *values[:place]}
    if not _is_certain(steps[i:], set(moving), staying, notation):
        return None
    error = next(iter(_rank_errors(question, moving, staying, rng, notation)), None)
    if error is None:
        return None
    offset, answer = error
    moved = [_shift_values(step, set(moving), offset, notation) for step in steps[i:]]
    rewritten = [replace_label(step, question, question.answer, answer) for step in moved]
    sure = tuple(step for step in rewritten if step is not None)
    return PropagatedChain((*steps[:i], *sure), answer) if len(sure) == len(rewritten) else None


def _read_values(question: Question, notation: ValueNotation) -> list[int]:
    values = [notation.read(value) for value in question.values]
    return [value for value in values if value is not None] if None not in values else []


def _read_stated(step: str, notation: ValueNotation) -> int | None:
    span = notation.find_stated(step)
    return notation.read(step[slice(*span)]) if span else None


def _find_place(question: Question, step: str, values: list[int], notation: ValueNotation) -> int | None:
    """Which of `values` the step states; None if it states none, or one that may as well be taken from the question."""
    span, stated = notation.find_stated(step), _read_stated(step, notation)
    if span is None or stated is None or values.count(stated) != 1:
        return None
    is_in_question = stated in notation.read_values(question.text)
    return None if is_in_question and not _EQUALS_SIGN.search(step[: span[0]]) else values.index(stated)


def _is_certain(steps: Sequence[str], moving: set[int], staying: set[int | None], notation: ValueNotation) -> bool:
    """True where every value in `steps` is known, and known either to move or to stay."""
    in_steps = {value for step in steps for value in notation.read_values(step)}
    readable = None not in in_steps and not any(notation.unreadable.search(step) for step in steps)
    return readable and in_steps <= moving | staying and not in_steps & moving & staying


def _rank_errors(
    question: Question, moving: list[int], staying: set[int | None], rng: random.Random, notation: ValueNotation
) -> list[tuple[int, str]]:
    """Each error with the candidate it leads to, the most plausible first, equals in a drawn order."""
    contents = question.choices or question.candidates
    ends = [(notation.read(content), answer) for content, answer in zip(contents, question.candidates, strict=True)]
    offsets = [(end - moving[-1], answer) for end, answer in ends if end is not None and answer != question.answer]
    fits = [(by, answer) for by, answer in offsets if by and min(moving) + by >= notation.min_value]
    rng.shuffle(fits)

    def oddity(error: tuple[int, str]) -> tuple[bool, bool, bool]:
        moved = [value + error[0] for value in moving]
        longer = any(len(str(new)) != len(str(old)) for new, old in zip(moved, moving, strict=True))
        return longer, bool(set(moved) & {*staying, *moving}), abs(error[0]) > MAX_SLIP

    return sorted(fits, key=oddity)


def _shift_values(step: str, moving: set[int], offset: int, notation: ValueNotation) -> str:
    for start, stop in reversed(notation.find_spans(step)):
        value = notation.read(token := step[start:stop])
        if value in moving and value is not None:
            step = step[:start] + notation.write(value + offset, token) + step[stop:]
    return step


def _find_candidate(question: Question, value: int, notation: ValueNotation) -> str | None:
    if question.form == "free-form":
        return str(value)
    matching = [
        label
        for label, content in zip(question.candidates, question.choices, strict=True)
        if notation.read(content) == value
    ]
    return matching[0] if matching else None
