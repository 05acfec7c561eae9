"""`ordering`: who comes last when only neighbours are compared, "Anna is taller than Ben. Ben is taller than ..."."""

import random
from dataclasses import dataclass

from faithlens.errors import TaskError
from faithlens.tasks.drawn import TWIN, Drawn
from faithlens.tasks.names import PEOPLE, swap_names
from faithlens.tasks.options import misstate_option
from faithlens.tasks.question import Question, Stem
from faithlens.tasks.stems import CHOICE_STEMS, labels

_SCALES = (
    (("taller", "tallest"), ("shorter", "shortest")),
    (("older", "oldest"), ("younger", "youngest")),
    (("faster", "fastest"), ("slower", "slowest")),
    (("heavier", "heaviest"), ("lighter", "lightest")),
    (("richer", "richest"), ("poorer", "poorest")),
)


@dataclass(frozen=True)
class Ordering(Drawn):
    """Questions about the extreme of a strict order of `people` (3 to 5), the comparisons in a drawn order.

    `values` lists the people from the far end to the one asked for.  The twin swaps that person with another
    throughout the comparisons, so that the same sentences make another option right.
    """

    people: int = 3

    def __post_init__(self) -> None:
        if self.people not in range(3, 6):
            raise TaskError(f"ordering with {self.people} people", "orders are made of 3 to 5", "choose 3, 4 or 5")

    @property
    def name(self) -> str:
        """ "ordering", and the number of people where it is not the usual one."""
        return "ordering" if self.people == type(self).people else f"ordering-{self.people}"

    @property
    def stems(self) -> tuple[Stem, ...]:
        """Candidate answer stems for options."""
        return CHOICE_STEMS

    def pair(self, key: str) -> tuple[Question, Question]:
        """The question whose id is `key`, and its twin."""
        rng = random.Random(key)
        order = rng.sample(PEOPLE, self.people)
        wording = _wording(rng, self.people)
        choices = tuple(rng.sample(order, self.people))
        place = rng.randrange(self.people - 1)
        twin = list(order)
        twin[place], twin[-1] = twin[-1], twin[place]
        return _question(key, wording, order, choices), _question(key + TWIN, wording, twin, choices)

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with the option it names replaced, else two of its people swapped, else its only one replaced.

        None where it names nobody. A comparison that was true becomes false; a plain list merely changes its order.
        """
        return misstate_option(step, question, rng) or swap_names(step, question.choices, rng)


def _wording(rng: random.Random, people: int) -> str:
    """Comparisons of neighbours in a drawn order, and a question; ``{i}`` is the person i places from the far end."""
    far, near = rng.sample(rng.choice(_SCALES), 2)
    lines = []
    for place in range(people - 1):
        ahead, behind = f"{{{place}}}", f"{{{place + 1}}}"
        forwards = rng.random() < 0.5
        lines.append(f"{ahead} is {far[0]} than {behind}." if forwards else f"{behind} is {near[0]} than {ahead}.")
    rng.shuffle(lines)
    return " ".join([*lines, f"Who is the {near[1]}?"])


def _question(key: str, wording: str, order: list[str], choices: tuple[str, ...]) -> Question:
    names = labels(len(choices))
    return Question(
        key, wording.format(*order), names, names[choices.index(order[-1])], choices, tuple(order), "choice"
    )
