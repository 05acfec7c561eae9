"""Which measures find what is planted, and on which organisms each goes wrong: a picture and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.table import Table

from faithlens.figures.style import DOWN, FAINT, UP, axes, safe
from faithlens.measures.catalogue import MEASURES
from faithlens.stats.verdict import plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SIDES = ((0.0, DOWN), (0.5, FAINT), (1.0, UP))


def _label(measure: str) -> str:
    """The label of a measure; the name itself of one that a user validates without a catalogue entry."""
    return MEASURES[measure].label if measure in MEASURES else measure


def contest_figure(detection: pd.DataFrame) -> Figure:
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
            y=[safe(_label(measure)) for measure in rows["measure"]],
            zmin=0,
            zmax=1,
            colorscale=SIDES,
            text=[["" if np.isnan(x) else plain(x) for x in row] for row in shares],
            texttemplate="%{text}",
            hovertemplate="%{y} on %{x}: %{z:.2f} on the right side<extra></extra>",
            colorbar={"title": "right side", "thickness": 12},
        )
    )
    figure.update_yaxes(type="category").update_xaxes(type="category")
    return axes(figure, "", "", height=140 + 26 * len(rows)).update_yaxes(showgrid=False)


def models_figure(detection: pd.DataFrame, contest: str = "enforced") -> Figure:
    """A measure's AUROC in one contest, its interval, and a dot a model: where it fails, and how far luck goes.

    `detection` is the table of `faithlens validate`, its column `by_model` a dictionary a row.
    """
    import plotly.graph_objects as go

    rows = detection[(detection["contest"] == contest) & detection["auroc"].notna()].sort_values("auroc")
    names = [safe(_label(measure)) for measure in rows["measure"]]
    dots = [(x, name, model) for name, found in zip(names, rows["by_model"], strict=True) for model, x in found.items()]
    x, y, models = zip(*dots, strict=True) if dots else ((), (), ())
    figure = go.Figure(
        [
            go.Scatter(
                x=rows["auroc"],
                y=names,
                mode="markers",
                marker={"color": UP, "size": 10, "symbol": "line-ns-open"},
                error_x={
                    "array": rows["high"] - rows["auroc"],
                    "arrayminus": rows["auroc"] - rows["low"],
                    "color": UP,
                },
                name="all, 95 %",
            ),
            go.Scatter(
                x=x,
                y=y,
                mode="markers",
                marker={"color": DOWN, "size": 6, "opacity": 0.6},
                customdata=models,
                hovertemplate="%{y}, %{customdata}: %{x:.2f}<extra></extra>",
                name="one model",
            ),
        ]
    )
    figure.add_vline(x=0.5, line_dash="dot", line_color=FAINT)
    figure.update_yaxes(type="category")
    return axes(figure, "AUROC", "", height=140 + 26 * len(rows))


def contest_table(detection: pd.DataFrame) -> Table:
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
        number = f"{plain(row['auroc'])} [{plain(row['low'])}, {plain(row['high'])}]"
        table.add_row(row["contest"], _label(row["measure"]), number, _extremes(row["by_model"]), ", ".join(wrong))
    return table


def _extremes(by_model: Mapping[str, float]) -> str:
    values = list(by_model.values())
    return f"{plain(min(values))} to {plain(max(values))} of {len(values)}" if len(values) > 1 else ""


def exposures_table(exposures: pd.DataFrame) -> Table:
    """How far each measure depends on the chains that training showed: what it gives, and by how much that differs."""
    table = Table(title="Trained on whole chains alone, or on filled ones too", title_justify="left")
    for column in ("organism", "measure", "trained on", "cut ones", "these", "difference"):
        table.add_column(column)
    for row in exposures.to_dict("records"):
        apart = f"{plain(row['difference'])} [{plain(row['low'])}, {plain(row['high'])}]"
        told = (row["organism"], _label(row["measure"]), row["shows"], plain(row["cut"]), plain(row["value"]), apart)
        table.add_row(*map(str, told))
    return table


def faults_table(models: pd.DataFrame) -> Table:
    """Models that training did not make what they should be, and that were therefore asked nothing."""
    table = Table(
        "model", "what its certificate says", title="Left out: not what the recipe plants", title_justify="left"
    )
    for model, faults in models.loc[models["faults"] != "", ["model", "faults"]].drop_duplicates().values.tolist():
        table.add_row(model, faults)
    return table


def bars_table(bars: Sequence[Mapping[str, Any]]) -> Table:
    """What must hold, and whether it does."""
    table = Table("", "bar", "measured", title="Bars", title_justify="left")
    marks = {True: "[green]ok[/]", False: "[red]FAIL[/]", None: "[yellow]–[/]"}
    for bar in bars:
        table.add_row(marks[bar["passed"]], bar["name"], bar["measured"] or "not measured")
    return table
