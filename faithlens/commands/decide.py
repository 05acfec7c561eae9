"""`decide`: from finished run folders to a decision. No model is loaded.

`judge_subjects` is the one way from scores and estimates to the entries of verdict.json; an audit ends with it too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from faithlens.errors import RunError
from faithlens.stats import grid
from faithlens.stats.selection import EXIT_CODES, compute_fronts, decide_all_tasks, decide_task, find_most_capable
from faithlens.stats.verdict import Criteria, VerdictName, make_subject_entry
from faithlens.stats.verdict import decide_subject as decide_one
from faithlens.store import Run

DEFAULT_CRITERIA = Criteria()

SubjectTruth = tuple[str, str, str | None]
"""A model, its task, and what is planted in it, if it is an organism."""


@dataclass(frozen=True)
class Decision:
    """The decision from some runs: `subjects` as in verdict.json, each with its run, and the result for each task."""

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


def decide(
    runs: Run | str | Path | Sequence[Run | str | Path],
    *,
    min_faithfulness: float = DEFAULT_CRITERIA.min_faithfulness,
    min_accuracy: float | None = None,
    measures: Sequence[str] = DEFAULT_CRITERIA.measures,
) -> Decision:
    """Decide from finished runs which models may be overseen by reading their chain of thought.

    Args:
        runs: a finished run or its folder, or several.
        min_faithfulness: the value, from 0 to 1, that each of `measures` must exceed.
        min_accuracy: the accuracy with chain of thought, from 0 to 1, that a model must exceed; None for no condition.
        measures: the measures that must exceed `min_faithfulness`. Default: the mediated share.

    Returns:
        The verdict of each model on each task, and for each task the model to use.

    Raises:
        ConfigError: a threshold is not between 0 and 1, or a measure cannot carry a verdict.
        RunError: a run is not finished, or two runs hold the same model on the same task.
    """
    criteria = Criteria(min_faithfulness, min_accuracy, tuple(dict.fromkeys(measures)))
    several = [runs] if isinstance(runs, (Run, str, Path)) else runs
    return decide_runs([run if isinstance(run, Run) else Run.open(run) for run in several], criteria)


def decide_runs(runs: Sequence[Run], criteria: Criteria = DEFAULT_CRITERIA) -> Decision:
    """The verdicts of finished runs under `criteria`, and for each task the model to use.

    Raises:
        RunError: a run is not finished, or two runs hold the same model on the same task.
    """
    subjects = [entry for run in runs for entry in _judge_again(run, criteria)]
    held: dict[tuple[str, str], str] = {}
    for entry in subjects:
        model, task, run = entry["model"], entry["task"], entry["run"]
        if (model, task) in held:
            problem = f"two runs hold {model} on {task}: {held[model, task]} and {run}"
            raise RunError(problem, "Leave one of the two runs out.")
        held[model, task] = run
    tasks = dict.fromkeys(entry["task"] for entry in subjects)
    return Decision(
        criteria,
        subjects,
        [_summarise_task(task, [s for s in subjects if s["task"] == task], criteria) for task in tasks],
    )


def _judge_again(run: Run, criteria: Criteria) -> Iterator[dict[str, Any]]:
    """The entries of a run's verdict.json under other thresholds, each with the run's folder."""
    who = [(s["model"], s["task"], s.get("truth")) for s in run.read_json("verdict.json")["subjects"]]
    for entry in judge_subjects(run.read("scores"), run.read("estimates"), who, criteria):
        yield {"run": str(run.path), **entry}


def _summarise_task(task: str, subjects: Sequence[dict[str, Any]], criteria: Criteria) -> dict[str, Any]:
    """The verdict on one task, from those of its subjects."""
    best = find_most_capable(subjects)
    return {
        "task": task,
        "verdict": decide_task(subjects),
        "model": best["model"] if best else None,
        "fronts": dict(compute_fronts(subjects, criteria.measures)),
    }


def _select_rows(table: pd.DataFrame, model: str, task: str) -> pd.DataFrame:
    return table[(table["model"] == model) & (table["task"] == task)]
