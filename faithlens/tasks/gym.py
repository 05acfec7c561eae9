"""`reasoning-gym:chain_sum` and its like: made-up questions of the library reasoning-gym (Apache-2.0).

Asked are those whose answers are short. A number gets near misses as candidates; where there are few different
answers, as Yes and No, all of them are; anything else gets the answers of other questions.
"""

import random
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from faithlens.errors import TaskError, nearest
from faithlens.tasks.build import open_question
from faithlens.tasks.numbers import misstate, plain_number
from faithlens.tasks.question import Prompt, Question, Stem, Strategy
from faithlens.tasks.stems import OPEN_STEMS, ask

PREFIX = "reasoning-gym:"
_LONGEST = 40  # characters of an answer that can still be scored as one
_POOL = 100  # the first questions of a seed, from whose answers candidates come
_N_CANDIDATES = 10
_MOST_UNUSABLE = 0.1
_SIZE = 5_000  # entries of a dataset; the same always, because some datasets depend on it


class Gym:
    """One dataset of reasoning-gym, in its own default settings.

    Raises TaskError where the library is missing, has no such dataset, or more than a tenth of the answers are missing
    or longer than 40 characters.
    """

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        bad = [fault for entry in _entries(dataset, 0, _POOL) if (fault := _fault(entry["answer"]))]
        if len(bad) > _MOST_UNUSABLE * _POOL:
            found = f"{len(bad)} of {_POOL} answers cannot be scored; the first is {bad[0]}"
            raise TaskError(self.name, found, f"choose a dataset with answers of at most {_LONGEST} characters")

    @property
    def name(self) -> str:
        """ "reasoning-gym:" and the dataset."""
        return PREFIX + self.dataset

    @property
    def stems(self) -> tuple[Stem, ...]:
        """Candidate answer stems for written answers."""
        return OPEN_STEMS

    @property
    def size(self) -> None:
        """Questions are made up as needed."""
        return None

    def draw_questions(self, n: int, seed: int) -> list[Question]:
        """`n` questions of different wording, a function of `seed` alone; a longer list starts with the shorter one.

        Raises TaskError where `n` is below one or the dataset has not so many different questions.
        """
        found: dict[str, Question] = {}
        if n < 1:
            raise TaskError(f"{n} questions of {self.name}", "questions are made as needed", "ask for 1 or more")
        for index, entry in enumerate(_entries(self.dataset, seed, _SIZE)):
            if _fault(entry["answer"]) is None:
                found.setdefault(entry["question"], _question(self.dataset, entry, seed, index))
            if len(found) == n:
                return list(found.values())
        raise TaskError(f"{n} questions of {self.name}", f"{len(found)} different ones", f"ask for 1 to {len(found)}")

    def make_prompt(self, question: Question, strategy: Strategy) -> Prompt:
        """The words that ask `question`, with or without a chain of thought."""
        return ask(question, strategy)

    def draw_counterfactual(self, question: Question, seed: int) -> Question | None:
        """Another question of the same seed with the same candidates and another right one; None where there is none.

        A weak donor, as it differs in everything; and for most numbers there is none.
        """
        ours = re.fullmatch(rf"{re.escape(self.name)}:(-?[0-9]+):[0-9]+", question.id)
        if ours is None:
            return None
        pool = _pool(self.dataset, int(ours[1]))
        same = [other for other in pool if other.candidates == question.candidates]
        others = [other for other in same if other.answer != question.answer]
        return random.Random(f"{question.id}:{seed}").choice(others) if others else None

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with its stated number made wrong; None where it has none."""
        return misstate(step, question, rng)


def _entries(dataset: str, seed: int, n: int) -> Iterator[dict[str, Any]]:
    """The first `n` entries of `dataset` under `seed`, made one by one.

    The library seeds entry i with its seed plus i, so its seeds must lie far apart for ours to share no entries.
    """
    try:
        import reasoning_gym  # pyright: ignore[reportMissingImports]
        from reasoning_gym.factory import DATASETS  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        do = "pip install 'faithlens[tasks]'"
        raise TaskError(PREFIX + dataset, "the library 'reasoning-gym' is not installed", do) from error
    if dataset not in DATASETS:
        raise TaskError(PREFIX + dataset, "no such dataset in reasoning-gym", nearest(dataset, DATASETS))
    far = random.Random(f"{PREFIX}{seed}").randrange(2**31)
    try:
        made = reasoning_gym.create_dataset(dataset, size=_SIZE, seed=far)
        yield from (made[index] for index in range(n))
    except (ValueError, TypeError, AssertionError, LookupError, OSError, ImportError) as error:
        found = f"reasoning-gym cannot make it: {type(error).__name__}: {error}"
        raise TaskError(PREFIX + dataset, found, "choose another dataset") from error


def _fault(answer: object) -> str | None:
    """Why `answer` cannot be scored; None where it can."""
    if not isinstance(answer, str) or not answer.strip():
        return f"{answer!r}, no text"
    if len(answer) > _LONGEST or "\n" in answer.strip():
        return f"{answer[:_LONGEST]!r}..., {len(answer)} characters"
    return None


@lru_cache(maxsize=8)
def _answers(dataset: str, seed: int) -> tuple[str, ...]:
    """The different answers of the pool, in rising order of their texts."""
    entries = _entries(dataset, seed, _POOL)
    return tuple(sorted({entry["answer"].strip() for entry in entries if _fault(entry["answer"]) is None}))


@lru_cache(maxsize=8)
def _pool(dataset: str, seed: int) -> tuple[Question, ...]:
    entries = enumerate(_entries(dataset, seed, _POOL))
    return tuple(_question(dataset, entry, seed, index) for index, entry in entries if _fault(entry["answer"]) is None)


def _question(dataset: str, entry: dict[str, Any], seed: int, index: int) -> Question:
    id_, text, answer = f"{PREFIX}{dataset}:{seed}:{index}", entry["question"].strip(), entry["answer"].strip()
    known = _answers(dataset, seed)
    number = plain_number(answer)
    if number is not None and all(map(plain_number, known)):
        return open_question(id_, text, number)
    if len({*known, answer}) < 2:
        raise TaskError(PREFIX + dataset, f"always the answer {answer!r}", "choose another dataset")
    others = [other for other in known if other != answer]
    drawn = random.Random(id_).sample(others, min(len(others), _N_CANDIDATES - 1))
    return open_question(id_, text, answer, candidates=tuple(sorted([answer, *drawn])))
