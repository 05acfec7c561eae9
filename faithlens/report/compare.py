"""What `compare` says on the terminal: what differs at equal accuracy first, then all differences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from faithlens.measures.catalogue import get_measure
from faithlens.report.decide import format_interval
from faithlens.report.fitting_table import FittingTable
from faithlens.stats.number import format_number
from faithlens.tasks.kinds import STRATEGIES

SIGNIFICANCE_LEVEL = 0.05
"""A corrected p-value below this counts as a difference, where the interval leaves 0 out too."""
_COLUMNS = ("A → B", "B minus A,\nall questions", "B minus A,\nat equal accuracy")


def format_comparisons(comparisons: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Comparisons of two runs, as plain data: for each what changed, and the table."""
    return Group(*(part for each in comparisons for part in _list_parts(each)))


def _list_parts(comparison: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield _describe_changes(comparison)
    yield _make_difference_table(comparison["differences"])
    yield Text("n: questions that count, of all; p: corrected over the measures of its column (Holm)")
    yield from map(Text, _list_reasons(comparison["differences"]))


def _make_difference_table(differences: Sequence[Mapping[str, Any]]) -> FittingTable:
    """What each measure is in both runs, and the difference over all questions and at equal accuracy."""
    alike, rows = {d["measure"]: d for d in differences if d["questions"] == "alike"}, list[tuple[str, ...]]()
    for d in differences:
        if d["questions"] == "all":
            pair = "–" if d["first"] is None else f"{format_number(d['first'])} → {format_number(d['second'])}"
            other = alike.get(d["measure"])
            cells = (pair, _format_difference(d), _format_difference(other) if other else "–")
            rows.append((get_measure(d["measure"]).label, *cells))
    return FittingTable(("measure", *_COLUMNS), rows)


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
