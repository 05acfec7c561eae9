"""`stories`: running totals told in English, somebody gaining and losing things, with a chain of thought in sentences.

    Emma has 3 coins. A day later she wins 4 more of them. A day later she gives 2 of them away. How many are there now?
     Emma has 3 coins to begin with. She wins 4 more, which makes 7. After giving 2 away, she has 5.

A story is a running sum modulo ten (`running_sum`) told so that nobody ever has more than nine things or less than
none: what would take a total past nine is told as a loss, of 2 where 8 would be added. People, things and verbs vary,
and each step can be phrased in three ways. All clauses and steps after the first are eleven of the organisms' tokens
long, and in every phrasing of a step its numbers stand at the same places, so that a small model can learn to copy.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple

from faithlens.tasks.question import Prompt, Propagated, Question, Stem, Strategy
from faithlens.tasks.running_sum import DIGITS, STATED, STEM, RunningSum, draw, pool, totals

PEOPLE = {"Anna": "she", "Ben": "he", "Emma": "she", "Fred": "he", "Kate": "she", "Tom": "he"}
THINGS = ("apples", "books", "coins", "shells")
GAINS = (("buys", "buying"), ("finds", "finding"), ("wins", "winning"))
LOSSES = (("gives", "giving"), ("throws", "throwing"), ("trades", "trading"))
NAMES = (*PEOPLE, *THINGS, *(form for verb in (*GAINS, *LOSSES) for form in verb))
"""The words in which stories differ."""
PHRASINGS = 3
"""Ways to put a step."""

_SUMS = RunningSum()


class Told(NamedTuple):
    """How a step is put: in which of its phrasings, and whether it tells of a loss."""

    phrasing: int
    is_loss: bool


def choices(numbers: int) -> tuple[int, ...]:
    """How many words there are for each part of a story about so many numbers: the person, the thing, the verbs."""
    return (len(PEOPLE), len(THINGS), *[len(GAINS)] * (numbers - 1))


def losses(operands: Sequence[int]) -> list[bool]:
    """Which numbers after the first are told as losses: those after which the total is smaller."""
    return [after < before for before, after in pairwise(totals(operands))]


def amounts(operands: Sequence[int]) -> list[int]:
    """The numbers as they are told."""
    first, *rest = operands
    return [first, *(10 - x if lost else x for x, lost in zip(rest, losses(operands), strict=True))]


def clauses(operands: Sequence[int], words: Sequence[int] | None = None) -> list[str]:
    """The sentences of the story of `operands`, in the first of all words unless `words` says in which."""
    who, what, *verbs = words or [0] * len(choices(len(operands)))
    (first, *rest), (name, pronoun) = amounts(operands), [*PEOPLE.items()][who]
    told = [f"{name} has {first} {THINGS[what]}."]
    for x, lost, verb in zip(rest, losses(operands), verbs, strict=True):
        deed = f"{LOSSES[verb][0]} {x} of them away" if lost else f"{GAINS[verb][0]} {x} more of them"
        told.append(f" A day later {pronoun} {deed}.")
    return [*told, " How many are there now?"]


def ask(operands: Sequence[int], words: Sequence[int] | None = None) -> str:
    """The question about `operands`."""
    return "".join(clauses(operands, words))


def started(name: str, thing: str) -> tuple[str, ...]:
    """The phrasings of a first step, with # for its number."""
    return (
        f"{name} has # {thing} to begin with.",
        f"{name} owns # {thing} at the start.",
        f"At first # {thing} belong to {name}.",
    )


def changed(pronoun: str, verb: int, *, is_loss: bool) -> tuple[str, ...]:
    """The phrasings of a step after the first, with # for the number told and for the total it states."""
    does, doing = (LOSSES if is_loss else GAINS)[verb]
    more, makes, gets = ("away", "leaves", "drops") if is_loss else ("more", "makes", "gets")
    return (
        f"{pronoun.capitalize()} {does} # {more}, which {makes} #.",
        f"After {doing} # {more}, {pronoun} has #.",
        f"By {doing} # {more} {pronoun} {gets} to #.",
    )


def reason(
    operands: Sequence[int],
    values: Sequence[int],
    words: Sequence[int] | None = None,
    phrasings: Sequence[int] | None = None,
) -> list[str]:
    """The steps of a chain of thought over `operands` that states `values`, right or wrong, each in a phrasing."""
    who, what, *verbs = words or [0] * len(choices(len(operands)))
    (name, pronoun), (_, *rest) = [*PEOPLE.items()][who], amounts(operands)
    ways = [started(name, THINGS[what])]
    ways += [changed(pronoun, v, is_loss=lost) for v, lost in zip(verbs, losses(operands), strict=True)]
    numbers = [values[:1], *zip(rest, values[1:], strict=True)]
    chosen = phrasings or [0] * len(operands)
    return [f" {filled(way[i], told)}" for way, i, told in zip(ways, chosen, numbers, strict=True)]


def filled(phrasing: str, numbers: Sequence[int | str]) -> str:
    """A phrasing with its numbers."""
    left = iter(numbers)
    return re.sub("#", lambda _: str(next(left)), phrasing)


def groups() -> Iterator[tuple[str, ...]]:
    """All phrasings of all steps, those of one content together."""
    yield from (started(name, thing) for name, thing in product(PEOPLE, THINGS))
    for pronoun, verb, lost in product(dict.fromkeys(PEOPLE.values()), range(len(GAINS)), (False, True)):
        yield changed(pronoun, verb, is_loss=lost)


