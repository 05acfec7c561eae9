"""Figures of probes, and of how behaviour and internals agree."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from faithlens.report.figures import GREY, _axes, _colour

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def probe_by_layer(table: pd.DataFrame, metric: str) -> Figure:
    """A probe's held-out `metric` by layer with its 95 % band, above its baselines; `table` as of `Commitment`."""
    import plotly.graph_objects as go

    layers = table["layer"]
    band = {"x": [*layers, *layers[::-1]], "y": [*table["high"], *table["low"][::-1]]}
    area = go.Scatter(**band, mode="lines", line_width=0, fill="toself", fillcolor=_colour(0, 0.16), showlegend=False)
    figure = go.Figure(area.update(hoverinfo="skip"))
    for i, (name, column) in enumerate({"probe": "value", "tokens": "text", "frequencies": "prior"}.items()):
        line = go.Scatter(x=layers, y=table[column], name=name, mode="lines+markers" if i == 0 else "lines")
        figure.add_trace(line.update(line_color=_colour(0) if i == 0 else GREY, line_dash=("solid", "dash", "dot")[i]))
    return _axes(figure, "layer", metric).update_yaxes(range=[-0.03, 1.05])


def agreements(tables: Mapping[str, pd.DataFrame], correlation: str = "raw") -> Figure:
    """Rank correlations with their 95 % intervals; `tables` as of `agreement`, by what is compared."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for i, kind in enumerate(dict.fromkeys(("raw", correlation))):
        rows = pd.concat([table[table["correlation"] == kind] for table in tables.values()])
        above, below = rows["high"] - rows["value"], rows["value"] - rows["low"]
        bars = {"type": "data", "array": above, "arrayminus": below, "color": _colour(i)}
        points = go.Scatter(x=[escape(name) for name in tables], y=rows["value"], name=kind, mode="markers")
        figure.add_trace(points.update(marker={"size": 9, "color": _colour(i)}, error_y=bars))
    figure.update_layout(scattermode="group", showlegend=True).update_xaxes(type="category")
    return _axes(figure, "", "rank correlation within questions").update_yaxes(range=[-1.05, 1.05])
