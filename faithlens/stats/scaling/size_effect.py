"""The effect of size on a measure: the change per tenfold of parameters, with the reasons to doubt it.

Lanham et al. 2023 (arXiv:2307.13702, section 3) read a falling measure as falling faithfulness. But where a model is
right without its chain of thought, cutting the chain cannot change the answer. So a measure falls as accuracy rises,
whether or not faithfulness falls. The estimates that address this (`equal_accuracy`, `matched`) are slopes over log10
of the number of parameters, and each is a `SizeEffect`.

The sampling unit is the seed (all sizes trained with it) where there are several seeds, else the task. An interval over
tasks describes these models alone: whatever is particular to the one model of a size counts as an effect of size, and
the estimate says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from faithlens.errors import MeasureError
from faithlens.stats.interval import NO_METHOD, to_optional
from faithlens.stats.resample import Array

CELL_KEYS = ("size", "task", "seed")
"""What names a cell, and the curve of a size's checkpoints."""

MIN_SIZES = 3
"""Two sizes make a difference, not a trend."""

MIN_UNITS = 4
"""With fewer the interval is honest only if units vary normally, and so wide that it rarely tells anything."""

ONE_MODEL_A_SIZE = "one model a size: what is particular to a model counts as size"
RANK_TOLERANCE = 1e-8  # of the largest singular value
ROUNDING = 1e-12

