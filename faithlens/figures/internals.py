"""Pictures of the internal measures: effects by layer, head and step, readiness, probes, agreement with behaviour.

Arrays in, plotly figure out. Blue is more than 0, red is less, and what was not measured (NaN) stays bare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from faithlens.errors import MeasureError
from faithlens.figures.style import (
    GREY,
    SUBJECT_COLOURS,
    escape_text,
    format_axes,
    get_colour,
    make_shading,
    make_ticks,
)
from faithlens.stats.interval import compute_mean_interval

if TYPE_CHECKING:
    from plotly.graph_objects import Bar, Figure, Heatmap

MAX_X_LABELS, MAX_Y_LABELS = 14, 24  # tick labels that have room


def plot_step_heatmap(
    effects: Float[np.ndarray, "layer step"],
    layers: Sequence[str],
    steps: Sequence[str],
    unit: str,
    is_exact: Bool[np.ndarray, "layer step"] | None = None,
) -> Figure:
    """Effects of an edit of each step in each layer.

    Args:
        effects: the effect of each layer and step; NaN where it was not measured.
        layers: the name of each layer, from the first.
        steps: the name of each step, in order.
        unit: the unit of the effects, such as "logits".
        is_exact: which effects are exact and get a dot, the others being approximate; None if all are exact.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    hover = f"layer %{{y}}, %{{x}}: %{{z:.3f}} {escape_text(unit)}"
    figure = go.Figure(_make_heatmap(effects, steps, layers, hover, unit, signed=True))
    if is_exact is not None:
        cells = np.argwhere(is_exact & np.isfinite(effects)).tolist()
        x, y = [steps[column] for _, column in cells], [layers[row] for row, _ in cells]
        dots = go.Scatter(name="exact", x=x, y=y, mode="markers", marker={"size": 5, "color": GREY}, hoverinfo="skip")
        figure.add_trace(dots.update(showlegend=True)).update_layout(showlegend=True)
    figure.update_xaxes(make_ticks(steps, MAX_X_LABELS)).update_yaxes(make_ticks(layers, MAX_Y_LABELS))
    return _format_map_axes(figure, "", "layer", height=min(760, max(380, 100 + 12 * len(layers))))


