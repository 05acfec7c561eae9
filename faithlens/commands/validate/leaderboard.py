"""The leaderboard of measures: how well each finds what is known of models, chains or steps, source by source.

Sources are the contests of planted models (`tables.list_contests`), and runs whose chains or steps have labels
(`labels`). Measures of a user's own take part in both: in the contests as functions of a model and its cases
(`user_measure`), with labels as scores of the run.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd

from faithlens.commands.validate.labels import BOARD_COLUMNS, rank_measures, read_labels
from faithlens.commands.validate.measures import MEASURE_SIGNS
from faithlens.commands.validate.user_measure import CaseMeasure, validate_measure
from faithlens.errors import ConfigError
from faithlens.store import Run
from faithlens.tasks.plugins import import_object


def tabulate_contests(detection: pd.DataFrame) -> pd.DataFrame:
    """The contests of planted models as rows of the leaderboard.

    Args:
        detection: the table of contests and measures of a validation.

    Returns:
        One row for each contest and measure. The units of these intervals are models, not questions.
    """
    table = detection.assign(
        source=["planted: " + str(contest) for contest in detection["contest"]],
        direction=[MEASURE_SIGNS.get(str(measure), 1) for measure in detection["measure"]],
        n_labels=None,
        n_questions=None,
    )
    return table[BOARD_COLUMNS]


def rank_labelled_runs(pairs: Sequence[str], seed: int = 0, measures: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of all labels.

    Args:
        pairs: each as ``RUN=FILE``, or ``RUN=NAME`` for a label that came with the chains of the run.
        seed: the seed of the intervals.
        measures: the names of the measures to rank; all by default.

    Returns:
        One row for each source and measure. A source is named after its run and file, without their folders where that
        tells them apart.

    Raises:
        ConfigError: a pair has no ``=``.
        MeasureError: a run has no such measure.
        RunError: there is no such run, file or label, or no label meets a score.
        TaskError: a file is damaged.
    """
    places: list[tuple[Path, str]] = []
    for pair in dict.fromkeys(pairs):
        folder, sign, place = pair.partition("=")
        if not (folder and sign and place):
            raise ConfigError(
                f"--labels takes RUN=FILE, got {pair!r}", "Name the folder of a run and a file of labels."
            )
        places.append((Path(folder), place))
    short = [f"{folder.resolve().name}: {Path(place).name}" for folder, place in places]
    parts: list[pd.DataFrame] = []
    for name, (folder, place) in zip(short, places, strict=True):
        run, source = Run.open(folder), name if short.count(name) == 1 else f"{folder}: {place}"
        parts.append(rank_measures(source, run, read_labels(place, run), seed, measures))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=BOARD_COLUMNS)


def import_measures(places: Sequence[str]) -> list[CaseMeasure]:
    """A user's own measures.

    Args:
        places: the functions as ``package.module:function`` (`validate_measure` says what they take).

    Raises:
        ConfigError: a function cannot be imported, or is none.
    """
    functions = [import_object(place, "measure", ConfigError) for place in places]
    for place, function in zip(places, functions, strict=True):
        if not callable(function):
            problem = f"the measure {place!r} is no function, but of the type {type(function).__name__}"
            raise ConfigError(problem, "Name a function that takes a model and cases, as fl.validate_measure does.")
    return cast(list[CaseMeasure], functions)


def rank_own_measures(
    measures: Sequence[CaseMeasure], organisms: Sequence[str], seeds: Sequence[int], n: int, seed: int
) -> pd.DataFrame:
    """The rows of a user's own measures in the contests of planted models.

    Args:
        measures: the functions, as `import_measures` gives them.
        organisms, seeds: the planted models.
        n: the number of questions for each.
        seed: the seed of questions and intervals.

    Returns:
        One row for each contest and measure.
    """
    parts = [validate_measure(measure, organisms=organisms, seeds=seeds, n=n, seed=seed) for measure in measures]
    return tabulate_contests(pd.concat(parts, ignore_index=True)) if parts else pd.DataFrame(columns=BOARD_COLUMNS)


def order_board(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All rows, by source as they came, the best measure first; those without a number last."""
    board = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)
    sources = {source: place for place, source in enumerate(dict.fromkeys(board["source"]))}
    place = board["source"].map(sources)
    ordered = board.assign(place=place).sort_values(["place", "auroc"], ascending=[True, False], na_position="last")
    return ordered.drop(columns="place").reset_index(drop=True)


def list_rows(board: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain data for JSON; what is missing is None."""
    return json.loads(board.to_json(orient="records"))
