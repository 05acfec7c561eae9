"""Make a `Question` from an entry of a file: the checks and near misses that all tasks with fixed questions share."""

from collections.abc import Sequence

from faithlens.tasks.candidates import list_free_form_candidates, merge_candidates, write_plainly
from faithlens.tasks.prompts import make_labels
from faithlens.tasks.question import Question
from faithlens.tasks.values import DecimalMark, is_same_answer, read_number, read_value

MAX_OPTIONS = 26
MAX_UNUSABLE_SHARE = 0.1
"""The share of unusable rows or answers above which a dataset is refused."""


class BadEntryError(Exception):
    """What is wrong with one entry, and what to do about it; a loader gathers these into one TaskError.

    Attributes:
        problem: what is wrong.
        fix: what to do.
    """

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}. {fix}" if fix[:1].isupper() else f"{problem}; {fix}")
        self.problem, self.fix = problem, fix


def make_choice_question(
    id_: str,
    text: str,
    choices: Sequence[str],
    right: int,
    values: tuple[str, ...] = (),
    decimal_mark: DecimalMark = ".",
) -> Question:
    """A question with 2 to 26 different options, of which the one at place `right` (from 0) is right.

    Raises:
        BadEntryError: there are fewer or more options, two are equal, or `right` is none of them.
    """
    if not 2 <= len(choices) <= MAX_OPTIONS:
        raise BadEntryError(f"{len(choices)} options", f"offer 2 to {MAX_OPTIONS}")
    if len(set(choices)) < len(choices):
        raise BadEntryError("two options are the same", "make them differ")
    if not 0 <= right < len(choices):
        raise BadEntryError(f"the right option is number {right + 1} of {len(choices)}", "name an option that exists")
    names = make_labels(len(choices))
    return Question(id_, text, names, names[right], tuple(choices), values, "choice", decimal_mark)


def make_free_form_question(
    id_: str,
    text: str,
    answer: str,
    values: tuple[str, ...] = (),
    candidates: tuple[str, ...] = (),
    decimal_mark: DecimalMark = ".",
) -> Question:
    """A question whose answer is written out; without `candidates`, a number, date or time, and near misses are made.

    `candidates` may hold several spellings of one value; the answer is one of their values, in any spelling.

    Raises:
        BadEntryError: the answer is not among the candidates, all candidates have one value, or there are no
            candidates and the answer is no number, date or time.
    """
    if candidates:
        same = [each for each in candidates if is_same_answer(each, answer, decimal_mark)]
        if not same:
            raise BadEntryError(f"answer {answer!r} is not among 'candidates'", "add it")
        if len(merge_candidates(candidates, decimal_mark)) < 2:
            raise BadEntryError("all 'candidates' are spellings of one value", "add other answers")
        answer = answer if answer in same else same[0]
    elif read_value(answer, decimal_mark) is None:
        raise BadEntryError(
            f"answer {answer!r} is no number, date or time", "add 'candidates' (the answers to score) or 'choices'"
        )
    else:
        if read_number(answer, decimal_mark) is None:  # in words, or a fraction
            answer = write_plainly(answer, decimal_mark) or answer
        candidates = list_free_form_candidates([answer], values, decimal_mark)
    return Question(id_, text, candidates, answer, (), values, "free-form", decimal_mark)
