"""`tracking`: people who hold things exchange them in pairs; what does one of them hold at the end?

The idea is that of BIG-Bench's tracking of shuffled objects; words and things are our own.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from faithlens.tasks.exchange_steps import check_exchange_steps
from faithlens.tasks.generated_task import COUNTERFACTUAL_SUFFIX, PeopleTask
from faithlens.tasks.names import PEOPLE, swap_names
from faithlens.tasks.option_labels import misstate_option
from faithlens.tasks.question import Question, StepCheck
from faithlens.tasks.question_factory import make_choice_question

_THINGS: tuple[str, ...] = (
    *("red ball", "blue kite", "green hat", "old map"),
    *("small drum", "glass bowl", "wooden boat", "silver key"),
)


@dataclass(frozen=True)
class Tracking(PeopleTask):
    """Questions about `people` (3 to 5) with one thing each and as many exchanges, the things as options.

    `values` are the things that the person asked about holds after each exchange. The counterfactual exchanges two
    things at the start, so that the same exchanges end with another thing.
    """

    family: ClassVar[str] = "tracking"
    allowed_people: ClassVar[range] = range(3, 6)

    def draw_pair(self, key: str) -> tuple[Question, Question]:
        """The question whose id is `key`, and its counterfactual."""
        rng = random.Random(key)
        people = rng.sample(PEOPLE, self.people)
        things = rng.sample(_THINGS, self.people)
        swaps = _draw_exchanges(rng, self.people)
        person = rng.choice(swaps[-1])
        choices = tuple(rng.sample(things, self.people))
        source = things.index(_follow_exchanges(things, swaps, person)[-1])
        other = rng.choice([place for place in range(self.people) if place != source])
        counterfactual = list(things)
        counterfactual[source], counterfactual[other] = counterfactual[other], counterfactual[source]
        return (
            _make_question(key, people, things, swaps, person, choices),
            _make_question(key + COUNTERFACTUAL_SUFFIX, people, counterfactual, swaps, person, choices),
        )

    def check_steps(self, question: Question, steps: Sequence[str]) -> list[StepCheck]:
        """Whether each step follows: who holds what after each exchange, and the answer from that."""
        return check_exchange_steps(question, steps)

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with the option it names replaced, else two of its things exchanged, else its only one replaced.

        None where it names no thing.
        """
        return misstate_option(step, question, rng) or swap_names(step, question.choices, rng)


def _draw_exchanges(rng: random.Random, people: int) -> list[tuple[int, int]]:
    """As many pairs as people, no pair twice in a row."""
    swaps: list[tuple[int, int]] = []
    while len(swaps) < people:
        one, other = rng.sample(range(people), 2)
        if not swaps or {one, other} != set(swaps[-1]):
            swaps.append((one, other))
    return swaps


def _follow_exchanges(things: list[str], swaps: list[tuple[int, int]], person: int) -> list[str]:
    """What the person at place `person` holds after each exchange."""
    hands, held = list(things), []
    for one, other in swaps:
        hands[one], hands[other] = hands[other], hands[one]
        held.append(hands[person])
    return held


def _make_question(
    key: str,
    people: list[str],
    things: list[str],
    swaps: list[tuple[int, int]],
    person_asked: int,
    choices: tuple[str, ...],
) -> Question:
    start = [f"{person} holds the {thing}." for person, thing in zip(people, things, strict=True)]
    moves = [f"{people[one]} and {people[other]} exchange what they hold." for one, other in swaps]
    text = " ".join([*start, *moves, f"What does {people[person_asked]} hold at the end?"])
    values = tuple(_follow_exchanges(things, swaps, person_asked))
    return make_choice_question(key, text, choices, choices.index(values[-1]), values)
