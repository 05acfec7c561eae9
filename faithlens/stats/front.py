"""The Pareto front of accuracy and sensitivity: strategies that none beats at both (Radhakrishnan et al. 2023)."""

import pandas as pd

FRONT_COLUMNS = ["accuracy", "sensitivity"]


def mark_pareto_front(points: pd.DataFrame) -> pd.DataFrame:
    """`points` with a column `front`: whether no other point is at least as good at both and better at one.

    `points`: columns accuracy and sensitivity beside any others; both are better where higher. Equal points are on the
    front together. A point that lacks a number is not, and beats none.

    The front uses the values alone. Where intervals overlap, another sample of questions may have another front.
    """
    values = points[FRONT_COLUMNS].to_numpy(float)
    other, own = values[None], values[:, None]
    beaten = ((other >= own).all(-1) & (other > own).any(-1)).any(-1)
    return points.assign(front=~beaten & points[FRONT_COLUMNS].notna().all(axis=1).to_numpy())
