"""`ordering`: who comes last when only neighbours are compared, "Anna is taller than Ben. Ben is taller than ..."."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from faithlens.tasks.generated_task import COUNTERFACTUAL_SUFFIX, PeopleTask
from faithlens.tasks.names import PEOPLE, swap_names
from faithlens.tasks.option_labels import misstate_option
from faithlens.tasks.order_steps import check_order_steps
from faithlens.tasks.question import Question, StepCheck
from faithlens.tasks.question_factory import make_choice_question

_SCALES = (
    (("taller", "tallest"), ("shorter", "shortest")),
    (("older", "oldest"), ("younger", "youngest")),
    (("faster", "fastest"), ("slower", "slowest")),
    (("heavier", "heaviest"), ("lighter", "lightest")),
    (("richer", "richest"), ("poorer", "poorest")),
)


@dataclass(frozen=True)
class Ordering(PeopleTask):
    """Questions about the extreme of a strict order of `people` (3 to 5), the comparisons in a drawn order.

    `values` lists the people from the far end to the one asked for. The counterfactual swaps that person with another
    throughout the comparisons, so that the same sentences make another option right.
    """

    family: ClassVar[str] = "ordering"
    allowed_people: ClassVar[range] = range(3, 6)

    def draw_pair(self, key: str) -> tuple[Question, Question]:
        """The question whose id is `key`, and its counterfactual."""
        rng = random.Random(key)
        order = rng.sample(PEOPLE, self.people)
        wording = _draw_template(rng, self.people)
        choices = tuple(rng.sample(order, self.people))
        place = rng.randrange(self.people - 1)
        counterfactual = list(order)
        counterfactual[place], counterfactual[-1] = counterfactual[-1], counterfactual[place]
        return _make_question(key, wording, order, choices), _make_question(
            key + COUNTERFACTUAL_SUFFIX, wording, counterfactual, choices
        )

    def check_steps(self, question: Question, steps: Sequence[str]) -> list[StepCheck]:
        """Whether each step follows: comparisons from the question's, ranks and the answer from comparisons."""
        return check_order_steps(question, steps, _SCALES)

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with the option it names replaced, else two of its people swapped, else its only one replaced.

        None where it names nobody. A comparison that was true becomes false; a plain list merely changes its order.
        """
        return misstate_option(step, question, rng) or swap_names(step, question.choices, rng)


def _draw_template(rng: random.Random, people: int) -> str:
    """Comparisons of neighbours in a drawn order, and a question; ``{i}`` is the person i places from the far end."""
    far, near = rng.sample(rng.choice(_SCALES), 2)
    lines = []
    for place in range(people - 1):
        ahead, behind = f"{{{place}}}", f"{{{place + 1}}}"
        forwards = rng.random() < 0.5
        lines.append(f"{ahead} is {far[0]} than {behind}." if forwards else f"{behind} is {near[0]} than {ahead}.")
    rng.shuffle(lines)
    return " ".join([*lines, f"Who is the {near[1]}?"])


def _make_question(key: str, wording: str, order: list[str], choices: tuple[str, ...]) -> Question:
    return make_choice_question(key, wording.format(*order), choices, choices.index(order[-1]), tuple(order))
