"""`faithlens validate`: train what is missing, audit every model, and write what each measure is worth into a folder.

DIR/runs/<organism>/      an audit of the organism with every seed; kept when the command is given again
DIR/detection.parquet     a row a contest and measure; seeds.parquet the same by seed, sides.parquet by organism
DIR/steps.parquet         the same for steps; calibration.parquet, cells.parquet: a row a model
DIR/bars.json             what must hold, and whether it does
DIR/figure.html           measures by organisms: where each goes wrong
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from faithlens.organisms import ORGANISMS
from faithlens.report.contest import contest_figure
from faithlens.store import Run, atomic, manifest
from faithlens.validation.bars import Bar, bars
from faithlens.validation.exact import exact_steps
from faithlens.validation.models import labelled, model_name, run_models
from faithlens.validation.tables import by_question, calibrations, cells_right, detections, step_detections, step_values

STEP_TRACES = 24  # exact exchanges of single steps and gradients are made on so many chains a model


@dataclass(frozen=True)
class Validation:
    """What came out, each table as it is written."""

    detection: pd.DataFrame
    steps: pd.DataFrame
    calibration: pd.DataFrame
    cells: pd.DataFrame
    bars: list[Bar]


def validation(
    out: Path, organisms: Sequence[str] = tuple(ORGANISMS), seeds: int = 1, n: int = 100, seed: int = 0
) -> Validation:
    """Validate every measure on `organisms`, each with `seeds` seeds, and write the folder `out`.

    `n` questions a model, twice as many where modes share them; `seed` draws questions and intervals. A folder of the
    same options is continued.

    Raises:
        RunError: the folder holds something else.
        ModelError: there is no such organism.
    """
    config = {"organisms": list(organisms), "seeds": seeds, "n": n}
    run = Run.create(out, manifest(config, seed, "cpu"), resume=(out / "manifest.json").is_file())
    runs = run_models(organisms, seeds, n, out, seed)
    scores = pd.concat([labelled(name, r.read("scores")) for name, r in runs.items()], ignore_index=True)
    walked = [name for name in organisms if ORGANISMS[name].planted.steps]
    exact = [exact_steps(model_name(name, number), STEP_TRACES, seed) for name in walked for number in range(seeds)]
    detection = detections(by_question(scores), seed)
    steps = step_detections(pd.concat([step_values(scores), *exact], ignore_index=True), seed)
    calibration, cells = calibrations(by_question(scores)), cells_right(scores)
    found = Validation(detection, steps, calibration, cells, list(bars(scores, calibration, cells, steps)))
    write(run, found)
    return found


def write(run: Run, found: Validation) -> None:
    """Every table, with what is told by seed and by organism in tables of its own."""
    nested = ["by_seed", "by_organism"]
    contest, walked = ["contest", "measure"], ["organism", "measure"]
    tables = {
        "detection": found.detection.drop(columns=nested),
        "seeds": spread(found.detection, contest, "by_seed", "seed"),
        "sides": spread(found.detection, contest, "by_organism", "organism"),
        "steps": found.steps.drop(columns="by_seed"),
        "step_seeds": spread(found.steps, walked, "by_seed", "seed"),
        "calibration": found.calibration,
        "cells": found.cells,
    }
    for name, table in tables.items():
        with atomic(run.path / f"{name}.parquet") as file:
            table.to_parquet(file)
    run.write_json("bars.json", {"bars": [asdict(bar) for bar in found.bars]})
    run.write_text("figure.html", contest_figure(found.detection).to_html(include_plotlyjs=True))


def spread(table: pd.DataFrame, keys: list[str], nested: str, name: str) -> pd.DataFrame:
    """A row an entry of the dictionaries in the column `nested`."""
    rows = [
        {**{key: row[key] for key in keys}, name: entry, "value": value}
        for row in table.to_dict("records")
        for entry, value in row[nested].items()
    ]
    return pd.DataFrame(rows, columns=[*keys, name, "value"])
