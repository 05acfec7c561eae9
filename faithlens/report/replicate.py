"""What `replicate` says on the terminal: a paper's numbers beside ours, and what explains each difference."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from faithlens.report.fitting_table import FittingTable


def format_replication(replication: Mapping[str, Any]) -> RenderableType:
    """A `Replication` as plain data: the paper, the table, and remarks."""
    has_intervals = any(row["low"] is not None for row in replication["table"])
    interval = ("95 % interval",) if has_intervals else ()
    numbers, cells = ("published", "ours", *interval, "difference", "n"), list[tuple[str, ...]]()
    for row in replication["table"]:
        digits = row["digits"]
        ours = digits if digits == 0 else digits + 1
        ends = "" if row["low"] is None else f"{_format(row['low'], ours)} to {_format(row['high'], ours)}"
        both = (_format(row["published"], digits), _format(row["ours"], ours))
        difference = _format(row["difference"], ours, signed=True)
        cells.append((row["name"], *both, *([ends] * has_intervals), difference, f"{row['n']:,}", row["explanation"]))
    table = FittingTable(("", *numbers, "what explains it"), cells, numbers=numbers)
    n = len(replication["files"])
    remarks = [f"Files read: {n}.", *(f"- {remark}." for remark in replication["remarks"])]
    return Group(Text(replication["paper"], "bold"), table, Text("\n".join(remarks)))


def _format(number: float | None, digits: int, signed: bool = False) -> str:
    if number is None:
        return "–"
    text = f"{number:{'+' if signed else ''},.{digits}f}"
    return text.lstrip("+-") if float(text.replace(",", "")) == 0 else text.replace("-", "−")
