"""What a sweep says on the terminal: last checkpoints alone, and trends over difficulty as they were found."""

import pandas as pd
from rich.console import Console

from faithlens.commands.sweep.tables import MEASUREMENT_COLUMNS
from faithlens.report.sweep import format_sweep
from faithlens.store import Run

SHARE, EARLY = "mediation.content_share", "early_answering.aoc_mean_0_to_n-1"


def trend(measure: str, model: str, **result: object) -> dict:
    levels = [{"level": i, "mean": mean, "n": 20, "bound": None} for i, mean in enumerate((0.5, 0.25, 0.125))]
    known = {"order": "digits", "tasks": ["a", "b", "c"], "measure": measure, "model": model, "levels": levels}
    known |= {"statistic": 1.0, "p_rise": 0.9761, "p_fall": 0.0239, "observed": "falls", "n_used": 60, "n_dropped": 0}
    return known | {"method": "Page's L", "reason": None, "warning": None} | result


def print_sweep(run: Run) -> str:
    console = Console(width=200)
    with console.capture() as words:
        console.print(format_sweep(run))
    return words.get()


def test_last_checkpoints_are_shown_and_trends_beside_each_other(tmp_path):
    run = Run.create(tmp_path / "run", {"config": {"measures": [SHARE]}})
    measurement = dict.fromkeys(MEASUREMENT_COLUMNS) | {
        "family": "f",
        "seed": 0,
        "size": 1234,
        "task": "a",
        "measure": SHARE,
    }
    measurement |= {"low": 0.25, "high": 0.75, "n_used": 20, "without": 0.125, "accuracy": 0.875}
    old, new = measurement | {"model": "m/old", "checkpoint": 0}, measurement | {"model": "m/new", "checkpoint": 1}
    run.write_frame("measurements.parquet", pd.DataFrame([old | {"value": 0.111}, new | {"value": 0.5}]))
    none = {"observed": None, "p_rise": None, "p_fall": None, "reason": "all values are equal"}
    trends = [trend(SHARE, "m/new"), trend(EARLY, "m/new", **none), trend(SHARE, "m/newer", warning="room")]
    run.write_json("sweep.json", {"size": [], "difficulty": trends})
    measurements, *tables = print_sweep(run).split("digits, from easy to hard: ")
    assert " ".join(measurements.split()).startswith("f, last checkpoints; 1 earlier in measurements.parquet")
    assert "m/new" in measurements
    assert "m/old" not in measurements
    assert "0.50" in measurements
    rows = [[line.split("  ") for line in table.splitlines() if "m/new" in line] for table in tables]
    read = [[[word.strip() for word in row if word.strip()] for row in table] for table in rows]
    means = "0.50 → 0.25 → 0.12"
    assert read == [
        [["m/new", means, "60", "–", "–", "all values are equal"]],
        [["m/new", means, "60", "0.976", "0.024"], ["m/newer", means, "60", "0.976", "0.024", "room"]],
    ]
    assert ["Page's L" in table for table in tables] == [False, True]
