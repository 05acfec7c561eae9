"""What `compare` says on the terminal: what differs at equal accuracy first, then all differences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from faithlens.measures.catalogue import get_measure
from faithlens.report.decide import format_interval
from faithlens.stats.number import format_number
from faithlens.tasks.kinds import STRATEGIES

SIGNIFICANCE_LEVEL = 0.05
"""A corrected p-value below this counts as a difference, where the interval leaves 0 out too."""
_COLUMNS = ("A → B", "B minus A,\nall questions", "B minus A,\nat equal accuracy")


def format_comparisons(comparisons: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Comparisons of two runs, as plain data: for each what changed, and the table."""
    return Group(*(part for each in comparisons for part in (_describe_changes(each), DifferenceTable(each))))


class DifferenceTable:
    """The differences of one comparison: a table, or a list where the terminal is too narrow for one."""

    def __init__(self, comparison: Mapping[str, Any]) -> None:
        self.differences = comparison["differences"]
        self.alike = {d["measure"]: d for d in self.differences if d["questions"] == "alike"}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        table = self._make_table()
        if Measurement.get(console, options.update(max_width=1000), table).minimum <= options.max_width:
            yield table
        else:
            for label, cells in self._list_rows():
                lines = [
                    f"{name}: {cell}".replace(",\n", ", ").replace("\n", ", ")
                    for name, cell in zip(_COLUMNS, cells, strict=True)
                ]
                yield Text("\n  ".join([label, *lines]))
        yield Text("n: questions that count, of all; p: corrected over the measures of its column (Holm)")
        yield from map(Text, _list_reasons(self.differences))

    def _make_table(self) -> Table:
        """A row for each measure."""
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        rows = list(self._list_rows())
        table.add_column("measure", vertical="top", min_width=16)
        for i, name in enumerate(_COLUMNS):
            width = max((len(line) for _, cells in rows for line in cells[i].splitlines()), default=1)
            table.add_column(name, no_wrap=True, min_width=width)
        for label, cells in rows:
            table.add_row(label, *cells)
        return table

    def _list_rows(self) -> Iterator[tuple[str, list[str]]]:
        """What each measure is in both runs, and the difference over all questions and at equal accuracy."""
        for d in self.differences:
            if d["questions"] == "all":
                pair = "–" if d["first"] is None else f"{format_number(d['first'])} → {format_number(d['second'])}"
                other = self.alike.get(d["measure"])
                cells = [pair, _format_difference(d), _format_difference(other) if other else "–"]
                yield get_measure(d["measure"]).label, cells


def _describe_changes(comparison: Mapping[str, Any]) -> Text:
    """Which measures differ at equal accuracy."""
    first, second = comparison["first"], comparison["second"]
    lines = Text.assemble((comparison["task"], "bold"), f"\nA: {_name_side(first)}\nB: {_name_side(second)}\n")
    alike = [d for d in comparison["differences"] if d["questions"] == "alike"]
    tested = [d for d in alike if d["holm"] is not None]
    if not tested:
        why = alike[0]["reason"] if alike else "no measure but accuracies was scored in both runs"
        return lines.append(f"At equal accuracy nothing can be concluded: {why}.")
    clear = [d for d in tested if d["holm"] < SIGNIFICANCE_LEVEL and _is_clear_of_zero(d)]
    changes = ", ".join(f"{get_measure(d['measure']).label} by {format_number(d['value'])}" for d in clear)
    lines.append(f"At equal accuracy {len(clear)} of {len(tested)} measures differ after Holm's correction")
    return lines.append(f": {changes}." if clear else ".")


def _is_clear_of_zero(difference: Mapping[str, Any]) -> bool:
    """Whether there is an interval, and it leaves out 0."""
    low, high = difference["low"], difference["high"]
    return low is not None and not low <= 0 <= high


def _name_side(side: Mapping[str, Any]) -> str:
    return f"{side['model']} in {side['run']}" + (f", {STRATEGIES[side['strategy']]}" if side["strategy"] else "")


def _list_reasons(differences: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why there are dashes and withheld intervals, each reason once."""
    lines = [f"–: {d['reason']}" if d["value"] is None else d["reason"] for d in differences if d["reason"]]
    if any(get_measure(d["measure"]).is_context for d in differences):
        lines.append("– for an accuracy or a coverage: these are compared over all questions only")
    return list(dict.fromkeys(lines))


def _format_difference(d: Mapping[str, Any]) -> str:
    """A difference with its interval, questions and corrected p-value."""
    value = "–" if d["value"] is None else format_interval(d)
    p = "" if d["holm"] is None else f", p {d['holm']:.3f}"
    return f"{value}\nn {d['n_used']} of {d['n_used'] + d['n_dropped']}{p}"