def plot_head_heatmap(effects: Float[np.ndarray, "layer head"], layers: Sequence[str], unit: str) -> Figure:
    """Effects of an edit of each head.

    Args:
        effects: the effect of each layer and head; NaN where it was not measured.
        layers: the name of each layer, from the first.
        unit: the unit of the effects, such as "logits".

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    heads = [str(head) for head in range(effects.shape[1])]
    hover = f"layer %{{y}}, head %{{x}}: %{{z:.3f}} {escape_text(unit)}"
    figure = go.Figure(_make_heatmap(effects, heads, layers, hover, unit, signed=True))
    figure.update_xaxes(make_ticks(heads, MAX_Y_LABELS)).update_yaxes(make_ticks(layers, MAX_Y_LABELS))
    return _format_map_axes(figure, "head", "layer", height=min(760, max(380, 100 + 12 * len(layers))))


def plot_step_matrix(matrix: Float[np.ndarray, "step step"], steps: Sequence[str], unit: str) -> Figure:
    """What each step [first axis] takes from each step before it [second axis]: suppression, or attention.

    Args:
        matrix: the values as [step that reads, step that is read]; NaN where nothing was measured.
        steps: the name of each step, in order.
        unit: the unit of the values.

    Returns:
        A plotly figure.

    Raises:
        MeasureError: some step takes from a later one, which no causal model can.
    """
    import plotly.graph_objects as go

    later = np.triu(np.ones_like(matrix, dtype=bool), 1)
    if np.nan_to_num(matrix[later]).any():
        problem = "a step can read only earlier steps, but the matrix has effects of later steps on earlier ones"
        raise MeasureError(problem, "Pass the matrix as [step that reads, step that is read].")
    seen = np.where(later, np.nan, matrix)
    figure = go.Figure(_make_heatmap(seen, steps, steps, f"%{{y}} from %{{x}}: %{{z:.3f}} {escape_text(unit)}", unit))
    figure.update_xaxes(make_ticks(steps, MAX_X_LABELS), constrain="domain")
    figure.update_yaxes(make_ticks(steps, MAX_Y_LABELS), autorange="reversed", scaleanchor="x", constrain="domain")
    return _format_map_axes(figure, "step that is read", "step that reads", height=580).update_layout(width=680)


def plot_step_bars(
    effects: Float[np.ndarray, " step"],
    null: Float[np.ndarray, " step"] | None,
    steps: Sequence[str],
    unit: str,
    interval: Float[np.ndarray, "two step"] | None = None,
    is_exact: Bool[np.ndarray, " step"] | None = None,
) -> Figure:
    """Effects of an edit of each step, with those of random stretches of as many tokens as lines across the bars.

    Args:
        effects: the effect of each step; NaN where it was not measured.
        null: the effect of random spans of as many tokens for each step; None to draw no lines.
        steps: the name of each step, in order.
        unit: the unit of the effects, such as "logits".
        interval: the low and the high ends of the effects; None to draw no intervals.
        is_exact: which effects are exact, the others being approximate and hatched; None if all are exact.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    names, missing = list(steps), np.isnan(effects)
    bars = go.Bar(name="step", x=names, y=effects, marker_color=get_colour(0, 0.6))
    bars.update(hovertemplate=f"%{{x}}: %{{y:.3f}} {escape_text(unit)}<extra></extra>")
    if is_exact is not None:
        bars.update(marker_pattern_shape=["" if exact else "/" for exact in is_exact])
    if interval is not None:
        spread = {"array": interval[1] - effects, "arrayminus": effects - interval[0], "type": "data"}
        bars.update(error_y=spread | {"color": GREY, "width": 0, "thickness": float(np.clip(60 / len(names), 1, 2))})
    figure = go.Figure(bars)
    if null is not None:
        marks = {"symbol": "line-ew-open", "size": float(np.clip(380 / len(names), 4, 60)), "color": SUBJECT_COLOURS[1]}
        line = go.Scatter(name="random stretch", x=names, y=null, mode="markers", marker=marks)
        figure.add_trace(line.update(marker_line_width=2.5, hovertemplate="random stretch: %{y:.3f}<extra></extra>"))
    if missing.any():
        missing_names = [name for name, is_missing in zip(names, missing, strict=True) if is_missing]
        marks = {"symbol": "x-thin-open", "size": 7, "color": GREY}
        figure.add_trace(
            go.Scatter(name="not measured", x=missing_names, y=[0] * len(missing_names), mode="markers", marker=marks)
        )
    figure.update_layout(showlegend=null is not None or bool(missing.any())).update_xaxes(
        make_ticks(steps, MAX_X_LABELS)
    )
    figure.update_xaxes(range=[-0.5, len(names) - 0.5])
    note = "" if is_exact is None else " (hatched: approximate)"
    return format_axes(figure, "", f"effect, {escape_text(unit)}{note}")


