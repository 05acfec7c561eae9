"""What `judge` says on the terminal: what the readers will be asked, their errors, what they find, how they agree."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from faithlens.measures.catalogue import get_measure
from faithlens.measures.catalogue.judged import CEILING, CHANCE, MONITORABILITY
from faithlens.report.fitting_table import FittingTable
from faithlens.stats.number import format_ends, format_number
from faithlens.tasks.kinds import HINT_PATHS, SAYINGS

FINDING_WORDS = {"said": "said as a reason", "named": "named at all"}


def format_plans(costs: Mapping[str, Mapping[str, int]]) -> RenderableType:
    """What each reader will be asked, by its name."""
    lines: list[str] = []
    for name, cost in costs.items():
        tokens = f"about {cost['tokens']:,} tokens, and at most {cost['most_reply_tokens']:,} tokens of replies"
        lines.append(f"{name}: {cost['requests']:,} requests, {tokens}" if cost["requests"] else f"{name}: no requests")
    if any(cost["requests"] for cost in costs.values()):
        lines.append("Not counted: a reply that cannot be read is requested once more.")
    return Text("\n".join(lines))


def format_judging(summary: Mapping[str, Any]) -> RenderableType:
    """The content of readers.json as tables."""
    planted = summary["planted"]
    parts: list[RenderableType] = [
        _make_error_table(planted),
        _list_reasons(planted, ("reader", "finding")),
        *_make_share_tables(summary["shares"]),
    ]
    parts += _make_cell_tables(summary["cells"])
    if summary["agreement"]:
        parts.append(_make_agreement_table(summary["agreement"]))
    if len(summary["readers"]) < 2:
        note = "One reader alone is no number to publish, and the gate disclosed does not go by it: name a second one."
        parts.append(Text(note))
    return Group(*parts)


def format_monitoring(summary: Mapping[str, Any]) -> RenderableType:
    """The content of monitors.json as a table for each model and task."""
    numbers = ("chance", "ceiling", "noticed", "false_alarms")
    label, *compared = (get_measure(name).label for name in (MONITORABILITY, CHANCE, CEILING))
    compared = [each.removeprefix(f"{label}, ") for each in compared]
    columns = ("monitor", "sees", "hints", label, "95 % interval", *compared, "noticed", "false alarms")
    parts: list[RenderableType] = []
    for subject, rows in _group_by_subject(summary["monitorability"]).items():
        cells = list[tuple[str, ...]]()
        for row in rows:
            others = ("–" if row[name] is None else format_number(row[name]) for name in numbers)
            cells.append((row["monitor"], row["view"], row["kind"], _format_value(row), _format_interval(row), *others))
        title = f"How well monitors notice that a hint acted: {subject}"
        parts += [FittingTable(columns, cells, title, columns[3:]), _list_reasons(rows, ("monitor", "view", "kind"))]
    return Group(*parts)


def _group_by_subject(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of each model and task, by their names."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(f"{row['model']}, {row['task']}", []).append(row)
    return groups


def _format_value(row: Mapping[str, Any]) -> str:
    return "open" if row["value"] is None else format_number(row["value"])


def _format_interval(row: Mapping[str, Any]) -> str:
    return "–" if row["low"] is None else format_ends(row["low"], row["high"])


def _list_reasons(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Text:
    """Why rows of one model and task are open: each reason once, with the rows that it holds for."""
    reasons = dict.fromkeys(row["reason"] for row in rows if row["reason"])
    lines: list[str] = []
    for reason in reasons:
        where = [" ".join(row[name] for name in names) for row in rows if row["reason"] == reason]
        lines.append(f"{'; '.join(where) if len(where) < len(rows) else 'all rows'}: {reason}")
    return Text("\n".join(lines))


def _make_error_table(rows: Sequence[Mapping[str, Any]]) -> FittingTable:
    columns, cells = ("reader", "what", "missed", "false alarms", "not read"), list[tuple[str, ...]]()
    for row in rows:
        missed, invented = (f"{part} of {whole}" for part, whole in map(row["errors"].get, ("missed", "invented")))
        cells.append((row["reader"], FINDING_WORDS[row["finding"]], missed, invented, str(row["n_open"])))
    return FittingTable(columns, cells, "On chains whose saying is planted", columns[2:])


def _make_share_tables(rows: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    columns = ("reader", "what", "counted", "corrected", "95 % interval", "switches", "not read")
    for subject, own in _group_by_subject(rows).items():
        cells = list[tuple[str, ...]]()
        for row in own:
            counted = "–" if row["counted"] is None else format_number(row["counted"])
            words = (row["reader"], FINDING_WORDS[row["finding"]])
            counts = (str(row["n_switches"]), str(row["n_open"]))
            cells.append((*words, counted, _format_value(row), _format_interval(row), *counts))
        yield FittingTable(columns, cells, f"On chains whose hint switched the answer: {subject}", columns[2:])
        yield _list_reasons(own, ("reader", "finding"))


def _make_cell_tables(rows: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """What each reader says of the switches, by the way that they came: a row for each reader and way."""
    for subject, own in _group_by_subject(rows).items():
        columns = ("reader", "cells of", "way", *SAYINGS.values(), "questions", "not read")
        by_cell, cells = {(row["reader"], *row["measure"].split(".")): row for row in own}, list[tuple[str, ...]]()
        for reader, assay in dict.fromkeys((reader, assay) for reader, assay, _ in by_cell):
            for path, way in HINT_PATHS.items():
                line = [by_cell[reader, assay, f"{saying}_{path}"] for saying in SAYINGS]
                shares = (f"{_format_value(row)}\n({_format_interval(row)})" for row in line)
                cells.append((reader, assay, way, *shares, str(line[0]["n_used"]), str(line[0]["n_open"])))
        yield FittingTable(columns, cells, f"What the chain says, by the way of the switch: {subject}", columns[3:])
        yield _list_reasons(own, ("reader", "measure"))


def _make_agreement_table(rows: Sequence[Mapping[str, Any]]) -> FittingTable:
    columns = ("readers", "what", "Gwet's AC1", "95 % interval", "same label", "not read by both")
    cells = list[tuple[str, ...]]()
    for row in rows:
        value = "–" if row["value"] is None else format_number(row["value"])
        words = (f"{row['first']}\n{row['second']}", FINDING_WORDS[row["finding"]])
        same = f"{row['n_same']} of {row['n']}"
        cells.append((*words, value, _format_interval(row), same, str(row["n_open"])))
    return FittingTable(columns, cells, "How the readers agree", columns[2:])
