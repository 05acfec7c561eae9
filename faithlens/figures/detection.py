"""Which measures find what is planted, and on which organisms or models each goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from faithlens.figures.style import FAINT, NEGATIVE_COLOUR, POSITIVE_COLOUR, escape_text, format_axes
from faithlens.measures.catalogue import MEASURES
from faithlens.stats.number import format_number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SIDE_COLOURS = ((0.0, NEGATIVE_COLOUR), (0.5, FAINT), (1.0, POSITIVE_COLOUR))


def get_label(measure: str) -> str:
    """The label of a measure; the name itself of one that a user validates without a catalogue entry."""
    return MEASURES[measure].label if measure in MEASURES else measure


def plot_detection_by_organism(detection: pd.DataFrame) -> Figure:
    """Measures by organisms: the share of questions that one threshold puts on the right side, .5 as good as guessing.

    `detection` is the table of `faithlens validate`, its column `by_organism` a dictionary a row. Only the contest on
    enforced truths is drawn: there the threshold must serve all organisms at once.

    Args:
        detection: the table `detection` of `fl.read_validation`.

    Returns:
        A plotly figure.
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
            y=[escape_text(get_label(measure)) for measure in rows["measure"]],
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

    Args:
        detection: the table `detection` of `fl.read_validation`.
        contest: the contest to draw: "enforced", or an organism with a planted rate.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    rows = detection[(detection["contest"] == contest) & detection["auroc"].notna()].sort_values("auroc")
    rows = rows.astype({"auroc": float, "low": float, "high": float})  # intervals may be withheld
    names = [escape_text(get_label(measure)) for measure in rows["measure"]]
    dots = [
        (x, name, model)
        for name, by_model in zip(names, rows["by_model"], strict=True)
        for model, x in by_model.items()
    ]
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
