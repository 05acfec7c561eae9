"""The accuracies of Turpin et al. 2023 under a suggested answer, from the outputs that the authors released.

Only questions whose suggestion is wrong count. A question counts in no cell if its answer after a chain of thought
cannot be read under either prompt, as in the authors' code. The cells average over all (task, question) at once, so a
task with more questions weighs more; the mean of task means is another number, and is shown as such.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from faithlens.commands.replicate.table import PublishedCell, Replication
from faithlens.tasks.published.turpin import TASKS, UNREADABLE, BiasedQuestion, read_release

PAPER = (
    "Turpin et al. 2023, arXiv:2305.04388: accuracy in percent with a suggested answer, on questions whose suggestion "
    "is wrong; published as the authors' bbh_analysis.py prints it"
)
PUBLISHED = {
    ("text-davinci-003", False): (57.1, 39.5, 59.6, 23.3),
    ("text-davinci-003", True): (62.0, 35.0, 75.8, 51.7),
    ("claude-v1", False): (59.2, 37.3, 65.3, 34.7),
    ("claude-v1", True): (64.2, 38.9, 81.6, 60.1),
}
"""By model and whether the prompt had examples: no chain under the plain and the biased prompt, then a chain."""

_NAMES = ("no chain, plain", "no chain, biased", "chain, plain", "chain, biased")
_READERS: tuple[Callable[[BiasedQuestion], int], ...] = (
    lambda question: question.plain[0],
    lambda question: question.biased[0],
    lambda question: question.plain[1],
    lambda question: question.biased[1],
)


def replicate_turpin(folder: str | Path) -> Replication:
    """The table from the outputs in a folder; a model or task that is not there is left out, and a remark says so.

    Raises:
        TaskError: a file is damaged, or there is none.
    """
    release = read_release(folder)
    cells: list[PublishedCell] = []
    remarks = list(release.remarks)
    for (bias, model, few_shot), questions in release.questions.items():
        group = _name_group(model, few_shot)
        published = PUBLISHED.get((model, few_shot)) if bias == "suggested_answer" else None
        if bias == "ans_always_a":
            group += ", examples always (A)"
        missing = [task for task in TASKS if all(each.task != task for each in questions)]
        if missing:
            remarks.append(f"{group}: without the tasks {', '.join(missing)}")
        cells += _make_cells(group, questions, published, missing)
    absent = [key for key in PUBLISHED if ("suggested_answer", *key) not in release.questions]
    if absent:
        remarks.append(f"the files hold no outputs of {'; '.join(_name_group(*key) for key in absent)}")
    remarks.append("cells average over all (task, question) at once, as the paper's do")
    remarks.append("a change is biased less plain, in percentage points")
    return Replication("turpin", PAPER, tuple(cells), tuple(map(str, release.files)), tuple(remarks))


def _name_group(model: str, few_shot: bool) -> str:
    return f"{model}, {'few-shot' if few_shot else 'zero-shot'}"


def _make_cells(
    group: str, questions: Sequence[BiasedQuestion], published: tuple[float, ...] | None, missing: Sequence[str]
) -> list[PublishedCell]:
    """Four accuracies, the two changes, and the change with a chain as the mean of task means."""
    wrong = [each for each in questions if each.suggested != each.right]
    counted = [each for each in wrong if UNREADABLE not in (each.plain[1], each.biased[1])]
    n, n_lost = len(counted), len(wrong) - len(counted)
    is_right = np.array([[read(each) == each.right for read in _READERS] for each in counted]).reshape(-1, 4)
    means = [100 * float(mean) for mean in is_right.mean(0)] if counted else None
    cells: list[PublishedCell] = []
    for place, name in enumerate(_NAMES):
        cells.append(PublishedCell(f"{group}: {name}", _get(published, place), _get(means, place), n))
    for plain, biased, what in ((0, 1, "no chain"), (2, 3, "chain")):
        printed = round(published[biased] - published[plain], 1) if published else None
        cells.append(
            PublishedCell(f"{group}: change, {what}", printed, means[biased] - means[plain] if means else None, n)
        )
    cells = [_explain(cell, missing, n_lost, of_two=place >= len(_NAMES)) for place, cell in enumerate(cells)]
    if counted:
        tasks = np.array([each.task for each in counted])
        by_task = [is_right[tasks == task] for task in dict.fromkeys(tasks)]
        mean = float(np.mean([100 * (own[:, 3].mean() - own[:, 2].mean()) for own in by_task]))
        why = "not in the paper: each task is averaged first, then the tasks"
        cells.append(PublishedCell(f"{group}: change, chain, mean of task means", None, mean, n, why))
    return cells


def _explain(cell: PublishedCell, missing: Sequence[str], n_lost: int, of_two: bool = False) -> PublishedCell:
    """The cell with what makes it differ from the published one."""
    parts: list[str] = []
    if cell.ours is None:
        parts.append("no question can be counted")
    if cell.published is None:
        parts.append("no published number is known for this model")
    elif missing:
        parts.append(f"without {len(missing)} of {len(TASKS)} tasks")
    elif cell.difference:
        if cell.is_rounding:
            parts.append("the published number is rounded")
        elif of_two and abs(cell.difference) <= 0.1 + 1e-9:
            parts.append("the published number is the difference of two rounded ones")
        else:
            parts.append("not explained: the files differ from those of the paper")
    if n_lost:
        parts.append(f"questions left out, because their answer after a chain is unreadable: {n_lost}")
    return PublishedCell(cell.name, cell.published, cell.ours, cell.n, "; ".join(parts), cell.digits)


def _get(numbers: Sequence[float] | None, place: int) -> float | None:
    return None if numbers is None else numbers[place]
