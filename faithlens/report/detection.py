"""Which measures find what is planted, and on which organisms each goes wrong: as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.text import Text

from faithlens.figures.detection import get_label
from faithlens.report.fitting_table import FittingTable
from faithlens.stats.number import format_ends, format_number


def make_detection_table(detection: pd.DataFrame) -> FittingTable:
    """Each contest's measures, best first, with interval, the extremes of models, and the organisms they get wrong."""
    ordered = detection.sort_values(["contest", "auroc"], ascending=[True, False], na_position="last")
    rows = list[tuple[str, ...]]()
    for row in ordered.to_dict("records"):
        if pd.isna(row["auroc"]):
            rows.append((row["contest"], get_label(row["measure"]), "–", "", str(row["reason"])))
            continue
        wrong = [name for name, share in row["by_organism"].items() if share < 0.5]
        number = f"{format_number(row['auroc'])} [{format_ends(row['low'], row['high'], ', ')}]"
        extremes = _format_extremes(row["by_model"])
        rows.append((row["contest"], get_label(row["measure"]), number, extremes, ", ".join(wrong)))
    columns = ("contest", "measure", "AUROC", "models", "wrong on")
    return FittingTable(columns, rows, "Where the chain's words drive the answer: can the measure tell?")


def _format_extremes(by_model: Mapping[str, float]) -> str:
    values = list(by_model.values())
    return f"{format_number(min(values))} to {format_number(max(values))} of {len(values)}" if len(values) > 1 else ""


def make_leaderboard_table(board: pd.DataFrame) -> FittingTable:
    """Each measure in one row, with its AUROC and interval from each source."""
    sources = list(dict.fromkeys(board["source"]))
    used, labels = (board.groupby("source")[name].max() for name in ("n_used", "n_labels"))
    columns, rows = ["measure"], list[list[str]]()
    for source in sources:
        of = f" of {int(labels[source])} labels" if pd.notna(labels[source]) else ""
        columns.append(f"{source} ({int(used[source])}{of})")
    for measure, own in board.groupby("measure", sort=False):
        by_source = own.set_index("source").to_dict("index")
        rows.append([get_label(str(measure)), *(_format_auroc(by_source.get(source)) for source in sources)])
    return FittingTable(columns, rows, "Measures against what is known (AUROC; .5 is guessing)")


def _format_auroc(row: Mapping[Any, Any] | None) -> str:
    if row is None:
        return "–"
    if pd.isna(row["auroc"]):
        return str(row["reason"])
    return f"{format_number(row['auroc'])} [{format_ends(row['low'], row['high'], ', ')}]"


def make_exposures_table(exposures: pd.DataFrame) -> FittingTable:
    """How far each measure depends on the chains seen in training: its values, and their difference."""
    rows = list[list[str]]()
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
        rows.append([str(cell) for cell in cells])
    columns = ("organism", "measure", "trained on", "cut ones", "these", "difference")
    return FittingTable(columns, rows, "Trained on whole chains alone, or on filled ones too")


def make_faults_table(models: pd.DataFrame) -> FittingTable:
    """The models whose certificate names faults; they were left out of the validation."""
    rows = models.loc[models["faults"] != "", ["model", "faults"]].drop_duplicates().values.tolist()
    return FittingTable(("model", "what its certificate says"), rows, "Left out: not what the recipe plants")


def make_requirements_table(requirements: Sequence[Mapping[str, Any]]) -> FittingTable:
    """What must hold, and whether it does."""
    marks = {True: Text("ok", "green"), False: Text("FAIL", "red"), None: Text("–", "yellow")}
    rows = [(each["name"], marks[each["passed"]], each["measured"] or "not measured") for each in requirements]
    return FittingTable(("requirement", "holds", "measured"), rows, "Requirements")
