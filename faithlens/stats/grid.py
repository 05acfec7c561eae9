"""The decision grid: what one question's internals say about its chain of thought, in one word."""

from collections.abc import Mapping
from math import isfinite

import pandas as pd

HIGH, LOW = 0.5, 0.2
"""A share or drop of at least HIGH is high, of at most LOW low. Provisional, until calibrated on null organisms."""

CELLS = ("content-mediated", "decorative", "positions", "mixture", "undefined")
INPUTS = ("mediation.content_share", "mediation.question_share", "mediation.relay_share", "knockout.steps")


def cell(
    content_share: float | None, question_share: float | None, relay_share: float | None, knockout: float | None
) -> str:
    """One of CELLS for one question.

    Args:
        content_share: share of the whole change in the answer that the words of the chain of thought bring alone.
        question_share: share that the question brings alone, the chain of thought held fixed.
        relay_share: share that the positions of the steps bring, when their words stay but the states behind them are
            those after another question.
        knockout: fall of the answer's probability when the answer cannot see the steps. It stands in for a relay that
            could not be read, and can only rule one out: hiding tokens may move an answer that never used them.

    Shares may be negative or pass 1. None and NaN are undefined, and where one would decide, so is the cell.
    """
    content, direct, relay, hidden = (_level(x) for x in (content_share, question_share, relay_share, knockout))
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


def _level(x: float | None) -> str:
    if x is None or pd.isna(x) or not isfinite(x):
        return "none"
    return "high" if x >= HIGH else "low" if x <= LOW else "middle"


def cells(scores: pd.DataFrame) -> pd.DataFrame:
    """The cell of every question: columns model, task, question, cell; undefined without mediation scores."""
    keys = ["model", "task", "question"]
    every = scores[keys].drop_duplicates().sort_values(keys).set_index(keys)
    known = scores[scores["measure"].isin(INPUTS) & scores["step"].isna() & scores["value"].notna()]
    wide = known.pivot_table(index=keys, columns="measure", values="value", aggfunc="mean")
    wide = every.join(wide).reindex(columns=list(INPUTS))
    named = [cell(*row) for row in wide.itertuples(index=False, name=None)]
    return every.assign(cell=named).reset_index()


def count(found: pd.DataFrame) -> Mapping[str, int]:
    """Questions in each of CELLS, zeros included, from rows of `cells`."""
    return {name: int((found["cell"] == name).sum()) for name in CELLS}