def plot_readiness(ready: pd.DataFrame, onset: pd.DataFrame) -> Figure:
    """How probable the final answer is at the end of each piece of the chain, in the last layer and four before it.

    Tables as of `effects.views`, means over traces. The columns behind the curves are the shares of traces whose onset
    in the last layer is there.

    Args:
        ready: a table from `fl.effects.measure_readiness`.
        onset: the table that `fl.effects.find_onset` makes of it.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    pieces, traces = _order_pieces(ready), ready["trace"].nunique()
    layers = np.unique(ready["layer"])
    some_layers = layers[np.unique(np.linspace(0, len(layers) - 1, 5).round().astype(int))]
    figure = go.Figure(_make_onset_bars(onset, int(some_layers[-1]), pieces, traces))
    for i, layer in enumerate(map(int, some_layers)):
        part = ready[ready["layer"] == layer].groupby("piece")["probability"].agg(["mean", "count"]).reindex(pieces)
        line = go.Scatter(name=f"layer {layer}", x=pieces, y=part["mean"], customdata=part["count"], mode="lines")
        is_last = layer == some_layers[-1]
        line.update(line_color=get_colour(0, 1.0 if is_last else 0.5 + 0.06 * i), line_width=3.5 if is_last else 1.5)
        hover = f"layer {layer}, end of %{{x}}: %{{y:.3f}}" + (", %{customdata} traces" if traces > 1 else "")
        figure.add_trace(line.update(hovertemplate=hover + "<extra></extra>"))
    figure.update_layout(bargap=0.15, showlegend=True).update_xaxes(make_ticks(pieces, MAX_X_LABELS))
    figure.update_yaxes(range=[-0.03, 1.05], tickvals=[0, 0.25, 0.5, 0.75, 1])
    format_axes(figure, "end of", "probability of the final answer")
    beside = {"orientation": "v", "x": 1.02, "y": 1, "yanchor": "top", "traceorder": "reversed"}
    return figure.update_layout(legend=beside, margin_t=24)


def plot_probe_by_layer(table: pd.DataFrame, metric: str) -> Figure:
    """A probe's held-out `metric` by layer with its 95 % band, above its baselines.

    Args:
        table: the table of a `fl.effects.Commitment` for one metric: a row for each layer.
        metric: the name of the metric, for the axis.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    layers = table["layer"]
    band = {"x": [*layers, *layers[::-1]], "y": [*table["high"], *table["low"][::-1]]}
    area = go.Scatter(
        **band, mode="lines", line_width=0, fill="toself", fillcolor=get_colour(0, 0.16), showlegend=False
    )
    figure = go.Figure(area.update(hoverinfo="skip"))
    for i, (name, column) in enumerate({"probe": "value", "tokens": "text", "frequencies": "prior"}.items()):
        line = go.Scatter(x=layers, y=table[column], name=name, mode="lines+markers" if i == 0 else "lines")
        figure.add_trace(
            line.update(line_color=get_colour(0) if i == 0 else GREY, line_dash=("solid", "dash", "dot")[i])
        )
    return format_axes(figure, "layer", metric).update_yaxes(range=[-0.03, 1.05])


def plot_step_groups(table: pd.DataFrame, columns: Sequence[str], unit: str, seed: int = 0) -> Figure:
    """Several effects of the same steps, mean over questions with its 95 % interval, a group of points for each step.

    Args:
        table: one row for each step of each chain, with the columns question and step, and one for each effect.
        columns: the columns of the effects, differences of probabilities; NaN where a step has no such effect.
        unit: the unit of the effects.
        seed: the seed of the intervals.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    steps = sorted(table["step"].unique())
    figure = go.Figure()
    for i, column in enumerate(columns):
        by_question = table.groupby(["step", "question"])[column].mean()
        means = [compute_mean_interval(by_question[step].to_numpy(float), (-1.0, 1.0), seed) for step in steps]
        value, low, high = (np.array([getattr(mean, end) for mean in means]) for end in ("value", "low", "high"))
        bars = {"type": "data", "array": high - value, "arrayminus": value - low, "color": get_colour(i), "width": 0}
        points = go.Scatter(x=[f"step {step + 1}" for step in steps], y=value, name=column, mode="markers")
        figure.add_trace(points.update(marker={"size": 7, "color": get_colour(i)}, error_y=bars))
    figure.update_layout(scattermode="group", showlegend=True)
    figure.update_xaxes(make_ticks([f"step {step + 1}" for step in steps], MAX_X_LABELS))
    return format_axes(figure, "", f"effect, {escape_text(unit)}")


def plot_decision(lens: pd.Series, probe: pd.DataFrame) -> Figure:
    """How surely the final answer can be read along the chain, in one layer.

    Args:
        lens: the mean probability of the final answer by the logit lens, by place: 0 the end of the prompt, 1 that of
            the last step.
        probe: one row for each place: `value`, the accuracy of the probe, with `low` and `high`, and its baselines
            `text` and `prior`.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    above, below = probe["high"] - probe["value"], probe["value"] - probe["low"]
    bars = {"type": "data", "array": above, "arrayminus": below, "color": get_colour(0), "width": 0}
    line = go.Scatter(x=probe["place"], y=probe["value"], name="probe", mode="lines+markers", error_y=bars)
    figure = go.Figure(line.update(line_color=get_colour(0)))
    for name, x, y, dash in (
        ("lens", lens.index, lens, "solid"), ("tokens", probe["place"], probe["text"], "dash"),
        ("frequencies", probe["place"], probe["prior"], "dot"),
    ):  # fmt: skip
        colour = get_colour(1) if name == "lens" else GREY
        figure.add_trace(go.Scatter(x=x, y=y, name=name, mode="lines", line={"color": colour, "dash": dash}))
    figure.update_yaxes(range=[-0.03, 1.05])
    return format_axes(figure, "share of the chain", "accuracy, or probability of the final answer")


