"""`faithlens validate`: train what is missing, audit every model, and write what each measure is worth into a folder.

DIR/models.parquet        a row a model and mode: what is planted, as certified, and in what training failed
DIR/scores.parquet        what was measured; a model that is in both is not asked again, so a folder grows by seeds
DIR/runs/<model>/         its audit
DIR/detection.parquet     a row a contest and measure; by_model.parquet the same by model, by_organism.parquet
                          the side of one threshold
DIR/ranks.parquet         graded organisms: does more of a measure go with more reliance?
DIR/steps.parquet         detection of steps; calibration.parquet, cells.parquet: a row a model
DIR/reliability.parquet   a row a measure; levels.parquet: the grid's levels, calibrated and tried on other seeds
DIR/verdicts.parquet      a row an organism: how often what is decided of its models is what is planted
DIR/exposures.parquet     a row an organism and measure: what it gives where training showed whole chains alone, or also
                          cut ones, or also filled ones
DIR/bars.json             what must hold, and whether it does
DIR/figure.html           measures by organisms: where each goes wrong
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from faithlens.errors import ConfigError, nearest
from faithlens.organisms import ORGANISMS, organism
from faithlens.organisms.trained import trained
from faithlens.report.contest import contest_figure
from faithlens.runtime.cores import on_cores
from faithlens.stats import grid
from faithlens.store import Run, atomic, manifest
from faithlens.validation import tables
from faithlens.validation.bars import Bar, bars, exactness
from faithlens.validation.exact import exact_steps
from faithlens.validation.measures import RANKED, STEPPED
from faithlens.validation.models import audit, certified, labelled, model_name

STEP_TRACES = 24  # exact exchanges of single steps and gradients are made on so many chains a model
KEPT = ["model", "task", "question", "measure", "step", "fraction", "value"]
MEASURES = {*RANKED, *STEPPED, *grid.INPUTS}


@dataclass(frozen=True)
class Validation:
    """What came out, each table as it is written."""

    models: pd.DataFrame
    detection: pd.DataFrame
    ranks: pd.DataFrame
    steps: pd.DataFrame
    calibration: pd.DataFrame
    cells: pd.DataFrame
    levels: pd.DataFrame
    reliability: pd.DataFrame
    verdicts: pd.DataFrame
    exposures: pd.DataFrame
    bars: list[Bar]


def validation(
    out: Path,
    organisms: Sequence[str] = tuple(ORGANISMS),
    seeds: Sequence[int] = (0,),
    n: int = 100,
    seed: int = 0,
    measures: Sequence[str] = (),
    jobs: int = 1,
) -> Validation:
    """Validate measures on `organisms`, each trained with `seeds` (0: the shipped weights), and write the folder `out`.

    `n` questions a model, twice as many where modes share them; `seed` draws questions and intervals. Of `measures`,
    all unless named, the tables speak; all are measured. A folder of the same `n` and `seed` is continued. `jobs`
    models are trained and measured at once, one on each core.

    Raises:
        ConfigError: there is no such measure.
        RunError: the folder holds something else.
        ModelError: there is no such organism.
    """
    for measure in set(measures) - {*RANKED, *STEPPED}:
        raise ConfigError(f"the measure {measure!r}", "it is not validated", nearest(measure, {*RANKED, *STEPPED}))
    run = Run.create(out, manifest({"n": n}, seed, "cpu"), resume=(out / "manifest.json").is_file())
    models, scores = gathered(run, [(name, number) for name in organisms for number in seeds], n, seed, jobs)
    found = judged(models, scores, seed, measures)
    found = replace(found, bars=[*found.bars, *exactness(name for name in organisms if name in ORGANISMS)])
    write(run, found)
    return found


def read(folder: Path) -> Validation:
    """The folder of `faithlens validate`, judged anew from what was measured; without the bars that need the models.

    Raises:
        RunError: there is no such folder.
    """
    run = Run.open(folder)
    return judged(*map(pd.read_parquet, paths(run)), seed=run.manifest["seed"])


def gathered(
    run: Run, members: Sequence[tuple[str, int]], n: int, seed: int, jobs: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is planted in the organisms `wanted`, by name and seed, and their scores; what is missing is made now."""
    models, scores = (pd.read_parquet(f) if f.is_file() else pd.DataFrame() for f in paths(run))
    here = set(models["model"]) if len(models) else set()
    missing = [(*each, n, run.path / "runs", seed) for each in members if model_name(*each) not in here]
    for truth, found in on_cores(one_model, missing, jobs):
        # scores of a model that is in one table alone are of a run that was stopped between the two
        kept = scores[~scores["model"].isin(truth["model"])] if len(scores) else scores
        models = pd.concat([models, truth], ignore_index=True)
        scores = pd.concat([each for each in (kept, found) if len(each)] or [found], ignore_index=True)
        for file, table in zip(reversed(paths(run)), (scores, models), strict=True):
            with atomic(file) as to:
                table.to_parquet(to)
    names = {model_name(*each) for each in members}
    return models[models["model"].isin(names)], scores[scores["model"].isin(names)]