UNDEFINED_VALUES = (np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class SizeEffect:
    """The change of a measure per tenfold of parameters, with its 95 % interval.

    Attributes:
        answer: which of the answers it is, such as "at equal accuracy".
        value, low, high: the slope and its interval, in `unit`; None where undefined.
        counted: what is independent and was resampled: "task", "seed" or "question".
        n_used, n_dropped: how many of these units are used, and how many are not.
        n_sizes: the number of sizes that are used.
        unit: of the value.
        method: how value and interval were made.
        seed: of the resampling, where there was any.
        reason: what was dropped and why, why there is no value, or why another method than the first had to be used.
        warning: assumptions that the data do not meet.
    """

    answer: str
    value: float | None
    low: float | None
    high: float | None
    counted: str
    n_used: int
    n_dropped: int
    n_sizes: int
    unit: str
    method: str
    seed: int | None
    reason: str | None
    warning: str | None


def select_usable_rows(table: pd.DataFrame, needs: Sequence[str], keys: Sequence[str]) -> pd.DataFrame:
    """The rows that have all of `needs`, with a column `log_size`, and `task` and `seed` where there are none.

    Args:
        table: columns size, those of `needs` and `keys`, and perhaps family, task, seed.
        needs: columns without which a row tells nothing.
        keys: columns that together name a row.

    Raises:
        MeasureError: a column is missing, there are several families, a size is not positive, or rows repeat.
    """
    table = table.assign(**{name: "all" for name in ("task", "seed") if name not in table.columns})
    for name in ("size", *needs, *keys):
        if name not in table.columns:
            problem = f"the effect of size on a measure needs the column {name!r}, but the table has no column {name!r}"
            raise MeasureError(problem, f"Rename a column of the table: {', '.join(map(str, table.columns))}.")
    if "family" in table.columns and table["family"].nunique() > 1:
        problem = f"the table holds {table['family'].nunique()} families, which differ in more than size"
        raise MeasureError(problem, "Pass one family at a time.")
    if not (table["size"] > 0).all():
        problem = "every size must be a positive number of parameters, but some size is not a positive number"
        raise MeasureError(problem, "Give every row the size of its model.")
    if table.duplicated([*keys]).any():
        problem = f"the table has several rows of one {', '.join(keys)}"
        raise MeasureError(problem, "Average these rows, or distinguish them in the column seed.")
    return table.dropna(subset=[*needs]).assign(log_size=lambda rows: np.log10(rows["size"].astype(float)))


def select_last_checkpoints(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of each model's last checkpoint; all cells where there is no column checkpoint."""
    if "checkpoint" not in cells.columns:
        return cells
    model = [name for name in ("family", "size", "seed") if name in cells.columns]
    return cells[cells["checkpoint"] == cells.groupby(model)["checkpoint"].transform("max")]


def choose_sampling_unit(cells: pd.DataFrame, sampling_unit: str | None) -> str:
    """What is resampled: `sampling_unit` if it is given, else seeds where there are several, else tasks."""
    return sampling_unit or ("seed" if cells["seed"].nunique() > 1 else "task")


def drop_single_sizes(cells: pd.DataFrame, sampling_unit: str) -> pd.DataFrame:
    """The cells of units and tasks that were measured at more than one size: others know nothing of a slope."""
    for name in ("task", sampling_unit):
        cells = cells[cells.groupby(name)["size"].transform("nunique") > 1]
    return cells


def describe_dropped_rows(table: pd.DataFrame, known: pd.DataFrame, row: str, needs: Sequence[str]) -> Iterator[str]:
    """That rows were left out, where some were."""
    if lost := len(table) - len(known):
        yield f"{lost} of {len(table)} {row}s dropped: no {' or '.join(needs)}, or measured at one size only"


def subtract_group_means(columns: Array, groups: NDArray, ratio: float = np.inf) -> Array:
    """Columns [row, column] less a part of their group's mean, which makes least squares of them generalised.

    `ratio` is the variance of the groups' intercepts over that of the rest: the larger, the larger the part; all of the
    mean, where it is infinite, is what fixed effects are.
    """
    _, group = np.unique(groups, return_inverse=True)
    n = np.bincount(group)
    means = np.stack([np.bincount(group, column) / n for column in columns.T], axis=1)
    part = np.ones(len(n)) if np.isinf(ratio) else 1 - 1 / np.sqrt(1 + n * ratio)
    return columns - (part[:, None] * means)[group]


def fit_slope_within_groups(y: Array, x: Array, groups: NDArray, ratio: float = np.inf) -> float:
    """The first coefficient of y on the columns of x, where groups have intercepts of their own; NaN where singular.

    `ratio` as for `subtract_group_means`: fixed effects by default.
    """
    if not len(y):
        return np.nan
    mean = [] if np.isinf(ratio) else [np.ones(len(y))]
    own = subtract_group_means(np.column_stack([y, x, *mean]), groups, ratio)
    found, _, rank, _ = np.linalg.lstsq(own[:, 1:], own[:, 0], rcond=RANK_TOLERANCE)
    return float(found[0]) if rank == len(found) else np.nan


def make_size_effect(
    answer: str,
    slope: tuple[float, float, float],
    cells: pd.DataFrame,
    sampling_unit: str,
    total: int,
    *,
    unit: str,
    method: str,
    seed: int | None = None,
    reasons: Iterable[str] = (),
    doubts: Iterable[str] = (),
) -> SizeEffect:
    """The `SizeEffect` of `slope`, value, low and high, from the cells that were used, of `total` units."""
    value, low, high = slope
    n, sizes = cells[sampling_unit].nunique(), cells["size"].nunique()
    notes = list(reasons)
    if n < 2 and np.isnan(low):
        notes.append(
            f"{n} {sampling_unit}{'s' * (n != 1)} measured at several sizes: an interval over them needs at least 2"
        )
    elif np.isnan(low) and not np.isnan(value):
        notes.append("no interval: without one of the units there is no slope")
    if high - low < ROUNDING:
        low = high = np.nan
        notes.append(f"all {sampling_unit}s agree: resampling shows no doubt")
    doubted = [] if np.isnan(value) else [*_list_doubts(sampling_unit, n, sizes, cells["seed"].nunique()), *doubts]
    return SizeEffect(
        answer=answer,
        value=to_optional(value),
        low=to_optional(low),
        high=to_optional(high),
        counted=sampling_unit,
        n_used=n,
        n_dropped=total - n,
        n_sizes=sizes,
        unit=f"{unit} per tenfold of parameters",
        method=NO_METHOD if np.isnan(value) else method,
        seed=seed,
        reason="; ".join(notes) or None,
        warning="; ".join(doubted) or None,
    )


def _list_doubts(counted: str, n: int, sizes: int, seeds: int) -> Iterator[str]:
    if sizes < MIN_SIZES:
        yield f"{sizes} sizes: a difference, not a trend"
    if n < MIN_UNITS:
        yield f"{n} {counted}{'s' * (n != 1)}: too few to see whether they vary normally, as the interval assumes"
    if counted == "seed":
        yield "holds for these tasks only"
    elif seeds < 2:
        yield ONE_MODEL_A_SIZE
