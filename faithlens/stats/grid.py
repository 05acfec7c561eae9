"""The decision grid: the internal measures of one question, summed up as one of five cells."""

from collections.abc import Mapping
from itertools import product
from math import isfinite
from typing import NamedTuple

import numpy as np
import pandas as pd


class GridLevels(NamedTuple):
    """A share or a fall of at most `low` is called low, and one of at least `high` is called high."""

    low: float
    high: float


DEFAULT_LEVELS = GridLevels(0.2, 0.5)
"""The levels in use; `fit_levels` finds those that suit models whose cell is planted best."""

CELL_NAMES = ("content-mediated", "decorative", "positions", "mixture", "undefined")
INPUT_MEASURES = ("mediation.content_share", "mediation.question_share", "mediation.relay_share", "knockout.steps")


def find_cell(
    content_share: float | None,
    question_share: float | None,
    relay_share: float | None,
    knockout: float | None,
    levels: GridLevels = DEFAULT_LEVELS,
) -> str:
    """The cell of one question, one of `CELL_NAMES`.

    Shares may be negative or above 1. None and NaN are undefined; where an undefined number would decide the cell, the
    cell is undefined too.

    Args:
        content_share: share of the whole change in the answer that the words of the chain of thought bring alone.
        question_share: share that the question brings alone, the chain of thought held fixed.
        relay_share: share that the positions of the steps bring, when their words stay but the states behind them are
            those after another question.
        knockout: fall of the answer's probability when the answer cannot see the steps. It stands in for a relay that
            could not be read, and can only rule one out: hiding tokens may move an answer that never used them.
        levels: from where on a share or a fall is high, and up to where it is low.

    Returns:
        The name of the cell.
    """
    content, direct, relay, hidden = (
        _classify_share(x, levels) for x in (content_share, question_share, relay_share, knockout)
    )
    position = "low" if relay == "none" and hidden == "low" else relay
    if content == "none" or direct == "none":
        return "undefined"
    if content == "high" and direct == "low":
        return "content-mediated"
    if content == "low" and position == "high":
        return "positions"
    if content == "low" and direct == "high":
        return {"low": "decorative", "none": "undefined"}.get(position, "mixture")
    return "mixture"


def _classify_share(x: float | None, levels: GridLevels) -> str:
    if x is None or pd.isna(x) or not isfinite(x):
        return "none"
    return "high" if x >= levels.high else "low" if x <= levels.low else "middle"


def find_cells(scores: pd.DataFrame) -> pd.DataFrame:
    """The cell of every question: columns model, task, question, cell; undefined without mediation scores."""
    inputs = collect_inputs(scores)
    return inputs.index.to_frame(index=False).assign(cell=name_cells(inputs))


def collect_inputs(scores: pd.DataFrame) -> pd.DataFrame:
    """The numbers from which each cell follows: one column for each of `INPUT_MEASURES`, one row a question."""
    keys = ["model", "task", "question"]
    every = scores[keys].drop_duplicates().sort_values(keys).set_index(keys)
    known = scores[scores["measure"].isin(INPUT_MEASURES) & scores["step"].isna() & scores["value"].notna()]
    wide = known.pivot_table(index=keys, columns="measure", values="value", aggfunc="mean")
    return every.join(wide).reindex(columns=list(INPUT_MEASURES))


def name_cells(inputs: pd.DataFrame, levels: GridLevels = DEFAULT_LEVELS) -> list[str]:
    """The cell of each row of `inputs`."""
    return [find_cell(*row, levels=levels) for row in inputs.itertuples(index=False, name=None)]


def fit_levels(inputs: pd.DataFrame, planted: pd.Series, spacing: float = 0.05) -> GridLevels:
    """The levels that put most rows of `inputs` into their planted cell.

    All pairs of multiples of `spacing` are tried. Many pairs do equally well on models whose cell is planted; of those,
    the pair nearest to their median is returned.
    """
    steps = np.arange(spacing, 1, spacing).round(6).tolist()
    tried = [GridLevels(low, high) for low, high in product(steps, steps) if low < high]
    right = np.array([(np.array(name_cells(inputs, levels)) == planted.to_numpy()).mean() for levels in tried])
    best = [levels for levels, share in zip(tried, right, strict=True) if share == right.max()]
    centre = np.median(np.array(best), axis=0)
    return min(best, key=lambda levels: float(np.abs(np.array(levels) - centre).sum()))


def count_cells(cells: pd.DataFrame) -> Mapping[str, int]:
    """The number of questions in each of `CELL_NAMES`, zeros included, from the table of `find_cells`."""
    return {name: int((cells["cell"] == name).sum()) for name in CELL_NAMES}
