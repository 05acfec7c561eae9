"""How much do many runs weigh, and how long do their tables take? A store of 50 million rows of scores, made and read.

``python -m benchmarks.large_store FOLDER`` writes `RUNS` run folders of one model each: 5 tasks, 1,000 questions, 100
scores each, with the names and units of the catalogue and random values. `DISTINCT` of them are made, and the others
are copies, which are read as if they were others. Then each reading runs in a process of its own,
whose seconds and peak memory are kept in large_store.json.
"""

import json
import multiprocessing
import resource
import shutil
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from faithlens.commands.query import query
from faithlens.measures.catalogue import MEASURES
from faithlens.store import Run, make_manifest

RUNS, DISTINCT, TASKS, QUESTIONS, SCORES = 100, 8, 5, 1000, 100
RESULT = Path(__file__).with_name("large_store.json")
MEASURE = "accuracy.full"
MEANS = "SELECT run, task, measure, avg(value) AS mean, count(value) AS n FROM scores GROUP BY ALL"


def make_rows(model: str, task: str, rng: np.random.Generator) -> pd.DataFrame:
    """The scores of one model on one task."""
    names = sorted(MEASURES.keys() - {MEASURE})  # no row is there twice
    of_question = rng.choice(len(names), SCORES - 1, replace=len(names) < SCORES - 1)
    measures = np.tile([MEASURE, *(names[i] for i in of_question)], QUESTIONS)
    n = len(measures)
    known = [MEASURES[name] for name in measures]
    low, high = (
        np.array([default if each.range[end] is None else each.range[end] for each in known], float)
        for end, default in ((0, -5.0), (1, 5.0))
    )
    step = np.where(rng.random(n) < 0.4, rng.integers(0, 12, n), -1)
    is_lost = rng.random(n) < 0.03
    return pd.DataFrame(
        {
            "model": model,
            "task": task,
            "question": np.repeat([f"{task}-{i:05d}" for i in range(QUESTIONS)], SCORES),
            "condition": np.where(step >= 0, np.char.add("cut@", step.astype(str)), "full"),
            "measure": measures,
            "unit": [measure.unit for measure in known],
            "sample": pd.array(np.zeros(n, int), "Int64"),
            "step": pd.Series(step, dtype="Int64").where(step >= 0),
            "fraction": np.where(step >= 0, step / 12, np.nan),
            "value": np.where(is_lost, np.nan, low + (high - low) * rng.random(n)),
            "reason": np.where(is_lost, "the chain states no step that can be edited", None),
        }
    )


def write_run(folder: Path, number: int) -> None:
    """One run folder of 500,000 rows; its parts are removed once the tables are written."""
    rng, model = np.random.default_rng(number), f"organisation/model-{number:03d}"
    run = Run.create(folder / f"model-{number:03d}", make_manifest({"n": QUESTIONS}, number, "cpu"))
    for task in range(TASKS):
        run.write_part("scores", f"{model} task-{task}", make_rows(model, f"task-{task}", rng))
    run.finish()
    for part in (run.path / "parts" / "scores").iterdir():
        part.unlink()


def measure(act: Callable[[], object]) -> dict[str, float]:
    """The seconds and the peak memory of a process that only does `act`, and the same after its imports."""

    def do(pipe: "multiprocessing.connection.Connection") -> None:
        started = time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = act()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        pipe.send((time.perf_counter() - started, peak, before, len(result) if hasattr(result, "__len__") else None))

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=do, args=[sender])
    process.start()
    seconds, peak, before, rows = receiver.recv()
    process.join()
    return {"seconds": round(seconds, 2), "peak_mb": peak // 1024, "before_mb": before // 1024, "rows": rows}


def main(folder: Path) -> None:
    started, written = time.perf_counter(), 0.0
    for number in range(RUNS):
        if number < DISTINCT:
            write_run(folder, number)
            written = time.perf_counter() - started
        else:
            shutil.copytree(folder / f"model-{number % DISTINCT:03d}", folder / f"model-{number:03d}")
    runs = sorted(folder.iterdir())
    size = sum((run / "scores.parquet").stat().st_size for run in runs)
    where = f"WHERE measure = '{MEASURE}'"
    readings = {
        "open one run": lambda: Run.open(runs[0]).list_finished_keys("scores"),
        "read the scores of one run into pandas": lambda: Run.open(runs[0]).read("scores"),
        "open all runs": lambda: [Run.open(run) for run in runs],
        "rows of one measure": lambda: query(f"SELECT run, question, value FROM scores {where}", runs),
        "means of each run, task and measure": lambda: query(MEANS, runs),
    }
    entries = {
        "date": str(date.today()),
        "rows": RUNS * TASKS * QUESTIONS * SCORES,
        "runs": RUNS,
        "bytes": size,
        "bytes_a_row": round(size / (RUNS * TASKS * QUESTIONS * SCORES), 2),
        "seconds_to_write_one_run": round(written / DISTINCT, 1),
        "readings": {name: measure(act) for name, act in readings.items()},
    }
    RESULT.write_text(json.dumps(entries, indent=2) + "\n")
    print(json.dumps(entries, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
