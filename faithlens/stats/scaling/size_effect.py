"""The effect of size on a measure: the change per tenfold of parameters, with the reasons to doubt it.

Lanham et al. 2023 (arXiv:2307.13702, section 3) read a falling measure as falling faithfulness. But where a model is
right without its chain of thought, cutting the chain cannot change the answer. So a measure falls as accuracy rises,
whether or not faithfulness falls. The estimates that address this (`equal_accuracy`, `matched`) are slopes over log10
of the number of parameters, and each is a `SizeEffect`.

The sampling unit is the seed (all sizes trained with it) where there are several seeds, else the task. With one model a
size, whatever is particular to a model looks like an effect of size. What it may amount to shows in how far the sizes
stray from a straight line (`compute_model_half_width`); an interval over tasks is widened by that, and withheld with
two sizes, which always lie on a line.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t

from faithlens.errors import MeasureError
from faithlens.stats.interval import NO_METHOD, to_optional
from faithlens.stats.resample import ROUNDING, TAIL, Array

MEASUREMENT_KEYS = ("size", "task", "seed")
"""What names a measurement, and the curve of a size's checkpoints."""

MIN_SIZES = 3
"""Two sizes make a difference, not a trend."""

MIN_UNITS = 4
"""With fewer the interval is honest only if units vary normally, and so wide that it rarely tells anything."""

ONE_MODEL_A_SIZE = "one model a size: what is particular to a model is known from how sizes stray from a line alone"
TWO_MODELS = "interval withheld: 2 models, one a size, do not show how much models of one size differ"
RANK_TOLERANCE = 1e-8  # of the largest singular value

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
        unit: the unit of the value.
        method: how value and interval were made.
        seed: the seed of the resampling, where there was any.
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


def select_last_checkpoints(measurements: pd.DataFrame) -> pd.DataFrame:
    """The measurements of each model's last checkpoint; all measurements where there is no column checkpoint."""
    if "checkpoint" not in measurements.columns:
        return measurements
    model = [name for name in ("family", "size", "seed") if name in measurements.columns]
    return measurements[measurements["checkpoint"] == measurements.groupby(model)["checkpoint"].transform("max")]


def choose_sampling_unit(measurements: pd.DataFrame, sampling_unit: str | None) -> str:
    """What is resampled: `sampling_unit` if it is given, else seeds where there are several, else tasks."""
    return sampling_unit or ("seed" if measurements["seed"].nunique() > 1 else "task")


def drop_single_sizes(measurements: pd.DataFrame, sampling_unit: str) -> pd.DataFrame:
    """The measurements of units and tasks that were measured at more than one size: others know nothing of a slope."""
    for name in ("task", sampling_unit):
        measurements = measurements[measurements.groupby(name)["size"].transform("nunique") > 1]
    return measurements


def describe_dropped_rows(table: pd.DataFrame, known: pd.DataFrame, row: str, needs: Sequence[str]) -> Iterator[str]:
    """That rows were left out, where some were."""
    if lost := len(table) - len(known):
        yield f"{lost} of {len(table)} {row}s dropped: no {' or '.join(needs)}, or measured at one size only"


def subtract_group_means(columns: Array, groups: NDArray[np.generic], ratio: float = np.inf) -> Array:
    """Columns [row, column] less a part of their group's mean, which makes least squares of them generalised.

    `ratio` is the variance of the groups' intercepts over that of the rest: the larger, the larger the part; all of the
    mean, where it is infinite, is what fixed effects are.
    """
    _, group = np.unique(groups, return_inverse=True)
    n = np.bincount(group)
    means = np.stack([np.bincount(group, column) / n for column in columns.T], axis=1)
    part = np.ones(len(n)) if np.isinf(ratio) else 1 - 1 / np.sqrt(1 + n * ratio)
    return columns - (part[:, None] * means)[group]


def _prepare_columns(y: Array, x: Array, groups: NDArray[np.generic], ratio: float) -> Array:
    """What least squares are fitted to, [row, (y, x ...)]: where groups' intercepts are random, with one of all."""
    mean = [] if np.isinf(ratio) else [np.ones(len(y))]
    return subtract_group_means(np.column_stack([y, x, *mean]), groups, ratio)