def plot_agreement(tables: Mapping[str, pd.DataFrame], correlation: str = "raw") -> Figure:
    """Rank correlations with their 95 % intervals.

    Args:
        tables: by what is compared, the table from `fl.stats.compute_rank_agreement`.
        correlation: a second correlation of these tables to draw beside the raw one.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for i, kind in enumerate(dict.fromkeys(("raw", correlation))):
        rows = pd.concat([table[table["correlation"] == kind] for table in tables.values()])
        above, below = rows["high"] - rows["value"], rows["value"] - rows["low"]
        bars = {"type": "data", "array": above, "arrayminus": below, "color": get_colour(i)}
        points = go.Scatter(x=[escape_text(name) for name in tables], y=rows["value"], name=kind, mode="markers")
        figure.add_trace(points.update(marker={"size": 9, "color": get_colour(i)}, error_y=bars))
    figure.update_layout(scattermode="group", showlegend=True).update_xaxes(type="category")
    return format_axes(figure, "", "rank correlation within questions").update_yaxes(range=[-1.05, 1.05])


def _make_onset_bars(onset: pd.DataFrame, layer: int, pieces: list[str], traces: int) -> Bar:
    """Share of the traces whose onset is at each piece in `layer`; some have none."""
    import plotly.graph_objects as go

    known = onset[onset["layer"] == layer]["piece"].dropna()
    share = known.value_counts().reindex(pieces, fill_value=0) / traces
    name = f"{'onset' if len(known) else 'no onset'}, layer {layer}"
    name += f"<br>{len(known)} of {traces} traces" if traces > 1 else ""
    hover = "onset in %{y:.0%} of traces: %{x}<extra></extra>"
    return go.Bar(name=name, x=pieces, y=share, marker_color=get_colour(1, 0.4), hovertemplate=hover)


def _make_heatmap(
    values: NDArray[np.float64], x: Sequence[str], y: Sequence[str], hover: str, unit: str, signed: bool = False
) -> Heatmap:
    import plotly.graph_objects as go

    drawn = go.Heatmap(z=values, x=list(x), y=list(y), hoverongaps=False, hovertemplate=hover + "<extra></extra>")
    gap = 1 if max(values.shape) <= 60 else 0
    return drawn.update(
        make_shading(values, signed),
        xgap=gap,
        ygap=gap,
        colorbar={"title": {"text": escape_text(unit), "font_size": 13}, "outlinewidth": 0},
    )


def _format_map_axes(figure: Figure, x: str, y: str, height: int) -> Figure:
    """Axes of a heat map: no lines across the cells, no room for a legend."""
    return format_axes(figure, x, y, height=height).update_yaxes(showgrid=False).update_layout(margin_t=24)


def _order_pieces(ready: pd.DataFrame) -> list[str]:
    """Pieces along the chain; traces may have more or fewer, and the longest has them all."""
    chains = [list(dict.fromkeys(part["piece"])) for _, part in ready.groupby("trace", sort=False)]
    return list(dict.fromkeys(piece for chain in sorted(chains, key=len, reverse=True) for piece in chain))
