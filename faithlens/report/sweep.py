"""What `sweep` says on the terminal: each model's numbers, then what size and difficulty do to them."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from faithlens.measures.catalogue import get_measure
from faithlens.report.decide import format_interval
from faithlens.report.fitting_table import FittingTable
from faithlens.stats.number import format_ends, format_number
from faithlens.stats.scaling.size_effect import select_last_checkpoints
from faithlens.store import Run


def format_sweep(run: Run) -> RenderableType:
    """A finished sweep: measurements by family, answers to the scaling question, and trends over difficulty."""
    answers, table = run.read_json("sweep.json"), run.read_frame("measurements.parquet")
    return Group(*_list_parts(table, answers, run.manifest["config"]["measures"]))


def _list_parts(
    measurements: pd.DataFrame, answers: Mapping[str, Any], measures: Sequence[str]
) -> Iterator[RenderableType]:
    scored = [measure for measure in measures if (measurements["measure"] == measure).any()]
    if unscored := [get_measure(measure).label for measure in measures if measure not in scored]:
        yield Text(f"Not scored by these assays: {', '.join(unscored)}.", "dim")
    for family, own in measurements.groupby("family", sort=False):
        yield _make_measurements_table(str(family), own, scored)
    for entry in answers["size"]:
        title = Text.assemble((f"{entry['family']}: {get_measure(entry['measure']).label}", "bold"))
        yield title.append(f", {entry['reason']}\n") if entry["reason"] else _make_effects_table(title, entry)
    by = itemgetter("order", "measure")
    for (order, measure), trends in groupby(sorted(answers["difficulty"], key=by), by):
        yield _make_trends_table(f"{order}, from easy to hard: {get_measure(measure).label}", list(trends))


def _make_measurements_table(family: str, measurements: pd.DataFrame, measures: Sequence[str]) -> FittingTable:
    """A row a model, at its last checkpoint, and task."""
    last = select_last_checkpoints(measurements)
    if earlier := measurements["model"].nunique() - last["model"].nunique():
        family += f", last checkpoints; {earlier} earlier in measurements.parquet"
    rows = list[tuple[str, ...]]()
    for (model, task), own in last.groupby(["model", "task"], sort=False):
        first = own.iloc[0]
        known = {row["measure"]: row for row in own.to_dict("records")}
        numbers = [_format_value(known[measure]) if measure in known else "–" for measure in measures]
        right = f"{_format_optional(first['without'])} → {_format_optional(first['accuracy'])}"
        rows.append((f"{model}\n{task}", f"{first['size']:,}", right, *numbers))
    labels = (get_measure(measure).label for measure in measures)
    return FittingTable(("model\ntask", "parameters", "direct →\nwith CoT", *labels), rows, family)


def _format_value(row: Mapping[Hashable, Any]) -> str:
    """A value with its interval and questions; why there is none."""
    if pd.isna(row["value"]):
        return str(row["reason"])
    return f"{format_number(row['value'])}\n({format_ends(row['low'], row['high'])})\nn {row['n_used']}"


def _make_effects_table(title: Text, entry: Mapping[str, Any]) -> FittingTable:
    """The answers to the scaling question for one family and measure, with reasons and warnings."""
    first = entry["effects"][0]
    rows = list[tuple[str, ...]]()
    for effect in entry["effects"]:
        slope = "–" if effect["value"] is None else format_interval(effect)
        counted = "–" if effect["counted"] == "none" else f"{effect['n_used']} {effect['counted']}s"
        notes = "; ".join(filter(None, (effect["reason"], effect["warning"])))
        rows.append((effect["answer"], slope, counted, str(effect["n_sizes"]), notes))
    columns = ("answer", "slope", "counted", "sizes", "reasons and warnings")
    return FittingTable(columns, rows, title.append(f", {first['unit']}"))


def _make_trends_table(title: str, trends: Sequence[Mapping[str, Any]]) -> RenderableType:
    """A measure's trends over one order of tasks, a row a model: means by task, and how sure a rise or a fall is."""
    methods = "; ".join(dict.fromkeys(trend["method"] for trend in trends if trend["observed"]))
    rows = list[tuple[str, ...]]()
    for trend in trends:
        means = " → ".join(format_number(level["mean"]) for level in trend["levels"])
        ps = ("–" if trend[p] is None else f"{trend[p]:.3f}" for p in ("p_rise", "p_fall"))
        notes = "; ".join(filter(None, (trend["reason"], trend["warning"])))
        rows.append((trend["model"], means, str(trend["n_used"]), *ps, notes))
    columns = ("model", "means", "questions", "p of a rise", "p of a fall", "reasons and warnings")
    table = FittingTable(columns, rows, title)
    return Group(table, Text(methods, "dim")) if methods else table


def _format_optional(number: float) -> str:
    return "–" if pd.isna(number) else format_number(number)
