"""What `power` says on the terminal: what effects a number of questions can show."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from faithlens.measures.catalogue import get_measure
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


def make_power_table(rows: Sequence[Mapping[str, Any]], aim: Mapping[str, Any]) -> Table:
    """A table of what a finished run can detect, from one of `rows` for each model, task and measure.

    A row has the keys `estimate` and `power`: the fields of `stats.interval.Estimate` and `stats.power.Power`.
    """
    caption = (
        "can change: questions whose answer can, as the accuracies allow; detectable: the smallest effect that such a "
        f"run finds with power {aim['power']:g}, in the measure's unit, and over the share that can change; to ask: "
        f"questions for a half-width of {aim['half_width']:g}"
    )
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    table.add_column("model, task\nmeasure", vertical="top", overflow="fold", min_width=16)
    for name in ("value", "n", "can\nchange", "half-\nwidth", "detect-\nable", "to ask"):
        table.add_column(name, no_wrap=True, vertical="top")
    for one in rows:
        estimate, power = one["estimate"], one["power"]
        who = Text(f"{estimate['model']}, {estimate['task']}\n").append(get_measure(estimate["measure"]).label, "bold")
        if power["reason"]:
            who.append(f"\n{power['reason']}", "dim")
        n, can = f"{power['n']} of {power['n'] + estimate['n_dropped']}", _format_count(power["n_informative"])
        smallest = f"{_format_optional(power['detectable'])}\n{_format_optional(power['detectable_share'])}"
        table.add_row(
            who,
            _format_estimate(estimate),
            n,
            can,
            _format_optional(power["half_width"]),
            smallest,
            _format_count(power["needed"]),
        )
    return table


def _format_estimate(estimate: Mapping[str, Any]) -> str:
    low, high = estimate["low"], estimate["high"]
    return _format_optional(estimate["value"]) + ("" if estimate["value"] is None else f"\n{format_ends(low, high)}")


def _format_optional(number: float | None) -> str:
    return "–" if number is None else format_number(number)


def _format_count(number: int | float | None) -> str:
    return "–" if number is None else f"{number:.0f}"
