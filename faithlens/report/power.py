"""What `power` says on the terminal: what effects a number of questions can show."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from faithlens.measures.catalogue import get_measure
from faithlens.report.fitting_table import FittingTable
from faithlens.stats.number import format_ends, format_number


def make_expectation_table(power: Mapping[str, Any], aim: Mapping[str, Any]) -> Table:
    """A table of what a run that is planned can detect, from the fields of `stats.power.Power` and of the `Aim`."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, value in (
        ("questions", str(power["n"])),
        ("questions whose answer can change", _format_count(power["n_informative"])),
        ("half-width of the 95 % interval", _format_optional(power["half_width"])),
        (f"smallest effect found with power {aim['power']:g}", _format_optional(power["detectable"])),
        ("that effect over the change that the accuracies allow", _format_optional(power["detectable_share"])),
        (f"questions for a half-width of {aim['half_width']:g}", _format_count(power["needed"])),
        ("how half-widths go with questions", power["method"]),
        *([("", power["reason"])] if power["reason"] else []),
    ):
        table.add_row(name, value)
    return table


def format_power(rows: Sequence[Mapping[str, Any]], aim: Mapping[str, Any]) -> RenderableType:
    """What a finished run can detect, as a table with one of `rows` for each model, task and measure.

    A row has the keys `estimate` and `power`: the fields of `stats.interval.Estimate` and `stats.power.Power`.
    """
    caption = (
        "can change: questions whose answer can, as the accuracies allow; smallest effect: what such a run finds with "
        f"power {aim['power']:g}, in the measure's unit, and over the share that can change; to ask: questions for a "
        f"half-width of {aim['half_width']:g}"
    )
    columns = ("model, task\nmeasure", "value", "n", "can\nchange", "half\nwidth", "smallest\neffect", "to ask")
    cells = list[Sequence[str | Text]]()
    for one in rows:
        estimate, power = one["estimate"], one["power"]
        who = Text(f"{estimate['model']}, {estimate['task']}\n").append(get_measure(estimate["measure"]).label, "bold")
        if power["reason"]:
            who.append(f"\n{power['reason']}", "dim")
        n, can = f"{power['n']} of {power['n'] + estimate['n_dropped']}", _format_count(power["n_informative"])
        smallest = f"{_format_optional(power['detectable'])}\n({_format_optional(power['detectable_share'])})"
        width, needed = _format_optional(power["half_width"]), _format_count(power["needed"])
        cells.append((who, _format_estimate(estimate), n, can, width, smallest, needed))
    return Group(FittingTable(columns, cells), Text(caption, "dim"))


def _format_estimate(estimate: Mapping[str, Any]) -> str:
    low, high = estimate["low"], estimate["high"]
    return _format_optional(estimate["value"]) + ("" if estimate["value"] is None else f"\n({format_ends(low, high)})")


def _format_optional(number: float | None) -> str:
    return "–" if number is None else format_number(number)


def _format_count(number: int | float | None) -> str:
    return "–" if number is None else f"{number:.0f}"
