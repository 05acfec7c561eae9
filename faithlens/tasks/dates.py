"""`dates`: two shifts from a given day, "Today is 3 May 2021. The fair is in 3 weeks. The sale falls 4 days ..."."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from faithlens.tasks.consequences import ValueNotation, infer_answer, propagate
from faithlens.tasks.date_steps import check_date_steps
from faithlens.tasks.generated_task import COUNTERFACTUAL_SUFFIX, GeneratedTask
from faithlens.tasks.moments import MONTHS
from faithlens.tasks.option_labels import misstate_option
from faithlens.tasks.prompts import CHOICE_STEMS
from faithlens.tasks.question import PropagatedChain, Question, Stem, StepCheck
from faithlens.tasks.question_factory import make_choice_question

_EVENTS = ("fair", "concert", "exam", "market", "party", "race", "sale", "wedding", "meeting", "play")
_MONTH = rf"(?P<{{0}}>{'|'.join(MONTHS)})"
_DATE = re.compile(
    rf"\b(?:(?P<d1>[0-9]{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH.format('m1')}"
    rf"|{_MONTH.format('m2')} (?P<d2>[0-9]{{1,2}})(?:st|nd|rd|th)?)\b(?:,? (?P<y>[0-9]{{4}})\b)?"
)
_NUMERIC_DATE = re.compile(r"\b[0-9]{1,4}[/.-][0-9]{1,2}[/.-][0-9]{1,4}\b|\b[0-9]{1,2}/[0-9]{1,2}\b")


@dataclass(frozen=True)
class Dates(GeneratedTask):
    """Questions about a date two shifts of days or weeks away, with four options; all dates lie in one year.

    `values` are the date after each shift. The counterfactual changes the length of one shift.
    """

    @property
    def name(self) -> str:
        """ "dates"."""
        return "dates"

    @property
    def stems(self) -> tuple[Stem, ...]:
        """Candidate answer stems for options."""
        return CHOICE_STEMS

    def draw_pair(self, key: str) -> tuple[Question, Question]:
        """The question whose id is `key`, and its counterfactual."""
        rng = random.Random(key)
        first, second = rng.sample(_EVENTS, 2)
        today = date(rng.randrange(2001, 2030), rng.randrange(5, 9), rng.randrange(1, 29))
        units = [rng.choice((1, 7)), rng.choice((1, 7))]
        signs = [rng.choice((1, -1)), rng.choice((1, -1))]
        while True:
            shifts, counterfactual = _draw_lengths(rng)
            ours, theirs = (_compute_dates(today, units, signs, lengths) for lengths in (shifts, counterfactual))
            if ours[-1] != theirs[-1] and len({today, *ours}) == len({today, *theirs}) == 3:
                break
        choices = _draw_choices(rng, ours, theirs)
        wording = _write_template(today, units, signs, first, second)
        return (
            _make_question(key, wording.format(*shifts), ours, choices),
            _make_question(key + COUNTERFACTUAL_SUFFIX, wording.format(*counterfactual), theirs, choices),
        )

    def check_steps(self, question: Question, steps: Sequence[str]) -> list[StepCheck]:
        """Whether each step follows: days from known days and the question's shifts, the answer from the last day."""
        return check_date_steps(question, steps, lambda text: _list_days(question, text))

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with the option it names replaced, else its last date moved by 1 to 6 days; None where it has none."""
        return misstate_option(step, question, rng) or _misstate_date(step, question, rng)

    def infer_answer(self, question: Question, before: str, after: str) -> str | None:
        """What follows if `before` had stated the date that `after` states: later dates move by the same."""
        return infer_answer(question, before, after, _make_notation(question))

    def propagate(self, question: Question, steps: Sequence[str], i: int, rng: random.Random) -> PropagatedChain | None:
        """An error in the date step `i` states, carried through; None where the steps name dates of their own."""
        return propagate(question, steps, i, rng, _make_notation(question))


def _draw_lengths(rng: random.Random) -> tuple[list[int], list[int]]:
    """Two lengths of 2 to 8, and the same with one of them changed."""
    lengths = [rng.randrange(2, 9), rng.randrange(2, 9)]
    counterfactual, place = list(lengths), rng.randrange(2)
    counterfactual[place] = rng.choice([length for length in range(2, 9) if length != lengths[place]])
    return lengths, counterfactual


def _compute_dates(today: date, units: list[int], signs: list[int], lengths: list[int]) -> list[date]:
    first, second = (timedelta(days=u * s * n) for u, s, n in zip(units, signs, lengths, strict=True))
    return [today + first, today + first + second]


def _draw_choices(rng: random.Random, ours: list[date], theirs: list[date]) -> tuple[str, ...]:
    """Both answers, the date after the first shift, and a date close to the answer, in a drawn order."""
    beside = [ours[-1] + timedelta(days=days) for days in (1, -1, 2, -2, 3)]
    offered = list(dict.fromkeys([ours[-1], theirs[-1], ours[0], *beside]))[:4]
    return tuple(_format_date(day) for day in rng.sample(offered, 4))


def _write_template(today: date, units: list[int], signs: list[int], first: str, second: str) -> str:
    days = ["days" if unit == 1 else "weeks" for unit in units]
    tense = f"The {first} is in {{}} {days[0]}" if signs[0] > 0 else f"The {first} was {{}} {days[0]} ago"
    side = "after" if signs[1] > 0 else "before"
    return (
        f"Today is {_format_date(today)}. {tense}. The {second} falls {{}} {days[1]} {side} the {first}. "
        f"What is the date of the {second}?"
    )


def _format_date(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def _make_question(key: str, text: str, reached: list[date], choices: tuple[str, ...]) -> Question:
    values = tuple(map(_format_date, reached))
    return make_choice_question(key, text, choices, choices.index(values[-1]), values)


def _find_spans(step: str) -> list[tuple[int, int]]:
    return [match.span() for match in _DATE.finditer(step)]


def _find_stated_span(step: str) -> tuple[int, int] | None:
    return _find_spans(step)[-1] if _find_spans(step) else None


def _make_notation(question: Question) -> ValueNotation:
    """How dates are read and written, as day numbers; a date without a year lies in the year of the question."""
    date_in_question = _DATE.search(question.text)
    year = int(date_in_question["y"]) if date_in_question and date_in_question["y"] else date.min.year

    def read(token: str) -> int | None:
        match = _DATE.fullmatch(token)
        if match is None:
            return None
        month = MONTHS.index(match["m1"] or match["m2"]) + 1
        try:
            return date(int(match["y"] or year), month, int(match["d1"] or match["d2"])).toordinal()
        except ValueError:
            return None  # the 35th of March: a count still under way

    return ValueNotation(_find_stated_span, _find_spans, read, _format_ordinal_like, _NUMERIC_DATE, min_value=1)


def _list_days(question: Question, text: str) -> list[int]:
    """The days that stand in `text`, in their order."""
    read = _make_notation(question).read
    return [day for span in _find_spans(text) if (day := read(text[slice(*span)])) is not None]


def _format_ordinal_like(ordinal: int, like: str) -> str:
    """A day number in the notation of the date `like`."""
    day, match = date.fromordinal(ordinal), _DATE.fullmatch(like)
    assert match is not None
    put = {"d1": f"{day.day}", "d2": f"{day.day}", "m1": MONTHS[day.month - 1], "y": f"{day.year}"}
    put["m2"] = put["m1"]
    text = like
    for name in sorted((name for name in put if match[name]), key=match.start, reverse=True):
        text = text[: match.start(name)] + put[name] + text[match.end(name) :]
    suffix = "th" if 11 <= day.day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    return re.sub(r"(?<=[0-9])(?:st|nd|rd|th)\b", suffix, text)


def _misstate_date(step: str, question: Question, rng: random.Random) -> str | None:
    notation, span = _make_notation(question), _find_stated_span(step)
    ordinal = notation.read(step[slice(*span)]) if span else None
    if span is None or ordinal is None:
        return None
    busy = {*notation.read_values(question.text), *map(notation.read, (*question.values, *question.choices))}
    wrong = [ordinal + days for days in range(-6, 7) if ordinal + days not in {*busy, ordinal}]
    return step[: span[0]] + _format_ordinal_like(rng.choice(wrong), step[slice(*span)]) + step[span[1] :]
