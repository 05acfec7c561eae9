"""What size does to measures, in pictures: the measures themselves, and the answers to the scaling question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from faithlens.figures.style import FAINT, escape_text, format_axes, get_colour
from faithlens.measures.catalogue import get_measure
from faithlens.stats.scaling.equal_accuracy import SCALING_ANSWERS
from faithlens.stats.scaling.size_effect import select_last_checkpoints

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def plot_sizes(measurements: pd.DataFrame, measure: str, family: str) -> Figure:
    """A measure against size at each model's last checkpoint: a point a model with its 95 % interval, a line a task.

    Lines go through the means over seeds.

    Args:
        measurements: the table of a sweep: a row for each model, task and measure.
        measure: the name of the measure.
        family: the family of models to draw.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    rows = select_last_checkpoints(
        measurements[(measurements["family"] == family) & (measurements["measure"] == measure)]
    )
    figure = go.Figure()
    for i, (task, own) in enumerate(rows.groupby("task", sort=False)):
        drawn = {"name": escape_text(str(task)), "legendgroup": escape_text(str(task))}
        means = own.groupby("size")["value"].mean()
        figure.add_scatter(
            x=means.index, y=means, mode="lines", line={"color": get_colour(i), "width": 1.5}, showlegend=False, **drawn
        )
        around = {"array": own["high"] - own["value"], "arrayminus": own["value"] - own["low"]}
        figure.add_scatter(
            x=own["size"],
            y=own["value"],
            error_y=around | {"thickness": 1, "width": 0},
            mode="markers",
            marker={"color": get_colour(i)},
            **drawn,
        )
    figure.update_xaxes(type="log")
    return format_axes(figure, "parameters", escape_text(get_measure(measure).label))


def plot_size_effects(effects: pd.DataFrame) -> Figure:
    """The answers to the scaling question side by side: a row an answer, a colour a family, with 95 % intervals.

    `effects` has columns family, answer, value, low and high, of a single measure; an answer without a value is left
    out. The dotted line is no effect of size.

    Args:
        effects: the answers, from `fl.stats.estimate_size_effects` or `fl.stats.answer_by_size`.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    figure, shift = go.Figure(), 0.5 / max(effects["family"].nunique(), 1)
    for i, (family, own) in enumerate(effects.groupby("family", sort=False)):
        own = own.dropna(subset=["value"])
        place = np.array(
            [len(SCALING_ANSWERS) - 1 - SCALING_ANSWERS.index(answer) for answer in own["answer"]], dtype=float
        )
        figure.add_scatter(
            x=own["value"],
            y=place - i * shift + 0.25,
            error_x={"array": own["high"] - own["value"], "arrayminus": own["value"] - own["low"], "width": 0},
            mode="markers",
            marker={"color": get_colour(i), "size": 8},
            customdata=own["answer"],
            hovertemplate="%{customdata}: %{x:.2f}",
            name=escape_text(str(family)),
        )
    figure.add_vline(x=0, line_dash="dot", line_color=FAINT)
    figure.update_yaxes(
        tickvals=[*range(len(SCALING_ANSWERS))],
        ticktext=[escape_text(answer) for answer in reversed(SCALING_ANSWERS)],
        showgrid=False,
    )
    return format_axes(figure, "change per tenfold of parameters", "", height=120 + 60 * len(SCALING_ANSWERS))
