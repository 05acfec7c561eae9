"""`decide`: from finished run folders to a decision. No model is loaded.

`judge_subjects` is the one way from scores and estimates to the entries of verdict.json; an audit ends with it too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from faithlens.errors import RunError
from faithlens.stats import grid
from faithlens.stats.selection import EXIT_CODES, compute_fronts, find_most_capable, decide_all_tasks, decide_task
from faithlens.stats.verdict import VerdictName, Criteria, make_subject_entry
from faithlens.stats.verdict import decide_subject as decide_one
from faithlens.store import Run

SubjectTruth = tuple[str, str, str | None]
"""A model, its task, and what is planted in it, if it is an organism."""


@dataclass(frozen=True)
class Decision:
    """What runs decide: `subjects` as in verdict.json, each with its run, and for each task what they come to."""

    criteria: Criteria
    subjects: list[dict[str, Any]]
    tasks: list[dict[str, Any]]

    @property
    def verdict(self) -> VerdictName:
        """Trust where every task has a model to trust, do-not-trust where one has none, else undecided."""
        return decide_all_tasks(task["verdict"] for task in self.tasks)

    @property
    def exit_code(self) -> int:
        """0 to trust, 1 not to, 2 where that is undecided."""
        return EXIT_CODES[self.verdict]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, the verdict first."""
        return {"verdict": self.verdict, "exit_code": self.exit_code, **asdict(self)}


def judge_subjects(
    scores: pd.DataFrame, estimates: pd.DataFrame, subjects: Iterable[SubjectTruth], criteria: Criteria
) -> Iterator[dict[str, Any]]:
    """An entry of verdict.json for each of `subjects`."""
    cells = grid.find_cells(scores)
    for model, task, truth in subjects:
        own, counts = _select_rows(estimates, model, task), grid.count_cells(_select_rows(cells, model, task))
        yield make_subject_entry(model, task, decide_one(model, own, counts, criteria), own, counts, truth)


def decide(runs: Sequence[Run], criteria: Criteria = Criteria()) -> Decision:
    """The verdicts of finished runs under the thresholds asked for now, and for each task the model to use.

    Raises:
        RunError: a run is not finished, or two runs hold the same model on the same task.
    """
    subjects = [entry for run in runs for entry in _judge_again(run, criteria)]
    held: dict[tuple[str, str], str] = {}
    for entry in subjects:
        model, task, run = entry["model"], entry["task"], entry["run"]
        if (model, task) in held:
            found = f"both {held[model, task]} and {run} hold it"
            raise RunError(f"the verdict on {model} and {task}", found, "leave one of them out")
        held[model, task] = run
    tasks = dict.fromkeys(entry["task"] for entry in subjects)
    return Decision(
        criteria,
        subjects,
        [_summarise_task(task, [s for s in subjects if s["task"] == task], criteria) for task in tasks],
    )


def _judge_again(run: Run, asked: Criteria) -> Iterator[dict[str, Any]]:
    """The entries of a run's verdict.json under other thresholds, each with the run's folder."""
    who = [(s["model"], s["task"], s.get("truth")) for s in run.read_json("verdict.json")["subjects"]]
    for entry in judge_subjects(run.read("scores"), run.read("estimates"), who, asked):
        yield {"run": str(run.path), **entry}


def _summarise_task(task: str, subjects: Sequence[dict[str, Any]], asked: Criteria) -> dict[str, Any]:
    """What the subjects of one task come to."""
    best = find_most_capable(subjects)
    return {
        "task": task,
        "verdict": decide_task(subjects),
        "model": best["model"] if best else None,
        "fronts": dict(compute_fronts(subjects, asked.measures)),
    }


def _select_rows(table: pd.DataFrame, model: str, task: str) -> pd.DataFrame:
    return table[(table["model"] == model) & (table["task"] == task)]
