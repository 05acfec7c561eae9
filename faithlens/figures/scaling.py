"""What size does to measures, in pictures: the measures themselves, and the answers to the scaling question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from faithlens.figures.style import FAINT, axes, colour, safe
from faithlens.measures.catalogue import get_measure
from faithlens.stats.scaling.equal_accuracy import ANSWERS
from faithlens.stats.scaling.size_effect import final

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def sizes_figure(cells: pd.DataFrame, measure: str, family: str) -> Figure:
    """A measure against size at each model's last checkpoint: a point a model with its 95 % interval, a line a task.

    Lines go through the means over seeds. `cells` is the table of a sweep.
    """
    import plotly.graph_objects as go

    rows = final(cells[(cells["family"] == family) & (cells["measure"] == measure)])
    figure = go.Figure()
    for i, (task, own) in enumerate(rows.groupby("task", sort=False)):
        drawn = {"name": safe(str(task)), "legendgroup": safe(str(task))}
        means = own.groupby("size")["value"].mean()
        figure.add_scatter(
            x=means.index, y=means, mode="lines", line={"color": colour(i), "width": 1.5}, showlegend=False, **drawn
        )
        around = {"array": own["high"] - own["value"], "arrayminus": own["value"] - own["low"]}
        figure.add_scatter(
            x=own["size"],
            y=own["value"],
            error_y=around | {"thickness": 1, "width": 0},
            mode="markers",
            marker={"color": colour(i)},
            **drawn,
        )
    figure.update_xaxes(type="log")
    return axes(figure, "parameters", safe(get_measure(measure).label))


def effects_figure(effects: pd.DataFrame) -> Figure:
    """The answers to the scaling question side by side: a row an answer, a colour a family, with 95 % intervals.

    `effects` has columns family, answer, value, low and high, of a single measure; an answer without a value is left
    out. The dotted line is no effect of size.
    """
    import plotly.graph_objects as go

    figure, shift = go.Figure(), 0.5 / max(effects["family"].nunique(), 1)
    for i, (family, own) in enumerate(effects.groupby("family", sort=False)):
        own = own.dropna(subset=["value"])
        place = np.array([len(ANSWERS) - 1 - ANSWERS.index(answer) for answer in own["answer"]], dtype=float)
        figure.add_scatter(
            x=own["value"],
            y=place - i * shift + 0.25,
            error_x={"array": own["high"] - own["value"], "arrayminus": own["value"] - own["low"], "width": 0},
            mode="markers",
            marker={"color": colour(i), "size": 8},
            customdata=own["answer"],
            hovertemplate="%{customdata}: %{x:.2f}",
            name=safe(str(family)),
        )
    figure.add_vline(x=0, line_dash="dot", line_color=FAINT)
    figure.update_yaxes(
        tickvals=[*range(len(ANSWERS))], ticktext=[safe(answer) for answer in reversed(ANSWERS)], showgrid=False
    )
    return axes(figure, "change per tenfold of parameters", "", height=120 + 60 * len(ANSWERS))
