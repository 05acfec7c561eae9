"""`reasoning-gym:chain_sum` and similar tasks: generated questions of the library reasoning-gym (Apache-2.0).

Only questions with short answers are used. The candidates of a number are near misses. If a dataset has few different
answers, such as Yes and No, all of them are candidates; otherwise the candidates are the answers of other questions.
"""

import random
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from faithlens.errors import TaskError, check_choice
from faithlens.tasks.candidates import N_CANDIDATES
from faithlens.tasks.numbers import misstate
from faithlens.tasks.prompts import FREE_FORM_STEMS, write_prompt
from faithlens.tasks.question import Prompt, Question, Stem, Strategy
from faithlens.tasks.question_factory import MAX_UNUSABLE_SHARE, make_free_form_question
from faithlens.tasks.seeds import check_number
from faithlens.tasks.values import read_number

GYM_PREFIX = "reasoning-gym:"
_MAX_ANSWER_LENGTH = 40  # characters of an answer that can still be scored as one
_POOL_SIZE = 100  # the first questions of a seed, from whose answers candidates come
_DATASET_SIZE = 5_000  # entries of a dataset; the same always, because some datasets depend on it


class ReasoningGym:
    """One dataset of reasoning-gym, in its own default settings.

    Raises TaskError where the library is missing, has no such dataset, or more than a tenth of the answers are missing
    or longer than 40 characters.
    """

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        bad = [fault for entry in _generate_entries(dataset, 0, _POOL_SIZE) if (fault := _find_fault(entry["answer"]))]
        if len(bad) > MAX_UNUSABLE_SHARE * _POOL_SIZE:
            raise TaskError(
                f"{len(bad)} of {_POOL_SIZE} answers of {self.name} cannot be scored; the first is {bad[0]}",
                f"Choose a dataset with answers of at most {_MAX_ANSWER_LENGTH} characters.",
            )

    @property
    def name(self) -> str:
        """ "reasoning-gym:" and the dataset."""
        return GYM_PREFIX + self.dataset

    @property
    def stems(self) -> tuple[Stem, ...]:
        """Candidate answer stems for written answers."""
        return FREE_FORM_STEMS

    @property
    def size(self) -> None:
        """Questions are made up as needed."""
        return None

    def draw_questions(self, n: int, seed: int) -> list[Question]:
        """`n` questions of different wording, a function of `seed` alone; a longer list starts with the shorter one.

        Raises TaskError where `n` is no number from one on, or the dataset has not so many different questions.
        """
        check_number(n)
        by_text: dict[str, Question] = {}
        for index, entry in enumerate(_generate_entries(self.dataset, seed, _DATASET_SIZE)):
            if _find_fault(entry["answer"]) is None:
                by_text.setdefault(entry["question"], _make_question(self.dataset, entry, seed, index))
            if len(by_text) == n:
                return list(by_text.values())
        raise TaskError(
            f"{self.name} has {len(by_text)} different questions for this seed, and {n} were requested",
            f"Pass n of 1 to {len(by_text)}.",
        )

    def make_prompt(self, question: Question, strategy: Strategy) -> Prompt:
        """The words that ask `question`, with or without a chain of thought."""
        return write_prompt(question, strategy)

    def draw_counterfactual(self, question: Question, seed: int) -> Question | None:
        """Another question of the same seed with the same candidates and another right one; None where there is none.

        It is a weak donor, since it differs in everything. Most questions with numbers have none.
        """
        ours = re.fullmatch(rf"{re.escape(self.name)}:(-?[0-9]+):[0-9]+", question.id)
        if ours is None:
            return None
        pool = _make_pool(self.dataset, int(ours[1]))
        same = [other for other in pool if other.candidates == question.candidates]
        others = [other for other in same if other.answer != question.answer]
        return random.Random(f"{question.id}:{seed}").choice(others) if others else None

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        """`step` with its stated number made wrong; None where it has none."""
        return misstate(step, question, rng)


def _generate_entries(dataset: str, seed: int, n: int) -> Iterator[dict[str, Any]]:
    """The first `n` entries of `dataset` under `seed`, made one by one.

    The library seeds entry i with its seed plus i, so its seeds must lie far apart for ours to share no entries.
    """
    try:
        import reasoning_gym  # pyright: ignore[reportMissingImports]
        from reasoning_gym.factory import DATASETS  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        problem = f"{GYM_PREFIX}{dataset} needs the library 'reasoning-gym', which is not installed"
        raise TaskError(problem, "Run pip install 'faithlens[tasks]'.") from error
    check_choice(dataset, DATASETS, "dataset of reasoning-gym", TaskError)
    far = random.Random(f"{GYM_PREFIX}{seed}").randrange(2**31)
    try:
        make = reasoning_gym.create_dataset  # pyright: ignore[reportAttributeAccessIssue]
        made = make(dataset, size=_DATASET_SIZE, seed=far)
        yield from (made[index] for index in range(n))
    except (ValueError, TypeError, AssertionError, LookupError, OSError, ImportError) as error:
        problem = f"reasoning-gym cannot make the dataset {dataset!r}: {type(error).__name__}: {error}"
        raise TaskError(problem, "Choose another dataset.") from error


def _find_fault(answer: object) -> str | None:
    """Why `answer` cannot be scored; None where it can."""
    if not isinstance(answer, str) or not answer.strip():
        return f"{answer!r}, no text"
    if len(answer) > _MAX_ANSWER_LENGTH or "\n" in answer.strip():
        return f"{answer[:_MAX_ANSWER_LENGTH]!r}..., {len(answer)} characters"
    return None


@lru_cache(maxsize=8)
def _list_answers(dataset: str, seed: int) -> tuple[str, ...]:
    """The different answers of the pool, in rising order of their texts."""
    entries = _generate_entries(dataset, seed, _POOL_SIZE)
    return tuple(sorted({entry["answer"].strip() for entry in entries if _find_fault(entry["answer"]) is None}))


@lru_cache(maxsize=8)
def _make_pool(dataset: str, seed: int) -> tuple[Question, ...]:
    entries = enumerate(_generate_entries(dataset, seed, _POOL_SIZE))
    return tuple(
        _make_question(dataset, entry, seed, index) for index, entry in entries if _find_fault(entry["answer"]) is None
    )


def _make_question(dataset: str, entry: dict[str, Any], seed: int, index: int) -> Question:
    id_, text, answer = f"{GYM_PREFIX}{dataset}:{seed}:{index}", entry["question"].strip(), entry["answer"].strip()
    known = _list_answers(dataset, seed)
    number = read_number(answer)
    if number is not None and all(map(read_number, known)):
        return make_free_form_question(id_, text, str(number))
    if len({*known, answer}) < 2:
        raise TaskError(f"every answer of {GYM_PREFIX}{dataset} is {answer!r}", "Choose another dataset.")
    others = [other for other in known if other != answer]
    drawn = random.Random(id_).sample(others, min(len(others), N_CANDIDATES - 1))
    return make_free_form_question(id_, text, answer, candidates=tuple(sorted([answer, *drawn])))
