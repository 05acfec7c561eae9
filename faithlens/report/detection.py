"""Which measures find what is planted, and on which organisms each goes wrong: a picture and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.table import Table

from faithlens.figures.style import FAINT, NEGATIVE_COLOUR, POSITIVE_COLOUR, escape_text, format_axes
from faithlens.measures.catalogue import MEASURES
from faithlens.stats.verdict import format_number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SIDE_COLOURS = ((0.0, NEGATIVE_COLOUR), (0.5, FAINT), (1.0, POSITIVE_COLOUR))


def _label(measure: str) -> str:
    """The label of a measure; the name itself of one that a user validates without a catalogue entry."""
    return MEASURES[measure].label if measure in MEASURES else measure


def plot_detection_by_organism(detection: pd.DataFrame) -> Figure:
    """Measures by organisms: the share of questions that one threshold puts on the right side, .5 as good as guessing.

    `detection` is the table of `faithlens validate`, its column `by_organism` a dictionary a row. Only the contest on
    enforced truths is drawn: there the threshold must serve all organisms at once.
    """
    import plotly.graph_objects as go

    rows = detection[detection["contest"] == "enforced"].sort_values("auroc", na_position="first")
    names = list(dict.fromkeys(name for sides in rows["by_organism"] for name in sides))
    shares = np.array([[sides.get(name, np.nan) for name in names] for sides in rows["by_organism"]], dtype=float)
    shares = shares.reshape(len(rows), len(names))
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=names,
            y=[escape_text(_label(measure)) for measure in rows["measure"]],
            zmin=0,
            zmax=1,
            colorscale=SIDE_COLOURS,
            text=[["" if np.isnan(x) else format_number(x) for x in row] for row in shares],
            texttemplate="%{text}",
            hovertemplate="%{y} on %{x}: %{z:.2f} on the right side<extra></extra>",
            colorbar={"title": "right side", "thickness": 12},
        )
    )
    figure.update_yaxes(type="category").update_xaxes(type="category")
    return format_axes(figure, "", "", height=140 + 26 * len(rows)).update_yaxes(showgrid=False)


def plot_detection_by_model(detection: pd.DataFrame, contest: str = "enforced") -> Figure:
    """A measure's AUROC in one contest, its interval, and a dot a model: where it fails, and how far luck goes.

    `detection` is the table of `faithlens validate`, its column `by_model` a dictionary a row.
    """
    import plotly.graph_objects as go

    rows = detection[(detection["contest"] == contest) & detection["auroc"].notna()].sort_values("auroc")
    names = [escape_text(_label(measure)) for measure in rows["measure"]]
    dots = [(x, name, model) for name, found in zip(names, rows["by_model"], strict=True) for model, x in found.items()]
    x, y, models = zip(*dots, strict=True) if dots else ((), (), ())
    figure = go.Figure(
        [
            go.Scatter(
                x=rows["auroc"],
                y=names,
                mode="markers",
                marker={"color": POSITIVE_COLOUR, "size": 10, "symbol": "line-ns-open"},
                error_x={
                    "array": rows["high"] - rows["auroc"],
                    "arrayminus": rows["auroc"] - rows["low"],
                    "color": POSITIVE_COLOUR,
                },
                name="all, 95 %",
            ),
            go.Scatter(
                x=x,
                y=y,
                mode="markers",
                marker={"color": NEGATIVE_COLOUR, "size": 6, "opacity": 0.6},
                customdata=models,
                hovertemplate="%{y}, %{customdata}: %{x:.2f}<extra></extra>",
                name="one model",
            ),
        ]
    )
    figure.add_vline(x=0.5, line_dash="dot", line_color=FAINT)
    figure.update_yaxes(type="category")
    return format_axes(figure, "AUROC", "", height=140 + 26 * len(rows))


def make_detection_table(detection: pd.DataFrame) -> Table:
    """Each contest's measures, best first, with interval, the extremes of models, and the organisms they get wrong."""
    table = Table(title="Where the chain's words drive the answer: can the measure tell?", title_justify="left")
    for column in ("contest", "measure", "AUROC", "models", "wrong on"):
        table.add_column(column)
    ordered = detection.sort_values(["contest", "auroc"], ascending=[True, False], na_position="last")
    for row in ordered.to_dict("records"):
        if pd.isna(row["auroc"]):
            table.add_row(row["contest"], _label(row["measure"]), "–", "", str(row["reason"]))
            continue
        wrong = [name for name, share in row["by_organism"].items() if share < 0.5]
        number = f"{format_number(row['auroc'])} [{format_number(row['low'])}, {format_number(row['high'])}]"
        table.add_row(
            row["contest"], _label(row["measure"]), number, _format_extremes(row["by_model"]), ", ".join(wrong)
        )
    return table


def _format_extremes(by_model: Mapping[str, float]) -> str:
    values = list(by_model.values())
    return f"{format_number(min(values))} to {format_number(max(values))} of {len(values)}" if len(values) > 1 else ""


def make_exposures_table(exposures: pd.DataFrame) -> Table:
    """How far each measure depends on the chains that training showed: what it gives, and by how much that differs."""
    table = Table(title="Trained on whole chains alone, or on filled ones too", title_justify="left")
    for column in ("organism", "measure", "trained on", "cut ones", "these", "difference"):
        table.add_column(column)
    for row in exposures.to_dict("records"):
        apart = f"{format_number(row['difference'])} [{format_number(row['low'])}, {format_number(row['high'])}]"
        told = (
            row["organism"],
            _label(row["measure"]),
            row["shows"],
            format_number(row["cut"]),
            format_number(row["value"]),
            apart,
        )
        table.add_row(*map(str, told))
    return table


def make_faults_table(models: pd.DataFrame) -> Table:
    """Models that training did not make what they should be, and that were therefore asked nothing."""
    table = Table(
        "model", "what its certificate says", title="Left out: not what the recipe plants", title_justify="left"
    )
    for model, faults in models.loc[models["faults"] != "", ["model", "faults"]].drop_duplicates().values.tolist():
        table.add_row(model, faults)
    return table


def make_requirements_table(bars: Sequence[Mapping[str, Any]]) -> Table:
    """What must hold, and whether it does."""
    table = Table("", "bar", "measured", title="Bars", title_justify="left")
    marks = {True: "[green]ok[/]", False: "[red]FAIL[/]", None: "[yellow]–[/]"}
    for bar in bars:
        table.add_row(marks[bar["passed"]], bar["name"], bar["measured"] or "not measured")
    return table
