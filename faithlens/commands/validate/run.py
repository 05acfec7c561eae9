"""`faithlens validate`: train what is missing, audit every model, and write how well each measure works into a folder.

DIR/models.parquet        one row for each model and mode: what is planted, as certified, and where training failed
DIR/scores.parquet        what was measured. A model that is in both tables is not measured again, so more seeds and
                          organisms can be added to a folder
DIR/runs/<model>/         the audit of the model
DIR/detection.parquet     one row for each contest and measure; by_model.parquet has the same for each model,
                          by_organism.parquet the rate of questions on the right side of one threshold
DIR/ranks.parquet         graded organisms: does a measure rise with the planted reliance?
DIR/steps.parquet         detection of steps; calibration.parquet and cells.parquet have one row for each model
DIR/reliability.parquet   one row for each measure; levels.parquet: thresholds of the decision grid, set on some seeds
                          and tested on others
DIR/verdicts.parquet      one row for each organism: how often the verdict on its models is what is planted
DIR/exposures.parquet     one row for each organism and measure: its value after training on whole chains only, on cut
                          chains too, and on filled chains too
DIR/requirements.json     what must hold, and whether it does
DIR/figure.html           measures by organisms: where each measure is wrong
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from faithlens.commands.validate import tables
from faithlens.commands.validate.exact_steps import measure_exact_steps
from faithlens.commands.validate.measures import MEASURE_SIGNS, STEP_MEASURE_SIGNS
from faithlens.commands.validate.models import audit_organism, label_scores, name_model, read_certified_truth
from faithlens.commands.validate.requirements import Requirement, check_exactness, check_requirements
from faithlens.errors import RunError, check_choice
from faithlens.figures.detection import plot_detection_by_organism
from faithlens.organisms import ORGANISMS, get_organism
from faithlens.organisms.parallel import run_on_cores
from faithlens.organisms.training_cache import find_or_train
from faithlens.stats import grid
from faithlens.store import Run, hold_folder, make_manifest

STEP_TRACES = 24  # the chains of each model on which single steps are exchanged exactly, and gradients taken
KEPT_COLUMNS = ["model", "task", "question", "measure", "step", "fraction", "value"]
TABLES = {"models.parquet": "validated_models", "scores.parquet": "validated_scores"}
"""The table of what is planted in the models, and the table of what was measured on them: their kinds, by file."""

VALIDATED_MEASURES = {*MEASURE_SIGNS, *STEP_MEASURE_SIGNS, *grid.INPUT_MEASURES}


@dataclass(frozen=True)
class Validation:
    """The result of a validation: the tables that are written, and the requirements."""

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
    requirements: list[Requirement]


def run_validation(
    out: Path,
    organisms: Sequence[str] = tuple(ORGANISMS),
    seeds: Sequence[int] = (0,),
    n: int = 100,
    seed: int = 0,
    measures: Sequence[str] = (),
    jobs: int = 1,
) -> Validation:
    """Validate measures on `organisms`, each trained with `seeds` (0: the shipped weights), and write the folder `out`.

    Each model answers `n` questions, or twice as many if its modes share them; `seed` draws questions and intervals.
    All measures are measured; the tables show `measures`, or all of them. A folder of the same `n` and `seed` is
    continued. `jobs` models are trained and measured at once, one on each core.

    Raises:
        ConfigError: there is no such measure.
        RunError: the folder holds something else.
        ModelError: there is no such organism.
    """
    for measure in measures:
        check_choice(measure, [*MEASURE_SIGNS, *STEP_MEASURE_SIGNS], "validated measure")
    with hold_folder(out):
        run = Run.create(out, make_manifest({"n": n}, seed, "cpu"), resume=Run.is_used(out))
        models, scores = gather_models(run, [(name, number) for name in organisms for number in seeds], n, seed, jobs)
        validation = judge_measures(models, scores, seed, measures)
        exact = check_exactness(name for name in organisms if name in ORGANISMS)
        validation = replace(validation, requirements=[*validation.requirements, *exact])
        write_validation(run, validation)
    return validation


def read_validation(folder: Path) -> Validation:
    """Read the folder of `faithlens validate`, and compute its tables again, without the requirements that need models.

    Args:
        folder: the folder that `faithlens validate` wrote.

    Returns:
        The tables of the validation, and the requirements with their numbers.

    Raises:
        RunError: there is no such folder, or its tables could not have been written.
    """
    run = Run.open(folder)
    models, scores = (read_table(run, name) for name in TABLES)
    lost = sorted({*models["model"]} - {*_list_measured(models, scores)})
    if lost or scores.empty:
        problem = f"the tables of the validation in {folder} have no scores of {', '.join(lost) or 'any model'}"
        raise RunError(problem, "Repeat faithlens validate: it measures these models again.")
    return judge_measures(models, scores, seed=run.manifest["seed"])


def read_table(run: Run, name: str) -> pd.DataFrame:
    """One of `TABLES`. Raises RunError if its rows could not have been written."""
    try:
        return run.read_frame(name, TABLES[name])
    except RunError as error:
        fix = "Remove this file and repeat faithlens validate: it is made again from the audits that are in the folder."
        raise RunError(error.problem, fix) from error


def gather_models(
    run: Run, members: Sequence[tuple[str, int]], n: int, seed: int, jobs: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of what is planted in `members` (organism and seed) and of their scores.

    Models that are not in the tables yet are trained and audited now.
    """
    written = run.manifest["files"]
    is_whole = written.keys() >= TABLES.keys()  # without one of the two, both are made again
    models, scores = (read_table(run, name) if is_whole else pd.DataFrame() for name in TABLES)
    here = {*_list_measured(models, scores)} if is_whole else set[str]()
    missing = [(*each, n, run.path / "runs", seed) for each in members if name_model(*each) not in here]
    for truth, new in run_on_cores(validate_model, missing, jobs):
        # scores of a model that is in one table alone are of a run that was stopped between the two
        complete = scores[~scores["model"].isin(truth["model"])] if len(scores) else scores
        others = models[~models["model"].isin(truth["model"])] if len(models) else models
        models = pd.concat([others, truth], ignore_index=True)
        scores = pd.concat([each for each in (complete, new) if len(each)] or [new], ignore_index=True)
        for name, table in zip(reversed(TABLES), (scores, models), strict=True):
            run.write_frame(name, table)
    names = {name_model(*each) for each in members}
    return models[models["model"].isin(names)], scores[scores["model"].isin(names)]


