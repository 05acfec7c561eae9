"""The study of Tutek et al. 2025: do people find the steps supportive whose unlearning moves the answer?

The authors correlate the rating of a step with the fall of the answer's probability (`dp`) when the step is unlearned.
The two pictures in their notebook show r = .267 (p = .016) and r = .274 (p = .0134): these are the correlations over
the 81 steps whose `dp` is above 0, the only ones in the pictures. The notebook's code, as released, leaves no step out.
The number over all steps is another one, and is shown beside it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from faithlens.commands.replicate.table import PublishedCell, Replication
from faithlens.tasks.published.fur import MistakenStep, RatedStep, read_release

PAPER = "Tutek et al. 2025, arXiv:2502.14829: ratings against faithfulness, from the pictures in the authors' notebook"
PUBLISHED = 0.267
PUBLISHED_THREE = 0.274
N_PUBLISHED = 81  # steps whose dp is above 0
COUNTED_HERE = "counted here; no published number is known"
_THREE_CLASSES = {1: 0, 2: 0, 3: 1, 4: 2, 5: 2}


def replicate_fur(folder: str | Path) -> Replication:
    """The correlations of the study, and what the files of mistakes hold.

    Raises:
        TaskError: a file is damaged, or there is none.
    """
    release = read_release(folder)
    cells = [cell for name, steps in release.mistakes.items() for cell in _count_steps(name, steps)]
    remarks = list(release.remarks)
    if release.study:
        cells += _correlate(release.study)
    else:
        remarks.append("the files hold no study of rated steps")
    if not release.mistakes:
        remarks.append("the files hold no steps with mistakes")
    known = {(each.question_id, each.steps, each.step) for own in release.mistakes.values() for each in own}
    n_both = sum((each.question_id, each.steps, each.step) in known for each in release.study)
    if release.study and release.mistakes:
        remarks.append(f"{n_both} of {len(release.study)} rated steps have a mistake in these files")
    return Replication("fur", PAPER, tuple(cells), tuple(map(str, release.files)), tuple(remarks))


def _count_steps(name: str, steps: Sequence[MistakenStep]) -> list[PublishedCell]:
    n_chains = len({(each.question_id, each.steps) for each in steps})
    same = sum(not each.is_changed for each in steps)
    why = COUNTED_HERE
    return [
        PublishedCell(f"{name}: chains", None, float(n_chains), n_chains, why, digits=0),
        PublishedCell(f"{name}: steps with a mistake", None, float(len(steps)), len(steps), why, digits=0),
        PublishedCell(f"{name}: of these, mistakes that change no word", None, float(same), len(steps), why, digits=0),
    ]


def _correlate(study: Sequence[RatedStep]) -> list[PublishedCell]:
    """The published correlations, and the same over all steps."""
    positive = [each for each in study if each.fall > 0]
    three, five = [_THREE_CLASSES[each.rating] for each in positive], [each.rating for each in positive]
    left_out = f"not in the notebook: its pictures lack the {len(study) - len(positive)} steps whose dp is not above 0"
    flips = 100 * float(np.mean([each.flips for each in study]))
    return [
        _explain(_make_cell("study: rating and dp, steps with dp > 0", PUBLISHED, five, positive)),
        _explain(_make_cell("study: rating in three classes and dp, same steps", PUBLISHED_THREE, three, positive)),
        _make_cell("study: rating and dp, all steps", None, [each.rating for each in study], study, left_out),
        PublishedCell("study: unlearning the step changes the answer, percent", None, flips, len(study), COUNTED_HERE),
    ]


def _make_cell(
    name: str, published: float | None, ratings: Sequence[int], steps: Sequence[RatedStep], why: str = ""
) -> PublishedCell:
    falls = [each.fall for each in steps]
    ours = float(np.corrcoef(ratings, falls)[0, 1]) if len({*ratings}) > 1 and len({*falls}) > 1 else None
    return PublishedCell(name, published, ours, len(steps), why, digits=3)


def _explain(cell: PublishedCell) -> PublishedCell:
    if cell.ours is None:
        why = "too few different ratings or falls for a correlation"
    elif cell.n != N_PUBLISHED:
        why = f"the files hold {cell.n} such steps, the notebook used {N_PUBLISHED}"
    elif cell.is_rounding:
        why = "the published number is rounded" if cell.difference else ""
    else:
        why = "not explained: the files differ from those of the paper"
    return PublishedCell(cell.name, cell.published, cell.ours, cell.n, why, cell.digits)