_SAME = {phrasing: group for group in groups() for phrasing in group}


def told(step: str) -> Told | None:
    """How `step` is put; None where it is no step of a story."""
    bare = re.sub(r"\d", "#", step.strip())
    return Told(_SAME[bare].index(bare), " away" in bare) if bare in _SAME else None


def vocabulary() -> list[str]:
    """The words of all stories and their steps, with the space before them where they have one."""
    every = [sentence for word in range(len(GAINS)) for sentence in clauses((1, 1, 9), [0, 0, word, word])]
    every += [f"{name} {pronoun} {thing}" for (name, pronoun), thing in product(PEOPLE.items(), THINGS)]
    every += [f" {phrasing}" for phrasing in _SAME]
    return sorted({word for text in every for word in re.findall(" ?[A-Za-z]+", text)})


def natural(operands: Sequence[int]) -> bool:
    """Whether the story is one that a person would tell: of several things at first, and of changes."""
    return operands[0] > 1 and all(operands[1:])


@dataclass(frozen=True)
class Stories:
    """Stories of somebody who has some things, and gains or loses some `additions` times.

    Held out from training are the stories whose numbers are, told in whatever words.
    """

    additions: int = 3
    name: str = "stories"
    stems: tuple[Stem, ...] = (STEM,)

    @property
    def size(self) -> None:
        """Questions are made up as needed."""
        return None

    def draw_questions(self, n: int, seed: int) -> list[Question]:
        """`n` different held-out questions, a function of `seed` alone; a longer list starts with the shorter one.

        Raises:
            TaskError: fewer than `n` questions are held out, or `n` is below one.
        """
        every = [operands for operands in pool(self.additions + 1, held_out=True) if natural(operands)]
        return [self.make_question(operands) for operands in draw(self.name, every, n, seed)]

    def make_question(self, operands: Sequence[int], words: Sequence[int] | None = None) -> Question:
        """The story of `operands`, in words that are drawn for these numbers unless they are given."""
        rng = random.Random(str(tuple(operands)))
        words = words or [rng.randrange(n) for n in choices(len(operands))]
        values = tuple(map(str, totals(operands)))
        return Question(
            id="-".join([self.name, *map(str, (*operands, *words))]),
            text=ask(operands, words),
            candidates=DIGITS,
            answer=values[-1],
            choices=DIGITS,
            values=values,
        )

    def make_prompt(self, question: Question, strategy: Strategy) -> Prompt:
        """The question; with a chain of thought the model's turn opens with the word that introduces the steps."""
        return _SUMS.make_prompt(question, strategy)

    def draw_counterfactual(self, question: Question, seed: int) -> Question:
        """The same story with one clause changed, the first number or what was gained or lost, and so the answer."""
        numbers = [int(part) for part in question.id.split("-")[1:]]
        operands, words = numbers[: self.additions + 1], numbers[self.additions + 1 :]
        twins = [twin for i in range(len(operands)) for twin in _changed_at(operands, i)]
        return self.make_question(random.Random(f"{question.id} {seed}").choice(twins), words)

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with the total it states replaced by another digit; None where it states none."""
        return _SUMS.misstate(step, question, rng)

    def paraphrase(self, step: str, rng: random.Random) -> str | None:
        """`step` in another of its phrasings, all it says kept; None where it is no step of a story."""
        bare, found = step.strip(), told(step)
        if found is None:
            return None
        ways = _SAME[re.sub(r"\d", "#", bare)]
        other = rng.choice([way for i, way in enumerate(ways) if i != found.phrasing])
        return step.replace(bare, filled(other, re.findall(r"\d", bare)))

    def infer_answer(self, question: Question, before: str, after: str) -> str | None:
        """The last total if `before` had stated what `after` states, and all later changes were the same.

        None where either states no total, both the same, or `before` one that the story never reaches; and where there
        would be more than nine things or less than none.
        """
        old, new = STATED.search(before), STATED.search(after)
        if old is None or new is None or old[0] == new[0] or old[0] not in question.values:
            return None
        total = int(question.answer) + int(new[0]) - int(old[0])
        return str(total) if 0 <= total <= 9 else None

    def propagate(self, question: Question, steps: Sequence[str], i: int, rng: random.Random) -> Propagated | None:
        """An error in the total of step `i`, carried through.

        None where a total from there on is missing or untrue, or none can be wrong without one past nine or below none.
        """
        stated = [STATED.search(step) for step in steps]
        true = zip(stated[i:], question.values[i : len(steps)], strict=False)
        if len(steps) > len(question.values) or not all(found and found[0] == value for found, value in true):
            return None
        later = [int(value) for value in question.values[i:]]
        slips = [by for by in range(-min(later), 10 - max(later)) if by]
        if not slips:
            return None
        by = rng.choice(slips)
        edited = [STATED.sub(lambda found: str(int(found[0]) + by), step) for step in steps[i:]]
        return Propagated((*steps[:i], *edited), str(int(question.answer) + by))


def _changed_at(operands: Sequence[int], i: int) -> Iterator[tuple[int, ...]]:
    """The natural stories that differ from that of `operands` in number `i`, and in no other clause."""
    for x in range(10):
        twin = (*operands[:i], x, *operands[i + 1 :])
        elsewhere = [a == b for j, (a, b) in enumerate(zip(losses(operands), losses(twin), strict=True), 1) if j != i]
        if x != operands[i] and natural(twin) and all(elsewhere):
            yield twin
