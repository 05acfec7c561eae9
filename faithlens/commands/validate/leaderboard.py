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
        n_questions=None,
    )
    return table[BOARD_COLUMNS]


def rank_labelled_runs(pairs: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """The rows of all labels.

    Args:
        pairs: each as ``RUN=FILE``, or ``RUN=NAME`` for a label that came with the chains of the run.
        seed: the seed of the intervals.

    Returns:
        One row for each source and measure.

    Raises:
        ConfigError: a pair has no ``=``.
        RunError: there is no such run, file or label, or no label meets a score.
        TaskError: a file is damaged.
    """
    parts: list[pd.DataFrame] = []
    for pair in pairs:
        folder, sign, place = pair.partition("=")
        if not (folder and sign and place):
            raise ConfigError(
                f"--labels takes RUN=FILE, got {pair!r}", "Name the folder of a run and a file of labels."
            )
        run = Run.open(Path(folder))
        parts.append(rank_measures(f"{Path(folder).name}: {Path(place).name}", run, read_labels(place, run), seed))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=BOARD_COLUMNS)


def rank_own_measures(
    places: Sequence[str], organisms: Sequence[str], seeds: Sequence[int], n: int, seed: int
) -> pd.DataFrame:
    """The rows of a user's own measures in the contests of planted models.

    Args:
        places: the functions as ``package.module:function`` (`validate_measure` says what they take).
        organisms, seeds: the planted models.
        n: the number of questions for each.
        seed: the seed of questions and intervals.

    Returns:
        One row for each contest and measure.

    Raises:
        ConfigError: a function cannot be imported.
    """
    parts = [
        validate_measure(
            cast(CaseMeasure, import_object(place, "measure", ConfigError)), organisms=organisms, seeds=seeds, n=n
        )
        for place in places
    ]
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
