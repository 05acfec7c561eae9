"""What `sweep` says on the terminal: each model's numbers, then what size and difficulty do to them."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from faithlens.measures.catalogue import get_measure
from faithlens.report.decide import format_interval
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


def _make_measurements_table(family: str, measurements: pd.DataFrame, measures: Sequence[str]) -> Table:
    """A row a model, at its last checkpoint, and task."""
    last = select_last_checkpoints(measurements)
    if earlier := measurements["model"].nunique() - last["model"].nunique():
        family += f", last checkpoints; {earlier} earlier in measurements.parquet"
    table = Table(title=Text(family, "bold"), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("model\ntask", overflow="fold", vertical="top")
    for name in ("parameters", "direct →\nwith CoT", *(get_measure(measure).label for measure in measures)):
        table.add_column(name, vertical="top")
    for (model, task), own in last.groupby(["model", "task"], sort=False):
        first = own.iloc[0]
        known = {row["measure"]: row for row in own.to_dict("records")}
        numbers = [Text(_format_value(known[measure]) if measure in known else "–") for measure in measures]
        right = f"{_format_optional(first['without'])} → {_format_optional(first['accuracy'])}"
        table.add_row(Text(f"{model}\n{task}"), f"{first['size']:,}", right, *numbers)
    return table


def _format_value(row: Mapping[Hashable, Any]) -> str:
    """A value with its interval and questions; why there is none."""
    if pd.isna(row["value"]):
        return str(row["reason"])
    return f"{format_number(row['value'])}\n{format_ends(row['low'], row['high'])}\nn {row['n_used']}"


def _make_effects_table(title: Text, entry: Mapping[str, Any]) -> Table:
    """The answers to the scaling question for one family and measure, with reasons and warnings."""
    first = entry["effects"][0]
    table = Table(title=title.append(f", {first['unit']}"), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("answer", "slope", "counted", "sizes", "reasons and warnings"):
        table.add_column(name, vertical="top")
    for effect in entry["effects"]:
        slope = "–" if effect["value"] is None else format_interval(effect)
        counted = "–" if effect["counted"] == "none" else f"{effect['n_used']} {effect['counted']}s"
        notes = "; ".join(filter(None, (effect["reason"], effect["warning"])))
        table.add_row(effect["answer"], slope, counted, str(effect["n_sizes"]), Text(notes))
    return table


def _make_trends_table(title: str, trends: Sequence[Mapping[str, Any]]) -> Table:
    """A measure's trends over one order of tasks, a row a model: means by task, and how sure a rise or a fall is."""
    methods = "; ".join(dict.fromkeys(trend["method"] for trend in trends if trend["observed"]))
    table = Table(
        title=Text(title, "bold"), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0),
        caption=methods, caption_justify="left",
    )  # fmt: skip
    table.add_column("model", overflow="fold", vertical="top")
    for name in ("means", "questions", "p of a rise", "p of a fall", "reasons and warnings"):
        table.add_column(name, vertical="top")
    for trend in trends:
        means = " → ".join(format_number(level["mean"]) for level in trend["levels"])
        ps = ("–" if trend[p] is None else f"{trend[p]:.3f}" for p in ("p_rise", "p_fall"))
        notes = "; ".join(filter(None, (trend["reason"], trend["warning"])))
        table.add_row(Text(trend["model"]), means, str(trend["n_used"]), *ps, Text(notes))
    return table


def _format_optional(number: float) -> str:
    return "–" if pd.isna(number) else format_number(number)
