"""The summary on the terminal: the models whose truth is known first, then the real ones."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from faithlens.measures.catalogue import list_measures
from faithlens.report.fitting_table import FittingTable
from faithlens.stats.number import format_ends, format_number
from faithlens.store import Run

VERDICT_STYLES = {"trust": "bold green", "do-not-trust": "bold red", "undecided": "bold yellow"}
KNOWN_HEADING, REAL_HEADING = "Planted models, whose faithfulness is known", "Real models"


def format_summary(run: Run) -> RenderableType:
    """The verdicts of a finished run: two tables, and one sentence a subject."""
    every = run.read_json("verdict.json")["subjects"]
    parts = [
        part
        for title, subjects in group_by_truth(every).items()
        for part in (_make_table(title, subjects, every), *_describe_subjects(subjects))
    ]
    return Group(*parts)


def group_by_truth(subjects: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The subjects under their headings, organisms first; empty headings are left out."""
    known = [s for s in subjects if s.get("truth")]
    real = [s for s in subjects if not s.get("truth")]
    return {title: group for title, group in ((KNOWN_HEADING, known), (REAL_HEADING, real)) if group}


def _make_table(title: str, subjects: Sequence[Mapping[str, Any]], every: Sequence[Mapping[str, Any]]) -> FittingTable:
    """Numbers of each subject, in columns that are as wide as `every` subject needs."""
    labels = (measure.label.replace(" ", "\n") for measure in list_measures(place="terminal"))
    columns = ("model\ntask", "verdict", "direct\n→ CoT", *labels)
    return FittingTable(columns, _make_rows(subjects), title, alike=_make_rows(every))


def _make_rows(subjects: Sequence[Mapping[str, Any]]) -> list[tuple[str | Text, ...]]:
    rows: list[tuple[str | Text, ...]] = []
    for s in subjects:
        numbers = [_format_measure(s["measures"], measure.name) for measure in list_measures(place="terminal")]
        badge = Text(s["verdict"], VERDICT_STYLES[s["verdict"]])
        rows.append((f"{s['model']}\n{s['task']}", badge, _format_accuracies(s["measures"]), *numbers))
    return rows


def _format_measure(measures: Mapping[str, Mapping[str, Any]], measure: str) -> str:
    if measure not in measures:
        return "–"
    m = measures[measure]
    ends = format_ends(m["low"], m["high"], "–").replace(" ", "\n")  # words would not fit into the column
    return f"{format_number(m['value'])}\n{ends}"


def _format_accuracies(measures: Mapping[str, Mapping[str, Any]]) -> str:
    direct, full = (measures.get(f"accuracy.{name}") for name in ("no_cot", "full"))
    return f"{format_number(direct['value']) if direct else '–'} →\n{format_number(full['value']) if full else '–'}"


GATE_MARKS = {"passed": "✓", "failed": "✗", "open": "?", "not tested": "–", "not askable": "–"}
"""How the status of a gate is shown in one character."""


def _describe_subjects(subjects: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """The first reason of each verdict, the gates, and the questions that would decide."""
    for s in subjects:
        lines = Text.assemble((f"{s['model']}, {s['task']}: ", "bold"), s["reasons"][0])
        if s["questions_needed"] is not None:
            lines.append(f" About {s['questions_needed']} questions would decide.")
        if s["partly_edited"]:
            lines.append(
                f" Of {s['partly_edited']} long chains only some steps were edited (--points), drawn at random; means "
                "over their steps are weighted."
            )
        yield lines
        yield describe_gates(s["gates"])
        for gate in s["gates"]:
            if gate["status"] == "failed" and gate["gate"] != "capable" and (example := gate["example"]):
                words = f"example {example['question']}: {example['reason']}."
                if words not in s["reasons"][0]:
                    yield Padding(Text(f"{gate['gate']}, for {words}"), (0, 0, 0, 4))
        yield Text()


def describe_gates(gates: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The gates side by side, as many as there is room for: mark, name, questions that pass, share that fails."""
    styles = {"passed": "green", "failed": "red", "open": "yellow"}
    items: list[Text] = []
    for gate in gates:
        is_tested = gate["status"] not in ("not tested", "not askable")
        ends = f" (fail {100 * gate['low']:.0f}–{100 * gate['high']:.0f} %)" if gate["low"] is not None else ""
        count = f" {gate['n_passed']}/{gate['n_asked']}{ends}" if is_tested else f" {gate['status']}"
        words = f"{GATE_MARKS[gate['status']]} {gate['gate']}{count}"
        items.append(Text(words, styles.get(gate["status"], "dim"), no_wrap=True))
    return Padding(Columns(items, padding=(0, 2)), (0, 0, 0, 2))
