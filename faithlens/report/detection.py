"""Which measures find what is planted, and on which organisms each goes wrong: as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from faithlens.figures.detection import get_label
from faithlens.stats.number import format_ends, format_number


def make_detection_table(detection: pd.DataFrame) -> Table:
    """Each contest's measures, best first, with interval, the extremes of models, and the organisms they get wrong."""
    table = Table(title="Where the chain's words drive the answer: can the measure tell?", title_justify="left")
    for column in ("contest", "measure", "AUROC", "models", "wrong on"):
        table.add_column(column)
    ordered = detection.sort_values(["contest", "auroc"], ascending=[True, False], na_position="last")
    for row in ordered.to_dict("records"):
        if pd.isna(row["auroc"]):
            table.add_row(row["contest"], get_label(row["measure"]), "–", "", str(row["reason"]))
            continue
        wrong = [name for name, share in row["by_organism"].items() if share < 0.5]
        number = f"{format_number(row['auroc'])} [{format_ends(row['low'], row['high'], ', ')}]"
        table.add_row(
            row["contest"], get_label(row["measure"]), number, _format_extremes(row["by_model"]), ", ".join(wrong)
        )
    return table


def _format_extremes(by_model: Mapping[str, float]) -> str:
    values = list(by_model.values())
    return f"{format_number(min(values))} to {format_number(max(values))} of {len(values)}" if len(values) > 1 else ""


def make_leaderboard_table(board: pd.DataFrame) -> Table:
    """Each measure in one row, with its AUROC and interval from each source."""
    sources = list(dict.fromkeys(board["source"]))
    used, labels = (board.groupby("source")[name].max() for name in ("n_used", "n_labels"))
    table = Table(title="Measures against what is known (AUROC; .5 is guessing)", title_justify="left")
    table.add_column("measure")
    for source in sources:
        of = f" of {int(labels[source])} labels" if pd.notna(labels[source]) else ""
        table.add_column(f"{source} ({int(used[source])}{of})")
    for measure, rows in board.groupby("measure", sort=False):
        by_source = rows.set_index("source").to_dict("index")
        table.add_row(get_label(str(measure)), *(_format_auroc(by_source.get(source)) for source in sources))
    return table


def _format_auroc(row: Mapping[Any, Any] | None) -> str:
    if row is None:
        return "–"
    if pd.isna(row["auroc"]):
        return str(row["reason"])
    return f"{format_number(row['auroc'])} [{format_ends(row['low'], row['high'], ', ')}]"


def make_exposures_table(exposures: pd.DataFrame) -> Table:
    """How far each measure depends on the chains seen in training: its values, and their difference."""
    table = Table(title="Trained on whole chains alone, or on filled ones too", title_justify="left")
    for column in ("organism", "measure", "trained on", "cut ones", "these", "difference"):
        table.add_column(column)
    for row in exposures.to_dict("records"):
        apart = f"{format_number(row['difference'])} [{format_ends(row['low'], row['high'], ', ')}]"
        cells = (
            row["organism"],
            get_label(row["measure"]),
            row["shows"],
            format_number(row["cut"]),
            format_number(row["value"]),
            apart,
        )
        table.add_row(*map(str, cells))
    return table


def make_faults_table(models: pd.DataFrame) -> Table:
    """The models whose certificate names faults; they were left out of the validation."""
    table = Table(
        "model", "what its certificate says", title="Left out: not what the recipe plants", title_justify="left"
    )
    for model, faults in models.loc[models["faults"] != "", ["model", "faults"]].drop_duplicates().values.tolist():
        table.add_row(model, faults)
    return table


def make_requirements_table(requirements: Sequence[Mapping[str, Any]]) -> Table:
    """What must hold, and whether it does."""
    table = Table("", "requirement", "measured", title="Requirements", title_justify="left")
    marks = {True: Text("ok", "green"), False: Text("FAIL", "red"), None: Text("–", "yellow")}
    for each in requirements:
        table.add_row(marks[each["passed"]], each["name"], each["measured"] or "not measured")
    return table
