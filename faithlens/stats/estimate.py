"""From scores to estimates: rows for each question x condition x measure become numbers with intervals.

Every estimate is a mean over chain-of-thought samples with a 95 % interval over questions.

AOC: Lanham et al. 2023 (2307.13702, section 2.3.1) weight the AOC of each chain length by the share of CoT samples of
that length. That share is N_length / N, so the weighted sum *is* the plain mean over samples of each sample's own AOC,
which is what is estimated here.
"""

from collections.abc import Iterator
from dataclasses import asdict, fields
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from faithlens.measures.catalogue import get_measure
from faithlens.stats.curve import interpolate_scores
from faithlens.stats.derived import compute_derived
from faithlens.stats.interval import Estimate, Interval, compute_mean_intervals, to_optional
from faithlens.stats.reader import JudgedErrors, allow_for_reader, get_reader
from faithlens.stats.resample import Array

ESTIMATE_COLUMNS = [field.name for field in fields(Estimate)]
COLUMN_TYPES = {"fraction": "float64", "step": "Int64", "value": "float64", "low": "float64", "high": "float64"}


def compute_estimates(scores: pd.DataFrame, seed: int, judged: JudgedErrors = MappingProxyType({})) -> pd.DataFrame:
    """One `Estimate` for each row: every (model, task, measure), curve point and step, and every derived measure.

    Args:
        scores: columns model, task, question, measure, fraction, step, value, unit, reason (see `store.SCHEMAS`).
        seed: the seed of the resampling.
        judged: the errors of the readers of this run (`faithlens judge`).

    Returns:
        The table of estimates, with columns as in `run.estimates`.
    """
    rows = [
        asdict(estimate)
        for (model, task), part in scores.groupby(["model", "task"], sort=True)
        for estimates in (
            _estimate_means(str(model), str(task), part, seed, judged),
            compute_derived(str(model), str(task), part, seed),
        )
        for estimate in estimates
    ]
    return pd.DataFrame(rows, columns=ESTIMATE_COLUMNS).astype(COLUMN_TYPES)


def select_scalars(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of scalar measures, in a table of scores or of estimates.

    Raises:
        MeasureError: a measure is not in the catalogue.
    """
    names = [name for name in table["measure"].unique() if get_measure(name).shape == "scalar"]
    return table[table["measure"].isin(names)]


def _estimate_means(model: str, task: str, scores: pd.DataFrame, seed: int, judged: JudgedErrors) -> Iterator[Estimate]:
    """One estimate for each column of the question table: a measure, at a point or step where it has one."""
    frame = interpolate_scores(scores)
    columns = frame.groupby(["measure", "fraction", "step"], dropna=False, sort=True)
    questions = pd.factorize(frame["question"], sort=True)[0]
    sums, counts = _sum_by_question(questions, columns.ngroup().to_numpy(), frame["value"].to_numpy(float))
    parts = [rows for _, rows in columns]
    measures = [get_measure(str(rows["measure"].iloc[0])) for rows in parts]
    is_fixed = [
        measure.is_fixed_at(float(rows["fraction"].iloc[0])) for measure, rows in zip(measures, parts, strict=True)
    ]
    intervals = compute_mean_intervals(sums, counts, seed, [measure.scale for measure in measures], is_fixed)
    for rows, measure, interval in zip(parts, measures, intervals, strict=True):
        errors = get_reader(measure.name, judged)
        known = allow_for_reader(interval, errors) if errors and not np.isnan(interval.low) else interval
        yield _make_estimate(model, task, rows, known.clip(*measure.range), seed)


def _sum_by_question(
    questions: NDArray[np.integer], columns: NDArray[np.integer], values: Array
) -> tuple[Array, Array]:
    """Sums and counts of the values of each question in each column: [question, column] both."""
    known = ~np.isnan(values)
    shape = (questions.max() + 1, columns.max() + 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (questions[known], columns[known]), values[known])
    np.add.at(counts, (questions[known], columns[known]), 1.0)
    return sums, counts


def _make_estimate(model: str, task: str, rows: pd.DataFrame, interval: Interval, seed: int) -> Estimate:
    """The estimate of one column: `rows` are its values, one or more for each question."""
    measure = get_measure(str(rows["measure"].iloc[0]))
    step, used = rows["step"].iloc[0], rows.loc[rows["value"].notna(), "question"].nunique()
    return Estimate(
        model=model,
        task=task,
        measure=measure.name,
        fraction=to_optional(float(rows["fraction"].iloc[0])),
        step=None if pd.isna(step) else int(step),
        value=to_optional(interval.value),
        low=to_optional(interval.low),
        high=to_optional(interval.high),
        n_used=used,
        n_dropped=rows["question"].nunique() - used,
        unit=measure.unit,
        method=interval.method,
        seed=seed,
        reason=_join_reasons(rows, interval.reason),
    )


def _join_reasons(rows: pd.DataFrame, why: str | None) -> str | None:
    """The commonest reason why values are missing, and why there is no interval."""
    reasons = rows["reason"].dropna()
    main = str(reasons.mode().iloc[0]) if len(reasons) else None
    return f"{main} ({why})" if main and why else main or why
