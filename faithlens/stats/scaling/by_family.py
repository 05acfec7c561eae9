"""The effects of size and of difficulty on the measures of a sweep, by family, as plain data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from faithlens.errors import MeasureError
from faithlens.measures.catalogue import get_measure
from faithlens.stats.scaling.difficulty import compute_difficulty_trend
from faithlens.stats.scaling.equal_accuracy import estimate_size_effects
from faithlens.stats.scaling.size_effect import select_last_checkpoints


def answer_by_size(
    measurements: pd.DataFrame, items: pd.DataFrame, measures: Sequence[str], seed: int
) -> Iterator[dict[str, Any]]:
    """For each family and measure the answers to the scaling question, or the reason why there are none.

    Args:
        measurements: the table of a sweep, a row for each model, task and measure.
        items: the values of single questions.
        measures: the names of the measures.
        seed: the seed of the resampling of questions.

    Returns:
        Rows for a table: one for each family, measure and answer.
    """
    for family, measure, own in _split_scored(measurements, measures):
        own_items = items[(items["family"] == family) & (items["measure"] == measure)]
        entry = {"family": family, "measure": measure, "unit": _find_unit(own)}
        sizes = own.loc[own["value"].notna(), "size"].nunique()
        if sizes < 2:
            yield {**entry, "reason": f"{sizes} size{'s' * (sizes != 1)}: there is nothing to compare", "effects": []}
            continue
        try:
            table = estimate_size_effects(
                own, None if own_items.empty else select_last_checkpoints(own_items), unit=entry["unit"], seed=seed
            )
        except MeasureError as error:
            yield {**entry, "reason": error.problem, "effects": []}
        else:
            yield {**entry, "reason": None, "effects": _to_plain_rows(table)}


def answer_by_difficulty(
    measurements: pd.DataFrame, items: pd.DataFrame, measures: Sequence[str], difficulty: Mapping[str, Sequence[str]]
) -> Iterator[dict[str, Any]]:
    """For each order of tasks, model at its last checkpoint, and measure: whether harder tasks are no less faithful.

    Args:
        measurements: the table of a sweep, a row for each model, task and measure.
        items: the values of single questions.
        measures: the names of the measures.
        difficulty: by a name for the order, tasks from easy to hard.

    Returns:
        Rows for a table: one for each order, model and measure.
    """
    for order, tasks in difficulty.items():
        own = items[items["task"].isin(tasks) & items["measure"].isin(measures)]
        for (model, measure), own_items in select_last_checkpoints(own).groupby(["model", "measure"], sort=False):
            entry = get_measure(str(measure))
            bound = entry.bound_high if entry.askable else None
            allowed = measurements[(measurements["model"] == model) & (measurements["measure"] == bound)].set_index(
                "task"
            )["value"]
            trend = compute_difficulty_trend(_build_levels(own_items, tasks, allowed))
            yield {"order": order, "tasks": list(tasks), "model": model, "measure": measure, **asdict(trend)}


def _build_levels(items: pd.DataFrame, tasks: Sequence[str], allowed: "pd.Series[float]") -> pd.DataFrame:
    """The items of one model and measure by level of difficulty, beside the change that accuracies allow there."""
    table = {
        "level": items["task"].map({task: i for i, task in enumerate(tasks)}).astype(float),
        "question": items["task"] + "/" + items["question"],  # two tasks may use the same numbers
        "value": items["value"],
        "bound": items["task"].map(allowed).astype(float),
    }
    return pd.DataFrame(table)


def _split_scored(measurements: pd.DataFrame, measures: Sequence[str]) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """The measurements of each family and measure that was scored anywhere in it."""
    families: list[str] = measurements["family"].unique().tolist()
    for family in families:
        for measure in measures:
            own = measurements[(measurements["family"] == family) & (measurements["measure"] == measure)]
            if own["value"].notna().any():
                yield family, measure, own


def _find_unit(measurements: pd.DataFrame) -> str:
    return str(measurements["unit"].dropna().iloc[0])


def _to_plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]
