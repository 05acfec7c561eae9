"""Does faithfulness fall with size, or does the measure fall because accuracy rises? The answers side by side.

1. `estimate_raw`: the slope of the measure against size.
2. `estimate_at_equal_accuracy`: the same with accuracy held fixed, as was proposed in comments on Lanham et al.
   (LessWrong post BKvJNzALpxS3LafEs). Bentham et al. 2024 (arXiv:2402.14897) found this confounder in their own runs.
3. `faithlens.stats.scaling.matched` compares checkpoints of equal loss, and items of equal confidence.

`estimate_size_effects` computes all of them. No answer settles the question alone. Holding accuracy fixed is right if
the measure depends on accuracy along a straight line that is the same for all tasks and sizes. A cause of both that is
neither size nor task is not held fixed.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.regression.mixed_linear_model import MixedLM

from faithlens.stats.interval import NO_METHOD
from faithlens.stats.resample import Array, jackknife
from faithlens.stats.scaling.matched import (
    estimate_at_equal_confidence,
    estimate_at_equal_loss,
    estimate_on_wrong_items,
)
from faithlens.stats.scaling.size_effect import (
    MEASUREMENT_KEYS,
    UNDEFINED_VALUES,
    SizeEffect,
    allow_for_models,
    choose_sampling_unit,
    describe_dropped_rows,
    drop_single_sizes,
    fit_slope_within_groups,
    make_size_effect,
    select_last_checkpoints,
    select_usable_rows,
    subtract_group_means,
)

SCALING_ANSWERS = ("raw", "at equal accuracy", "at equal loss", "on wrong items", "at equal confidence")
MIN_VARIANCE_RATIO = 1e-4
"""Intercepts that vary less than this, over the rest, are at the border of what a mixed model can fit."""

MAX_VARIANCE_INFLATION = 10.0
"""The usual bound on a variance inflation factor: above it two predictors can hardly be separated."""

UNKNOWN_ACCURACY_ERROR = "accuracies count as exact (no accuracy_se): part of what they do may be left with size"
FIXED_EFFECTS = "OLS with task fixed effects"
MIXED_MODEL = "mixed model (REML), task as group"


def estimate_raw(measurements: pd.DataFrame, *, unit: str = "fraction", sampling_unit: str | None = None) -> SizeEffect:
    """The slope of the measure against log10 size within tasks, accuracy left free.

    Args:
        measurements: columns size, task, value, and perhaps seed, checkpoint (the last one is used), family.
        unit: the unit of the measure.
        sampling_unit: the column that names what is independent: seeds where there are several, else tasks.

    Raises:
        MeasureError: the table is not one of measurements.
    """
    measurements = select_last_checkpoints(measurements)
    known, over, total = _select_known_measurements(measurements, ("value",), sampling_unit)
    y, x, task = _get_columns(known, "value", "log_size")
    drawn = jackknife(known[over].to_numpy(), lambda rows: fit_slope_within_groups(y[rows], x[rows], task[rows]))
    drawn, method = allow_for_models(drawn, f"{FIXED_EFFECTS}, jackknife over {over}s", known, y, x, task, over)
    return make_size_effect(
        "raw", drawn, known, over, total, unit=unit, method=method,
        reasons=describe_dropped_rows(measurements, known, "measurement", ("value",)),
    )  # fmt: skip


def estimate_at_equal_accuracy(
    measurements: pd.DataFrame, *, unit: str = "fraction", sampling_unit: str | None = None
) -> SizeEffect:
    """The slope of the measure against log10 size at equal accuracy.

    A mixed model, measure on log10 size and accuracy with a random intercept for each task. Its own standard errors
    take the measurements of a task for independent beyond that: where tasks differ in their slopes too, with 3 to 5
    sizes and 4 to 8 tasks, Wald intervals cover the truth 0.85 to 0.89 of the time. So the interval is the jackknife
    over units at the fitted ratio of variances: 0.92 to 0.96. (A bootstrap of tasks covers as well, but with 4 tasks
    its draws often hold one or two, and it is many times as wide.) Where the mixed model does not converge or finds no
    variance between tasks, tasks get fixed effects instead, and `reason` says so.

    A measured accuracy is the true one and an error, which leaves a part of its effect with size. Where
    `accuracy_se` is given, accuracies are shrunk accordingly (regression calibration: Carroll et al. 2006, Measurement
    Error in Nonlinear Models, chapter 4). Errors that accuracy and measure share are not corrected.

    Args:
        measurements: as for `estimate_raw`, with accuracy, and perhaps accuracy_se, its standard error.
        unit, sampling_unit: as for `estimate_raw`.

    Raises:
        MeasureError: the table is not one of measurements.
    """
    answer, measurements = "at equal accuracy", select_last_checkpoints(measurements)
    needs = ("value", "accuracy", *(("accuracy_se",) if "accuracy_se" in measurements.columns else ()))
    known, over, total = _select_known_measurements(measurements, needs, sampling_unit)
    y, x, task = _get_columns(known, "value", "log_size", "accuracy")
    errors = known["accuracy_se"].to_numpy(float) if "accuracy_se" in needs else np.zeros(len(y))
    lost = list(describe_dropped_rows(measurements, known, "measurement", needs))
    reliability, columns = _shrink_accuracies(x, errors, task)
    if np.isnan(fit_slope_within_groups(y, columns, task)):
        why = "accuracy varies with task and size alone" + (", but for its own error" if errors.any() else "")
        return make_size_effect(
            answer, UNDEFINED_VALUES, known, over, total, unit=unit, method=NO_METHOD, reasons=[*lost, why]
        )
    ratio, trouble = _fit_variance_ratio(y, columns, task)
    drawn = jackknife(
        known[over].to_numpy(),
        lambda rows: fit_slope_within_groups(
            y[rows], _shrink_accuracies(x[rows], errors[rows], task[rows])[1], task[rows], ratio
        ),
    )
    model = f"{FIXED_EFFECTS}, cluster-robust (CR3)" if trouble else MIXED_MODEL
    drawn, method = allow_for_models(drawn, f"{model}, jackknife over {over}s", known, y, columns, task, over, ratio)
    return make_size_effect(
        answer, drawn, known, over, total, unit=unit, method=method,
        reasons=[*lost, *([trouble] if trouble else [])], doubts=_list_accuracy_doubts(known, x, task, reliability),
    )  # fmt: skip


def estimate_size_effects(
    measurements: pd.DataFrame, items: pd.DataFrame | None = None, *, unit: str = "fraction", seed: int = 0
) -> pd.DataFrame:
    """All answers to the scaling question, a `SizeEffect` a row; where the tables allow none, it says what is missing.

    Args:
        measurements: one row for each size x task [x seed x checkpoint]: size, task, value; accuracy and loss where
            they were measured.
        items: one row for each size x question [x task x seed]: size, question, value; and correct, confidence, both
            without the chain of thought, where they were measured.
        unit: the unit of the measure.
        seed: the seed of the resampling of questions.

    Returns:
        A table with a `SizeEffect` in each row.

    Raises:
        MeasureError: a table is not what it should be.
    """
    answers = (
        (estimate_raw, measurements, "value", "the measure"),
        (estimate_at_equal_accuracy, measurements, "accuracy", "accuracy"),
        (estimate_at_equal_loss, measurements, "loss", "held-out loss"),
        (
            partial(estimate_on_wrong_items, seed=seed),
            items,
            "correct",
            "answers to items without the chain of thought",
        ),
        (
            partial(estimate_at_equal_confidence, seed=seed),
            items,
            "confidence",
            "confidence without the chain of thought",
        ),
    )
    effects = [
        answer(table, unit=unit)
        if table is not None and column in table
        else _make_unmeasured_effect(name, unit, words)
        for name, (answer, table, column, words) in zip(SCALING_ANSWERS, answers, strict=True)
    ]
    return pd.DataFrame([asdict(each) for each in effects], columns=[field.name for field in fields(SizeEffect)])


def _make_unmeasured_effect(answer: str, unit: str, words: str) -> SizeEffect:
    unit = f"{unit} per tenfold of parameters"
    return SizeEffect(
        answer, None, None, None, NO_METHOD, 0, 0, 0, unit, NO_METHOD, None, f"{words} was not measured", None
    )


def _select_known_measurements(
    measurements: pd.DataFrame, needs: Sequence[str], sampling_unit: str | None
) -> tuple[pd.DataFrame, str, int]:
    """The measurements that inform a slope, the column of independent units, and the number of units."""
    known = select_usable_rows(measurements, (*needs, *([sampling_unit] if sampling_unit else [])), MEASUREMENT_KEYS)
    over = choose_sampling_unit(known, sampling_unit)
    return drop_single_sizes(known, over), over, measurements[over].nunique() if over in measurements.columns else 1


def _get_columns(measurements: pd.DataFrame, value: str, *columns: str) -> tuple[Array, Array, NDArray[np.generic]]:
    """Values [measurement], predictors [measurement, column], and the tasks [measurement]."""
    return (
        measurements[value].to_numpy(float),
        measurements[[*columns]].to_numpy(float),
        measurements["task"].to_numpy(),
    )


def _shrink_accuracies(x: Array, errors: Array, task: NDArray[np.generic]) -> tuple[float, Array]:
    """Log sizes and accuracies, [measurement, 2], with accuracies shrunk to what their standard errors leave of them.

    Also the share that is left of what accuracy varies by beyond size and task.
    """
    if not errors.any():
        return 1.0, x
    own = subtract_group_means(x, task)
    left = own[:, 1] - own[:, 0] * fit_slope_within_groups(x[:, 1], x[:, :1], task)
    freedom = len(x) - len(np.unique(task)) - 1
    spread = (left**2).sum() / freedom if freedom > 0 else 0.0
    reliability = max(0.0, 1 - float((errors**2).mean()) / spread) if spread > 0 else 0.0
    return reliability, x - np.outer((1 - reliability) * left, (0.0, 1.0))


def _fit_variance_ratio(y: Array, x: Array, task: NDArray[np.generic]) -> tuple[float, str | None]:
    """The variance of tasks' intercepts over that of the rest; infinite, and why, where no mixed model can say."""
    if len(np.unique(task)) < 2:
        return np.inf, "no mixed model: a single task"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they warn of is asked for below
        try:  # one variance is sought: methods that follow its gradient fail where it nears 0, in one table of seven
            fit = MixedLM(y, np.column_stack([np.ones(len(y)), x - x.mean(0)]), task).fit(reml=True, method="powell")
        except np.linalg.LinAlgError:
            return np.inf, "no mixed model: it is singular"
    if not fit.converged:
        return np.inf, "no mixed model: it did not converge"
    ratio = float(fit.cov_re[0, 0] / fit.scale)
    return (
        (ratio, None)
        if ratio > MIN_VARIANCE_RATIO
        else (np.inf, "no mixed model: it is singular, as tasks do not vary")
    )


def _list_accuracy_doubts(
    measurements: pd.DataFrame, x: Array, task: NDArray[np.generic], reliability: float
) -> Iterator[str]:
    reached = measurements.groupby("size")["accuracy"].agg(["min", "max"])
    if reached["min"].max() > reached["max"].min():
        yield "no accuracy is reached at every size: equal accuracy extrapolates a straight line"
    size, accuracy = subtract_group_means(x, task).T
    inflation = 1 / (1 - np.corrcoef(size, accuracy)[0, 1] ** 2)
    if inflation > MAX_VARIANCE_INFLATION:
        yield f"accuracy nearly follows from size and task (variance inflation {inflation:.0f})"
    if "accuracy_se" not in measurements.columns:
        yield UNKNOWN_ACCURACY_ERROR
    if reliability < 0.5:
        yield f"{1 - reliability:.0%} of what accuracy varies by beyond size and task is its own error"
