"""Figures of the behavioural tests: all their curves side by side, and strategies between accuracy and sensitivity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from faithlens.figures.audit import draw_band, split_by_subject
from faithlens.figures.style import GREY, format_axes, get_colour
from faithlens.measures.catalogue import get_measure
from faithlens.stats.front import mark_pareto_front
from faithlens.stats.number import format_ends
from faithlens.tasks.kinds import REASONING_STRATEGIES, SENSITIVITIES, STRATEGIES

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

RETENTION_MEASURES = tuple(
    f"{test}.retention"
    for test in (
        "early_answering", "early_answering_filled", "mistakes", "mistakes_regenerated", "paraphrase", "deletion",
        "filler.dots",
    )
)  # fmt: skip
"""Curves of unchanged answers."""

STRATEGY_SHAPES = dict(zip(REASONING_STRATEGIES, ("circle", "square", "diamond"), strict=True))


def plot_retention_curves(estimates: pd.DataFrame) -> Figure:
    """Share of answers that stay, along the chain of thought, a panel a subject and a line a test, with 95 % bands.

    Args:
        estimates: the table `estimates` of a run, or of several runs together.

    Returns:
        A plotly figure.
    """
    from plotly.subplots import make_subplots

    subjects = list(split_by_subject(estimates))
    figure = make_subplots(1, len(subjects), subplot_titles=[name for name, _ in subjects], shared_yaxes=True)
    for column, (_, part) in enumerate(subjects, start=1):
        for i, measure in enumerate(RETENTION_MEASURES):
            for trace in draw_band(
                part[(part["measure"] == measure) & part["value"].notna()], get_measure(measure).label, i
            ):
                figure.add_trace(trace.update(showlegend=trace.showlegend is not False and column == 1), 1, column)
    figure = format_axes(figure, "share of the chain of thought", "", share=True)
    return figure.update_yaxes(title_text="same answer as with all steps", col=1)


def plot_strategies(estimates: pd.DataFrame) -> Figure:
    """Accuracy of each way to reason against both its sensitivities, with 95 % intervals; a line joins the front.

    The front is that of `stats.front.mark_pareto_front`: the strategies that no other beats at both numbers; the others
    are hollow. The dotted line is the accuracy of the direct answer, which has no steps to be sensitive to.

    Args:
        estimates: the table `estimates` of a run, or of several runs together.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 2, subplot_titles=[*SENSITIVITIES.values()], shared_yaxes=True, horizontal_spacing=0.06)
    for i, (name, part) in enumerate(split_by_subject(estimates)):
        rows = part[part["measure"].str.startswith("strategies.")].set_index("measure")
        for column, sensitivity in enumerate(SENSITIVITIES, start=1):
            for trace in _draw_strategies(rows, sensitivity, name, i, in_legend=column == 1):
                figure.add_trace(trace, 1, column)
    for strategy, shape in STRATEGY_SHAPES.items():
        key = go.Scatter(x=[None], y=[None], mode="markers", name=STRATEGIES[strategy], legendrank=2000)
        figure.add_trace(key.update(marker={"color": GREY, "size": 11, "symbol": shape}), 1, 1)
    format_axes(figure, "share of answers that change", "right answers", height=420)
    figure.update_yaxes(title_text="", col=2).update_xaxes(showgrid=True)
    figure.update_layout(margin_t=76, legend_y=1.08)
    ends: dict[str, object] = {"range": [-0.04, 1.04], "tickvals": [0, 0.25, 0.5, 0.75, 1], "tickformat": ".0%"}
    return figure.update_xaxes(ends).update_yaxes(ends)


def _draw_strategies(rows: pd.DataFrame, sensitivity: str, name: str, i: int, in_legend: bool) -> Iterator[Any]:
    """One subject's points, the line through its front, and the accuracy of its direct answer.

    `rows`: its `strategies.*` estimates by measure. Only in the `in_legend` panel does it stand in the legend.
    """
    import plotly.graph_objects as go

    y, x = (rows.reindex([f"strategies.{s}.{m}" for s in STRATEGY_SHAPES]) for m in ("accuracy", sensitivity))
    values = {"accuracy": y["value"].to_numpy(float), "sensitivity": x["value"].to_numpy(float)}
    points = mark_pareto_front(
        pd.DataFrame(
            {"strategy": [STRATEGIES[s] for s in STRATEGY_SHAPES], "shape": STRATEGY_SHAPES.values(), **values}
        )
    )
    is_known = points[["accuracy", "sensitivity"]].notna().all(axis=1).to_numpy()
    points, x, y = points[is_known], x[is_known], y[is_known]
    front = points[points["front"]].sort_values("sensitivity")
    line = go.Scatter(x=front["sensitivity"], y=front["accuracy"], mode="lines", hoverinfo="skip", name=name)
    yield line.update(line={"color": get_colour(i, 0.6), "width": 2}, legendgroup=name, showlegend=in_legend)
    hover = "%{text}: right %{y:.2f}, changed %{x:.2f} (%{customdata})"
    dots = go.Scatter(x=points["sensitivity"], y=points["accuracy"], text=points["strategy"], mode="markers", name=name)
    dots.update(
        error_x=_make_error_bars(x, i),
        error_y=_make_error_bars(y, i),
        customdata=list(map(format_ends, x["low"], x["high"])),
    )
    symbols = [shape + "-open" * (not on) for shape, on in zip(points["shape"], points["front"], strict=True)]
    dots.update(marker={"color": get_colour(i), "size": 11, "symbol": symbols}, hovertemplate=hover)
    yield dots.update(legendgroup=name, showlegend=False)
    direct = rows["value"].get("strategies.direct.accuracy")
    if direct is not None and not pd.isna(direct):
        level = go.Scatter(x=[0, 1], y=[direct] * 2, mode="lines", showlegend=False, legendgroup=name)
        level.update(line={"color": get_colour(i), "width": 1.5, "dash": "dot"})
        yield level.update(hovertemplate=f"asked directly: right {direct:.2f}<extra></extra>")


def _make_error_bars(rows: pd.DataFrame, i: int) -> dict[str, Any]:
    """Error bars from value, low and high."""
    error = {"type": "data", "array": rows["high"] - rows["value"], "arrayminus": rows["value"] - rows["low"]}
    return error | {"color": get_colour(i, 0.6), "thickness": 1.2, "width": 3}
