"""From what a file says to a `Question`: the checks and the near misses that every task with given questions shares."""

from collections.abc import Sequence

from faithlens.tasks.numbers import generate_near_misses, is_number
from faithlens.tasks.prompts import make_labels
from faithlens.tasks.question import Question

MAX_OPTIONS = 26
MAX_UNUSABLE_SHARE = 0.1
"""The share of unusable rows or answers above which a benchmark or dataset is refused."""

N_CANDIDATES = 10
"""The number of answers that an open question scores."""


class BadEntryError(Exception):
    """What is wrong with one entry, and what to do; a loader gathers these into one TaskError."""


def make_choice_question(
    id_: str, text: str, choices: Sequence[str], right: int, values: tuple[str, ...] = ()
) -> Question:
    """A question with 2 to 26 different options, the one at place `right` the right one."""
    if not 2 <= len(choices) <= MAX_OPTIONS:
        raise BadEntryError(f"{len(choices)} options; offer 2 to {MAX_OPTIONS}")
    if len(set(choices)) < len(choices):
        raise BadEntryError("two options are the same; make them differ")
    if not 0 <= right < len(choices):
        raise BadEntryError(f"the right option is number {right + 1} of {len(choices)}; name one that there is")
    names = make_labels(len(choices))
    return Question(id_, text, names, names[right], tuple(choices), values, "choice")


def make_open_question(
    id_: str, text: str, answer: str, values: tuple[str, ...] = (), candidates: tuple[str, ...] = ()
) -> Question:
    """A question whose answer is written out; without `candidates` it is a number, and near misses are made."""
    if candidates and answer not in candidates:
        raise BadEntryError(f"answer {answer!r} is not among 'candidates'; add it")
    return Question(id_, text, candidates or _list_numeric_candidates(answer, values), answer, (), values, "open")


def _list_numeric_candidates(answer: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """The number `answer`, the values that are numbers, and near misses, in rising order."""
    if not is_number(answer):
        raise BadEntryError(f"answer {answer!r} is no number; add 'candidates' (the answers to score) or 'choices'")
    ranked = list(dict.fromkeys([answer, *filter(is_number, values), *generate_near_misses(answer)]))
    return tuple(sorted(ranked[:N_CANDIDATES], key=lambda number: float(number.replace(",", ""))))