def _list_measured(models: pd.DataFrame, scores: pd.DataFrame) -> Iterator[str]:
    """The models of the tables that have scores, or faults for which they have none."""
    yield from models.loc[(models["faults"] != "") | models["model"].isin(scores["model"]), "model"]


def validate_model(name: str, number: int, n: int, runs: Path, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is planted in one model, its verdict, and its scores; it is trained first if necessary."""
    model = name_model(name, number)
    if model != name:
        find_or_train(get_organism(name), number)
    truth = read_certified_truth(name, number).assign(verdict=None, failed_gates="")
    if truth["faults"].any():
        return truth, pd.DataFrame(columns=KEPT_COLUMNS)
    run = audit_organism(name, number, n, runs / model, seed)
    subject = run.read_json("verdict.json")["subjects"][0]
    truth["verdict"] = subject["verdict"]
    truth["failed_gates"] = ", ".join(gate["gate"] for gate in subject["gates"] if gate["status"] == "failed")
    return truth, collect_scores(name, number, run, seed)


def collect_scores(name: str, number: int, audit: Run, seed: int) -> pd.DataFrame:
    """All scores of one model that are validated: from its audit, and from exact exchanges of its steps."""
    scores = audit.read("scores")
    parts = [scores[scores["measure"].isin(VALIDATED_MEASURES)][KEPT_COLUMNS]]
    if get_organism(name).planted.steps:
        parts.append(measure_exact_steps(name_model(name, number), STEP_TRACES, seed))
    return pd.concat(parts, ignore_index=True)


def judge_measures(
    models: pd.DataFrame, scores: pd.DataFrame, seed: int = 0, measures: Sequence[str] = ()
) -> Validation:
    """How well the `scores` of `models` find what is planted, for all measures or for those named."""
    scores = label_scores(models, scores)
    exposed = tables.compare_exposures(tables.sum_by_question(scores), seed)
    scores = scores[scores["organism"].isin(ORGANISMS)]
    verdicts = tables.count_verdicts(models)
    selected = scores[scores["measure"].isin(measures)] if measures else scores
    values = tables.sum_by_question(selected)
    steps = tables.compute_step_detections(tables.list_step_values(selected), seed)
    calibration, cells = tables.compute_calibrations(tables.sum_by_question(scores)), tables.compute_cells_right(scores)
    return Validation(
        models=models,
        detection=tables.compute_detections(values, seed),
        ranks=tables.compute_rankings(values, seed),
        steps=steps,
        calibration=calibration,
        cells=cells,
        levels=tables.find_levels(scores),
        reliability=tables.compute_reliabilities(values),
        verdicts=verdicts,
        exposures=exposed,
        requirements=list(check_requirements(scores, calibration, cells, steps, verdicts)),
    )


def write_validation(run: Run, result: Validation) -> None:
    """Write every table; the numbers by model and by organism are tables of their own."""
    contest, walked = ["contest", "measure"], ["organism", "measure"]
    written = {
        "detection": result.detection.drop(columns=["by_model", "by_organism"]),
        "by_model": spread_column(result.detection, contest, "by_model", "model"),
        "by_organism": spread_column(result.detection, contest, "by_organism", "organism"),
        "ranks": result.ranks.drop(columns="by_model"),
        "ranks_by_model": spread_column(result.ranks, walked, "by_model", "model"),
        "steps": result.steps.drop(columns="by_model"),
        "steps_by_model": spread_column(result.steps, walked, "by_model", "model"),
        "calibration": result.calibration,
        "cells": result.cells,
        "levels": result.levels,
        "reliability": result.reliability,
        "verdicts": result.verdicts,
        "exposures": result.exposures,
    }
    for name, table in written.items():
        run.write_frame(f"{name}.parquet", table)
    run.write_json("requirements.json", {"requirements": [asdict(each) for each in result.requirements]})
    run.write_text("figure.html", plot_detection_by_organism(result.detection).to_html(include_plotlyjs=True))


def spread_column(table: pd.DataFrame, keys: list[str], nested: str, name: str) -> pd.DataFrame:
    """One row for each entry of the dictionaries in the column `nested`."""
    rows = [
        {**{key: row[key] for key in keys}, name: entry, "value": value}
        for row in table.to_dict("records")
        for entry, value in row[nested].items()
    ]
    return pd.DataFrame(rows, columns=[*keys, name, "value"])
