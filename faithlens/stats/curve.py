"""Curves along the chain of thought, interpolated at common points so that questions can be averaged.

The cuts t/n of a chain depend on its number of steps n. Each curve is therefore interpolated at 0, 0.1, ..., 1 by
straight lines between its own cuts; straight lines, not steps, because the area under them is that of the measures
`aoc_trapezoid_0_1`. Several chains of a question are curves of their own, with cuts of their own; their interpolated
values are averaged. A curve is not extended beyond its first and last cut: the curve of added mistakes ends at
(n - 1)/n, so fewer questions inform the last points.

For example, a chain of two steps with the values 0, 1, 1 at the cuts 0, 1/2 and 1 has, at 0, .1, ..., .5, .6, ..., the
values 0, .2, .4, .6, .8, 1, 1, 1, 1, 1, 1.
"""

import numpy as np
import pandas as pd

CURVE_POINTS = np.arange(11) / 10
OUTSIDE_CURVE = "no step of this chain of thought lies here"


def interpolate_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """`scores` of one model and task with every curve at `CURVE_POINTS`; other rows keep only their step."""
    curve = scores["fraction"].notna()
    rest = scores[~curve].assign(fraction=np.nan)
    frame = pd.concat([rest, interpolate_curves(scores[curve])]) if curve.any() else rest
    columns = ["question", "measure", "fraction", "step", "value", "unit", "reason"]
    return frame[columns].astype({"value": "float64", "fraction": "float64"})


def interpolate_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Each chain's curves at `CURVE_POINTS`: question, measure, fraction, step (missing), value, unit, reason.

    `curves` has the columns of `scores`; its column `sample` numbers the chains of a question, and without that column
    each question has one chain. A point before the first cut of a chain or after its last is missing, with a reason; a
    point that is missing in every chain is left out.
    """
    keys = ["question", *(["sample"] if "sample" in curves else []), "measure"]
    groups = curves.groupby(keys, sort=True, dropna=False)
    frame = pd.concat([_interpolate_curve(rows) for _, rows in groups]).astype({"step": "Int64"})
    reached = frame.groupby(["measure", "fraction"])["value"].transform("count") > 0
    return frame[reached]


def _interpolate_curve(rows: pd.DataFrame) -> pd.DataFrame:
    """One chain's curve of one measure at `CURVE_POINTS`."""
    points = rows.dropna(subset=["value"]).groupby("fraction")["value"].mean()
    value = np.full(len(CURVE_POINTS), np.nan)
    if len(points):
        value = np.interp(CURVE_POINTS, points.index.to_numpy(float), points.to_numpy(float), left=np.nan, right=np.nan)
    why = OUTSIDE_CURVE if len(points) else str(rows["reason"].dropna().iloc[0])
    first = rows.iloc[0]
    same = {"question": first["question"], "measure": first["measure"], "step": pd.NA, "unit": first["unit"]}
    reason = [why if np.isnan(v) else None for v in value]
    return pd.DataFrame({**same, "fraction": CURVE_POINTS, "value": value, "reason": reason})
