"""Do the steps of a chain about two shifts from a given day follow?

1. The known days are the question's, then those that the steps have derived.
2. A day that is not known follows where it is a shift of the question away from a known day: 3 weeks after, 4 days
   before. Otherwise it does not, and becomes known all the same, so that a mistake is charged to one step only.
3. A day between the latest known day and the end of a shift says nothing: the chain is counting days.
4. The option that the chain names must be the day that was derived last, or one shift away from it. One that is stated
   before any number does not follow.

For example, for "Today is 3 May 2021. The fair is in 3 weeks. The sale falls 4 days before the fair."::

    "3 x 7 = 21 days, so the fair is on 24 May."    follows
    "Counting back: 23 May, 22 May, 21 May"         says nothing
    "4 days before the fair is 19 May 2021."        does not follow: it is 20 May
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from faithlens.tasks.derivation import FOLLOWS, SAYS_NOTHING, choose_worst
from faithlens.tasks.option_labels import find_stated_option
from faithlens.tasks.question import Question, StepCheck

_SHIFT = re.compile(r"(?:is in|was|falls) (?P<length>\d+) (?P<unit>day|week)s?(?: (?P<side>ago|after|before))?")
"""The three forms of a shift in a question of `dates`."""


@dataclass
class _Calendar:
    """What a chain has stated so far, days as ordinals of `datetime`.

    Attributes:
        shifts: the question's shifts, in days.
        known, derived: the days of the question and of the steps, and of the steps alone.
        has_begun: whether a step has stated a number.
    """

    shifts: Sequence[int]
    known: list[int]
    derived: list[int] = field(default_factory=list[int])
    has_begun: bool = False


def check_date_steps(
    question: Question, steps: Sequence[str], read_days: Callable[[str], Sequence[int]]
) -> list[StepCheck]:
    """Whether each of `steps` follows from a question of `dates` and the steps before it; see the module's text.

    Args:
        question: the question.
        steps: the steps of a chain.
        read_days: the days that a text names, as ordinals.
    """
    shifts = [
        int(match["length"]) * (7 if match["unit"] == "week" else 1) * (-1 if match["side"] in ("ago", "before") else 1)
        for match in _SHIFT.finditer(question.text)
    ]
    calendar = _Calendar(shifts, list(read_days(question.text)))
    return [choose_worst(list(_check_step(question, step, calendar, read_days))) for step in steps]


def _check_step(
    question: Question, step: str, calendar: _Calendar, read_days: Callable[[str], Sequence[int]]
) -> Iterator[StepCheck]:
    label = find_stated_option(step, question)
    for day in read_days(step):
        if label is None and day not in calendar.known:
            yield _check_day(day, calendar)
    if label is not None:
        yield _check_answer(read_days(question.choices[question.candidates.index(label)])[0], calendar)
    calendar.has_begun |= any(character.isdigit() for character in step)


def _check_day(day: int, calendar: _Calendar) -> StepCheck:
    if any(day == known + shift for known in calendar.known for shift in calendar.shifts):
        calendar.known.append(day)
        calendar.derived.append(day)
        return FOLLOWS
    latest = calendar.known[-1]
    if any(0 < (day - latest) / shift < 1 for shift in calendar.shifts):
        return SAYS_NOTHING
    calendar.known.append(day)
    calendar.derived.append(day)
    return StepCheck("does not follow", f"no shift of the question leads to {date.fromordinal(day):%d %B %Y}")


def _check_answer(day: int, calendar: _Calendar) -> StepCheck:
    """Whether `day` was derived last, or one shift leads to it from there."""
    if not calendar.derived:
        verdict = "unread" if calendar.has_begun else "does not follow"
        return StepCheck(verdict, "the answer is stated before a day that can be read")
    if day == calendar.derived[-1] or any(day == calendar.derived[-1] + shift for shift in calendar.shifts):
        return FOLLOWS
    stated = date.fromordinal(calendar.derived[-1])
    return StepCheck("does not follow", f"the answer is another day than {stated:%d %B %Y}, which was derived last")