def fit_slope_within_groups(y: Array, x: Array, groups: NDArray[np.generic], ratio: float = np.inf) -> float:
    """The first coefficient of y on the columns of x, where groups have intercepts of their own; NaN where singular.

    `ratio` as for `subtract_group_means`: fixed effects by default.
    """
    if not len(y):
        return np.nan
    own = _prepare_columns(y, x, groups, ratio)
    coefficients, _, rank, _ = np.linalg.lstsq(own[:, 1:], own[:, 0], rcond=RANK_TOLERANCE)
    return float(coefficients[0]) if rank == len(coefficients) else np.nan


def compute_model_half_width(
    y: Array, x: Array, groups: NDArray[np.generic], models: NDArray[np.generic], ratio: float = np.inf
) -> float:
    """Half of the 95 % interval of the slope of `fit_slope_within_groups` that is due to differences between models.

    A model shifts all of its values by the same amount. The residuals, averaged by model, show how much models differ
    beyond what the columns of x explain; weighted as the slope weights its values, they give its error (Donald & Lang
    2007, Rev. Econ. Stat. 89, 221-233). NaN where there are not more models than coefficients.

    Args:
        y, x, groups, ratio: as for `fit_slope_within_groups`.
        models: the model of each row.
    """
    if not len(y):
        return np.nan
    own = _prepare_columns(y, x, groups, ratio)
    weights = np.linalg.pinv(own[:, 1:], rcond=RANK_TOLERANCE)
    left = own[:, 0] - own[:, 1:] @ (weights @ own[:, 0])
    _, model = np.unique(models, return_inverse=True)
    freedom = int(model.max()) - 1
    if freedom < 1:
        return np.nan
    strays, shares = np.bincount(model, left) / np.bincount(model), np.bincount(model, weights[0])
    spread = np.sqrt((strays**2).sum() / freedom)
    return float(t.ppf(1 - TAIL, freedom) * spread * np.sqrt((shares**2).sum()))


def allow_for_models(
    slope: tuple[float, float, float],
    method: str,
    measurements: pd.DataFrame,
    y: Array,
    x: Array,
    groups: NDArray[np.generic],
    sampling_unit: str,
    ratio: float = np.inf,
) -> tuple[tuple[float, float, float], str]:
    """An interval over tasks, widened in squares by what differences between models may do, and its method.

    An interval over seeds has these differences in it already and stays as it is. Arguments as above; `measurements`
    are the rows of y, x and `groups`.
    """
    if sampling_unit == "seed":
        return slope, method
    models = measurements.groupby(["size", "seed"]).ngroup().to_numpy()
    half = compute_model_half_width(y, x, groups, models, ratio)
    value, low, high = slope
    widened = (value, value - float(np.hypot(value - low, half)), value + float(np.hypot(high - value, half)))
    return widened, f"{method}, and t over {len(np.unique(models))} models"


def make_size_effect(
    answer: str,
    slope: tuple[float, float, float],
    measurements: pd.DataFrame,
    sampling_unit: str,
    total: int,
    *,
    unit: str,
    method: str,
    seed: int | None = None,
    reasons: Iterable[str] = (),
    doubts: Iterable[str] = (),
) -> SizeEffect:
    """The `SizeEffect` of `slope`, value, low and high, from the measurements that were used, of `total` units."""
    value, low, high = slope
    n, sizes = measurements[sampling_unit].nunique(), measurements["size"].nunique()
    notes = list(reasons)
    if n < 2 and np.isnan(low):
        notes.append(
            f"{n} {sampling_unit}{'s' * (n != 1)} measured at several sizes: an interval over them needs at least 2"
        )
    elif np.isnan(low) and not np.isnan(value):
        few = sizes < MIN_SIZES and measurements["seed"].nunique() < 2
        notes.append(TWO_MODELS if few else "no interval: without one of the units there is no slope")
    if high - low < ROUNDING * max(1.0, abs(value)):
        low = high = np.nan
        notes.append(f"all {sampling_unit}s agree, so that the interval is withheld")
    doubted = (
        [] if np.isnan(value) else [*_list_doubts(sampling_unit, n, sizes, measurements["seed"].nunique()), *doubts]
    )
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
