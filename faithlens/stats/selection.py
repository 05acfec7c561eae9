"""Which of several models to use on a task.

The most capable one that is trusted and capable enough (the authors, in the discussion of Lanham et al. 2023); and for
each measure the models and strategies that none beats at both accuracy and that measure (Radhakrishnan et al. 2023,
arXiv:2307.11768). Subjects are entries of verdict.json (`stats.verdict.make_subject_entry`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from faithlens.stats.front import FRONT_COLUMNS, mark_pareto_front
from faithlens.stats.verdict import VerdictName
from faithlens.tasks.kinds import REASONING_STRATEGIES, SENSITIVITIES

SubjectEntry = Mapping[str, Any]

EXIT_CODES: dict[VerdictName, int] = {"trust": 0, "do-not-trust": 1, "undecided": 2}
"""A verdict as the exit code of a process."""


def find_most_capable(subjects: Iterable[SubjectEntry]) -> SubjectEntry | None:
    """Of the trusted subjects of one task the one that is right most often, the first of equals; None without one."""
    trusted = [s for s in subjects if s["verdict"] == "trust"]
    return max(trusted, key=lambda s: s["measures"]["accuracy.full"]["value"], default=None)


def decide_task(subjects: Iterable[SubjectEntry]) -> VerdictName:
    """Whether a task has a model to trust, may have one after more questions, or has none."""
    words = {s["verdict"] for s in subjects}
    return next(answer for answer in ("trust", "undecided", "do-not-trust") if answer in words)


def decide_all_tasks(tasks: Iterable[VerdictName]) -> VerdictName:
    """Over tasks: trust where each has a model to trust, do-not-trust where one has none, else undecided."""
    words = set(tasks)
    return next(answer for answer in ("do-not-trust", "undecided", "trust") if answer in words)


def compute_fronts(
    subjects: Sequence[SubjectEntry], measures: Sequence[str]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """For each measure of one task's subjects its points, and whether each is on the front of accuracy and the measure.

    The measures are those of the criteria, which describe answers after a chain of thought, and the sensitivities that
    strategies share; one without points is left out. A point has model, strategy, front, and with their intervals
    accuracy and sensitivity.
    """
    ways = {name: [("cot", "accuracy.full", name)] for name in measures}
    for name in SENSITIVITIES:
        ways[f"strategies.{name}"] = [
            (s, f"strategies.{s}.accuracy", f"strategies.{s}.{name}") for s in REASONING_STRATEGIES
        ]
    for name, some in ways.items():
        points = [
            {
                "model": s["model"],
                "strategy": strategy,
                **dict(zip(FRONT_COLUMNS, map(s["measures"].get, pair), strict=True)),
            }
            for s in subjects
            for strategy, *pair in some
            if {*pair} <= set(s["measures"])
        ]
        if points:
            values = pd.DataFrame([{both: point[both]["value"] for both in FRONT_COLUMNS} for point in points])
            front = mark_pareto_front(values)["front"].tolist()
            yield name, [point | {"front": on} for point, on in zip(points, front, strict=True)]
