"""What `replicate` says on the terminal: a paper's numbers beside ours, and what explains each difference."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def format_replication(replication: Mapping[str, Any]) -> RenderableType:
    """A `Replication` as plain data: the paper, the table, and remarks."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    has_intervals = any(row["low"] is not None for row in replication["table"])
    interval = ("95 % interval",) if has_intervals else ()
    for name in ("published", "ours", *interval, "difference", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what explains it", overflow="fold")
    for row in replication["table"]:
        digits = row["digits"]
        ours = digits if digits == 0 else digits + 1
        ends = "" if row["low"] is None else f"{_format(row['low'], ours)} to {_format(row['high'], ours)}"
        table.add_row(
            row["name"], _format(row["published"], digits), _format(row["ours"], ours), *([ends] * has_intervals),
            _format(row["difference"], ours, signed=True), f"{row['n']:,}", row["explanation"],
        )  # fmt: skip
    n = len(replication["files"])
    remarks = [f"Files read: {n}.", *(f"- {remark}." for remark in replication["remarks"])]
    return Group(Text(replication["paper"], "bold"), table, Text("\n".join(remarks)))


def _format(number: float | None, digits: int, signed: bool = False) -> str:
    if number is None:
        return "–"
    text = f"{number:{'+' if signed else ''},.{digits}f}"
    return text.lstrip("+-") if float(text.replace(",", "")) == 0 else text.replace("-", "−")
