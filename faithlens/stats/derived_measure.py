"""How a derived measure is computed: a number of one model and task, from the means of several measures.

1. Scores are averaged over the chains of a question: a table [question, measure]. Questions that lack a required
   measure are dropped.
2. `make_columns` turns this table into columns whose means are needed, such as products of measures.
3. `statistic` maps the column means to the number.
4. For the interval, the questions and one that was not seen get random weights, and the means and step 3 are repeated.
   The unseen question is any of those that are possible (`DerivedMeasure.is_possible`).

For example, alpha of a hint, 1 - stray / switched, over four questions:

    eligible  stray  switch        columns: switched = eligible * switch, stray
    1         .1     1             1   .1
    1         .0     1             1   .0
    1         .1     0             0   .1
    0         .0     missing: 0    0   .0      means: switched 2/4, stray .2/4; alpha = 1 - .05 / .5 = .9

A derived measure whose parts were not scored gives no estimate. One that the means leave undefined (nothing switched)
gives an estimate without a value, with the reason. Where the interval of a denominator reaches 0, quotients have no
end, and the interval is withheld.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from faithlens.measures.catalogue import get_measure
from faithlens.stats.context import BoolArray
from faithlens.stats.interval import NO_METHOD, WEIGHTED, WITHHELD, Estimate, Interval, to_optional
from faithlens.stats.reader import allow_for_reader, get_reader
from faithlens.stats.resample import Array, compute_statistic_interval

MISSING = Interval(np.nan, np.nan, np.nan, NO_METHOD)


@dataclass(frozen=True)
class DerivedMeasure:
    """How one derived measure is computed.

    Attributes:
        name: its name in the catalogue.
        required: the measures that a question must have; questions that lack one are dropped.
        make_columns: turns values [question, required then partial measures] into the columns that are averaged
            [question, column].
        statistic: computes the number [draw] from column means [draw, column].
        reason: why there is no value where the means leave it undefined.
        partial: measures that only some questions have; the others count as 0.
        informative_column: the column whose non-zero entries mark the questions that inform it; None for all questions.
        uninformative: why the other questions do not count.
        make_remark: a warning about a value, or None.
        is_possible: which values [question, required then partial measures], each 0 or 1, a question can have together.
        held_fixed: required measures that do not vary by chance.
        signed: for a statistic that is an absolute value, the same statistic with its sign.
        denominator: for a quotient whose denominator may reach 0, the denominator and its name.
    """

    name: str
    required: tuple[str, ...]
    make_columns: Callable[[Array], Array]
    statistic: Callable[[Array], Array]
    reason: str
    partial: tuple[str, ...] = ()
    informative_column: int | None = None
    uninformative: str = ""
    make_remark: Callable[[float], str | None] = lambda value: None
    is_possible: Callable[[Array], BoolArray] = lambda values: np.ones(len(values), np.bool_)
    held_fixed: tuple[str, ...] = ()
    signed: Callable[[Array], Array] | None = None
    denominator: tuple[Callable[[Array], Array], str] | None = None


def estimate_derived(
    model: str, task: str, of: DerivedMeasure, wide: pd.DataFrame, scores: pd.DataFrame, seed: int
) -> Estimate:
    """The estimate of one derived measure, from the questions that have all required measures.

    Args:
        model: the model.
        task: the task.
        of: the derived measure.
        wide: the mean score of each question, [question, measure].
        scores: all scores of this model and task, for the number of questions and the reasons of missing ones.
        seed: the seed of the resampling.
    """
    known = wide[[*of.required, *of.partial]].dropna(subset=list(of.required)).fillna(0.0)
    table, n_questions = of.make_columns(known.to_numpy(float)), scores["question"].nunique()
    used = len(table) if of.informative_column is None else int((table[:, of.informative_column] != 0).sum())
    interval = _compute_interval(of, known, table, seed) if used >= 2 else MISSING
    notes = [
        *([] if np.isnan(interval.value) else _list_remarks(of, interval, len(table) - used)),
        *([_explain_missing(of, scores, len(table), used)] if np.isnan(interval.value) else []),
    ]
    return Estimate(
        model=model,
        task=task,
        measure=of.name,
        fraction=None,
        step=None,
        value=to_optional(interval.value),
        low=to_optional(interval.low),
        high=to_optional(interval.high),
        n_used=used,
        n_dropped=n_questions - used,
        unit=get_measure(of.name).unit,
        method=interval.method,
        seed=seed,
        reason="; ".join(notes) or None,
    )


def _compute_interval(of: DerivedMeasure, known: pd.DataFrame, table: Array, seed: int) -> Interval:
    """The number and its interval, from the values [question, measure] and the columns [question, column] of them."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(of.statistic(table.mean(0, keepdims=True))[0])
    if not np.isfinite(value):
        return MISSING
    extremes = of.make_columns(_list_extreme_questions(of, known))
    if of.denominator:
        low, high = compute_statistic_interval(table, of.denominator[0], extremes, seed)
        if not (low > 0 or high < 0):
            why = f"interval withheld: {of.denominator[1]}, by which it is divided, may be 0 ({low:.2f} to {high:.2f})"
            return Interval(value, np.nan, np.nan, WITHHELD, why)
    low, high = compute_statistic_interval(table, of.signed or of.statistic, extremes, seed)
    if of.signed:
        low, high = (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
    if not np.isfinite([low, high]).all():
        return Interval(value, np.nan, np.nan, WITHHELD, "interval withheld: its denominator may be 0")
    interval = Interval(value, min(low, value), max(high, value), WEIGHTED)
    if (errors := get_reader(of.name)) and of.denominator:
        interval = allow_for_reader(interval, errors, float(of.denominator[0](table.mean(0, keepdims=True))[0]))
    return interval.clip(*get_measure(of.name).range)


def _list_extreme_questions(of: DerivedMeasure, known: pd.DataFrame) -> Array:
    """The values that a question not seen may have, [extreme, measure]: every possible choice of 0 and 1."""
    free = [np.full(2, known[name].mean()) if name in of.held_fixed else np.arange(2.0) for name in known.columns]
    corners = np.unique(np.stack(np.meshgrid(*free), -1).reshape(-1, len(free)), axis=0)
    return corners[of.is_possible(corners)]


def _list_remarks(of: DerivedMeasure, interval: Interval, uninformative: int) -> Iterator[str]:
    """What to know about a value: that it is out of the usual, has no interval, or rests on some questions only."""
    if remark := of.make_remark(interval.value):
        yield remark
    if interval.reason:
        yield interval.reason
    if uninformative:
        yield f"{uninformative} question{'s' * (uninformative != 1)} dropped: {of.uninformative}"


def _explain_missing(of: DerivedMeasure, scores: pd.DataFrame, known: int, used: int) -> str:
    """Why there is no value: the means leave it undefined, its measures have no value, or questions are too few."""
    few = f"{used} question{'s' * (used != 1)} to go by"
    reasons = scores.loc[scores["measure"].isin(of.required), "reason"].dropna()
    if used >= 2:
        return of.reason
    if known and not used:
        return f"{of.reason} ({few})"
    return f"{reasons.mode().iloc[0]} ({few})" if len(reasons) else few