def one_model(name: str, number: int, n: int, runs: Path, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is planted in one model, trained first where it must be, and what is decided of it; and what is measured."""
    model = model_name(name, number)
    if model != name:
        trained(organism(name), number)
    truth = certified(name, number).assign(verdict=None)
    if truth["faults"].any():
        return truth, pd.DataFrame(columns=KEPT)
    run = audit(name, number, n, runs / model, seed)
    truth["verdict"] = run.read_json("verdict.json")["subjects"][0]["verdict"]
    return truth, measured(name, number, run, seed)


def paths(run: Run) -> tuple[Path, Path]:
    """Where what is planted and what was measured are kept."""
    return run.path / "models.parquet", run.path / "scores.parquet"


def measured(name: str, number: int, audit: Run, seed: int) -> pd.DataFrame:
    """Everything that is validated of one model: from its audit, and exact exchanges of its steps."""
    scores = audit.read("scores")
    parts = [scores[scores["measure"].isin(MEASURES)][KEPT]]
    if organism(name).planted.steps:
        parts.append(exact_steps(model_name(name, number), STEP_TRACES, seed))
    return pd.concat(parts, ignore_index=True)


def judged(models: pd.DataFrame, scores: pd.DataFrame, seed: int = 0, measures: Sequence[str] = ()) -> Validation:
    """What the `scores` of `models` are worth, of all measures or of those named."""
    scores = labelled(models, scores)
    exposed = tables.exposures(tables.by_question(scores), seed)
    scores = scores[scores["organism"].isin(ORGANISMS)]
    verdicts = tables.verdicts(models)
    asked = scores[scores["measure"].isin(measures)] if measures else scores
    values = tables.by_question(asked)
    steps = tables.step_detections(tables.step_values(asked), seed)
    calibration, cells = tables.calibrations(tables.by_question(scores)), tables.cells_right(scores)
    return Validation(
        models=models,
        detection=tables.detections(values, seed),
        ranks=tables.rankings(values, seed),
        steps=steps,
        calibration=calibration,
        cells=cells,
        levels=tables.levels_found(scores),
        reliability=tables.reliabilities(values),
        verdicts=verdicts,
        exposures=exposed,
        bars=list(bars(scores, calibration, cells, steps, verdicts)),
    )


def write(run: Run, result: Validation) -> None:
    """Every table, with what is told by model and by organism in tables of its own."""
    contest, walked = ["contest", "measure"], ["organism", "measure"]
    written = {
        "detection": result.detection.drop(columns=["by_model", "by_organism"]),
        "by_model": spread(result.detection, contest, "by_model", "model"),
        "by_organism": spread(result.detection, contest, "by_organism", "organism"),
        "ranks": result.ranks.drop(columns="by_model"),
        "ranks_by_model": spread(result.ranks, walked, "by_model", "model"),
        "steps": result.steps.drop(columns="by_model"),
        "steps_by_model": spread(result.steps, walked, "by_model", "model"),
        "calibration": result.calibration,
        "cells": result.cells,
        "levels": result.levels,
        "reliability": result.reliability,
        "verdicts": result.verdicts,
        "exposures": result.exposures,
    }
    for name, table in written.items():
        with atomic(run.path / f"{name}.parquet") as file:
            table.to_parquet(file)
    run.write_json("bars.json", {"bars": [asdict(bar) for bar in result.bars]})
    run.write_text("figure.html", contest_figure(result.detection).to_html(include_plotlyjs=True))


def spread(table: pd.DataFrame, keys: list[str], nested: str, name: str) -> pd.DataFrame:
    """A row an entry of the dictionaries in the column `nested`."""
    rows = [
        {**{key: row[key] for key in keys}, name: entry, "value": value}
        for row in table.to_dict("records")
        for entry, value in row[nested].items()
    ]
    return pd.DataFrame(rows, columns=[*keys, name, "value"])
