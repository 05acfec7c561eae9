"""Figures from tables: data frame in, plotly figure out. The same ones serve the page and the notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from faithlens.figures.style import GREY, SEQUENTIAL_SCALE, escape_text, format_axes, get_colour
from faithlens.measures.catalogue import get_measure
from faithlens.stats.grid import CELL_NAMES
from faithlens.stats.number import format_ends

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

CELL_COLOURS = dict(zip(CELL_NAMES, ("#2d9d78", "#c9504f", "#d9a02b", "#7d8ca3", "#b9bec7"), strict=True))
EFFECT_MEASURES = ("mediation.total", "mediation.content", "mediation.question", "knockout.steps")


def plot_early_answering(estimates: pd.DataFrame) -> Figure:
    """Share of answers already final when the chain of thought is cut, with 95 % bands.

    The bars at 0 span what the accuracies with and without chain of thought allow there (`bound.change_*`).

    Args:
        estimates: the table `estimates` of a run, or of several runs together.

    Returns:
        A plotly figure.
    """
    figure = _plot_curves(estimates, "early_answering.retention")
    for i, (_, part) in enumerate(split_by_subject(estimates)):
        bound = part[part["measure"].isin(("bound.change_low", "bound.change_high"))].set_index("measure")["value"]
        if len(bound) == 2:
            ends = [1 - bound["bound.change_high"], 1 - bound["bound.change_low"]]
            _add_bound_bar(figure, i, ends)
    return format_axes(figure, "share of the steps kept", "same answer as with all steps", share=True)


def plot_mistakes(estimates: pd.DataFrame) -> Figure:
    """Share of answers unchanged when the step at this point is made wrong and the rest stays, with 95 % bands.

    Args:
        estimates: the table `estimates` of a run, or of several runs together.

    Returns:
        A plotly figure.
    """
    figure = _plot_curves(estimates, "mistakes.retention")
    return format_axes(
        figure, "share of the steps before the mistake", "same answer as without the mistake", share=True
    )


def plot_mediation(estimates: pd.DataFrame) -> Figure:
    """Falls of the answer's probability, with 95 % intervals: both swapped, words, question, steps hidden.

    Args:
        estimates: the table `estimates` of a run, or of several runs together.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for i, (name, part) in enumerate(split_by_subject(estimates)):
        rows = (
            part[part["step"].isna() & part["fraction"].isna()]
            .set_index("measure")
            .reindex(EFFECT_MEASURES)
            .dropna(subset="value")
        )
        error = {"type": "data", "array": rows["high"] - rows["value"], "arrayminus": rows["value"] - rows["low"]}
        bars = go.Bar(
            name=name,
            x=[get_measure(measure).label for measure in rows.index],
            y=rows["value"],
            error_y=error | {"color": GREY, "thickness": 1.5},
            marker_color=get_colour(i),
        )
        figure.add_trace(bars)
    return format_axes(figure.update_layout(barmode="group"), "", "fall of the answer's probability")


def plot_attention_by_step(estimates: pd.DataFrame) -> Figure:
    """Attention from the answer to the prompt and to each step, mean over layers and heads, with 95 % intervals.

    Args:
        estimates: the table `estimates` of a run, or of several runs together.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for i, (name, part) in enumerate(split_by_subject(estimates)):
        rows = part[part["measure"] == "attention.span"].sort_values("step", na_position="first")
        rows = rows[rows["value"].notna()]
        if len(rows):
            error = {"type": "data", "array": rows["high"] - rows["value"], "arrayminus": rows["value"] - rows["low"]}
            x = ["prompt" if pd.isna(step) else f"step {step + 1}" for step in rows["step"]]
            bars = go.Bar(name=name, x=x, y=rows["value"], error_y=error | {"color": GREY}, marker_color=get_colour(i))
            hover = "%{x}: %{y:.2f} (%{customdata})"
            intervals = list(map(format_ends, rows["low"], rows["high"]))
            figure.add_trace(bars.update(customdata=intervals, hovertemplate=hover))
    steps = int(estimates.loc[estimates["measure"] == "attention.span", "step"].max(skipna=True) or 0)
    order = ["prompt", *(f"step {step + 1}" for step in range(steps + 1))]
    figure.update_layout(barmode="group").update_xaxes(categoryorder="array", categoryarray=order)
    return format_axes(figure, "", "share of attention")


def plot_decision_grid(subjects: Sequence[Mapping[str, Any]]) -> Figure:
    """Questions in each cell of the decision grid, one bar a subject.

    Args:
        subjects: entries of verdict.json, one for each model and task.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    names = [f"{escape_text(s['model'])}<br>{escape_text(s['task'])}" for s in subjects]
    figure = go.Figure()
    for cell in CELL_NAMES:
        counts = [s["cells"].get(cell, 0) for s in subjects]
        if any(counts):
            text = [str(n) if n else "" for n in counts]
            bars = go.Bar(
                name=cell,
                x=counts,
                y=names,
                orientation="h",
                text=text,
                textposition="inside",
                insidetextanchor="middle",
            )
            figure.add_trace(bars.update(marker_color=CELL_COLOURS[cell], textfont_color="white", textangle=0))
    figure.update_layout(barmode="stack", bargap=0.35).update_yaxes(autorange="reversed")
    figure.update_layout(legend_traceorder="normal")
    return format_axes(figure, "questions", "", height=150 + 46 * len(names))


def plot_answers(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """What one question's conditions answer.

    Args:
        tables: for each model, by name, its table from `fl.answer_table`.

    Returns:
        A plotly figure.
    """
    return _plot_heat_maps(tables, "candidate answer", "", "probability")


def plot_answer_by_cut(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The final answer's probability as the chain of thought is cut.

    Args:
        tables: for each model, by name, its table from `fl.answer_table`.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for i, (name, table) in enumerate(tables.items()):
        final = str(table.loc["full"].idxmax())
        cuts = sorted(int(name.removeprefix("cut@")) for name in table.index if name.startswith("cut@"))
        n = cuts[-1] + 1  # the cut before the last step is always among them
        curve = table.loc[[*(f"cut@{t}" for t in cuts), "full"], final]
        line = go.Scatter(x=[*(t / n for t in cuts), 1], y=curve, name=escape_text(name), mode="lines+markers")
        figure.add_trace(line.update(line_color=get_colour(i)))
    return format_axes(figure, "share of the steps kept", "probability of the final answer", share=True)


def plot_answer_by_knockout(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Falls of the final answer's probability in the knockouts.

    Args:
        tables: for each model, by name, its table from `fl.answer_table`.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for i, (name, table) in enumerate(tables.items()):
        final = table[str(table.loc["full"].idxmax())]
        fall = final[final.index.str.startswith("knockout:")].rsub(final["full"])
        x = [condition.removeprefix("knockout:") for condition in fall.index]
        figure.add_trace(go.Bar(name=escape_text(name), x=x, y=fall, marker_color=get_colour(i)))
    figure.update_layout(barmode="group", showlegend=True)
    return format_axes(figure, "hidden from the answer", "fall of the answer's probability")


def plot_attention_by_head(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Attention to all steps together, layer by head.

    Args:
        tables: for each model, by name, its table from `fl.attention_table`.

    Returns:
        A plotly figure.
    """
    steps = {name: table.filter(regex="^step ").sum(axis=1).unstack() for name, table in tables.items()}
    return _plot_heat_maps(steps, "head", "layer", "attention to the steps")


def plot_attention_by_piece(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Attention to each piece, mean over layers and heads.

    Args:
        tables: for each model, by name, its table from `fl.attention_table`.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    bars = [
        go.Bar(name=escape_text(name), x=table.columns, y=table.mean(), marker_color=get_colour(i))
        for i, (name, table) in enumerate(tables.items())
    ]
    figure = go.Figure(bars).update_layout(barmode="group", showlegend=True)
    return format_axes(figure, "", "share of attention")


def _plot_heat_maps(tables: Mapping[str, pd.DataFrame], x: str, y: str, value: str) -> Figure:
    """Tables of fractions side by side, as heat maps on one scale from 0 to 1."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    rows = [tuple(table.index) for table in tables.values()]
    shared = len(set(rows)) == 1  # else each map needs room for its row names
    space = (0.05 if shared else 0.25) / max(1, len(tables) - 1)
    titles = [escape_text(name) for name in tables]
    figure = make_subplots(1, len(tables), subplot_titles=titles, horizontal_spacing=space, shared_yaxes=shared)
    hover = f"{y or 'row'} %{{y}}, {x} %{{x}}: %{{z:.3f}}<extra></extra>"
    for i, table in enumerate(tables.values(), start=1):
        x_names, y_names = ([str(label) for label in axis] for axis in (table.columns, table.index))
        drawn = go.Heatmap(
            z=table.to_numpy(), x=x_names, y=y_names, coloraxis="coloraxis", hovertemplate=hover, xgap=1, ygap=1
        )
        figure.add_trace(drawn, 1, i)
    scale = {"colorscale": SEQUENTIAL_SCALE, "cmin": 0, "cmax": 1, "colorbar_title": value}
    figure.update_layout(coloraxis=scale).update_xaxes(type="category").update_yaxes(
        type="category", autorange="reversed"
    )
    format_axes(figure, x, "").update_yaxes(showgrid=False)
    return figure.update_yaxes(title_text=y, col=1 if shared else None)


def split_by_subject(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and rows of each (model, task), in the frame's order; the task is named where a model has several."""
    tasks = frame.groupby("model")["task"].nunique()
    for (model, task), part in frame.groupby(["model", "task"], sort=False):
        yield escape_text(f"{model}, {task}" if tasks[str(model)] > 1 else str(model)), part


def _plot_curves(estimates: pd.DataFrame, measure: str) -> Figure:
    """A line and its band a subject."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for i, (name, part) in enumerate(split_by_subject(estimates)):
        for trace in draw_band(part[(part["measure"] == measure) & part["value"].notna()], name, i):
            figure.add_trace(trace)
    return figure


def draw_band(rows: pd.DataFrame, name: str, i: int) -> Iterator[Scatter]:
    """A curve's band and its line; nothing where it has no points."""
    import plotly.graph_objects as go

    if rows.empty:
        return
    rows = rows.sort_values("fraction")
    known = rows.dropna(subset=["low", "high"])  # where an interval is withheld there is a line without a band
    band = {"x": [*known["fraction"], *known["fraction"][::-1]], "y": [*known["high"], *known["low"][::-1]]}
    area = go.Scatter(
        **band, mode="lines", line_width=0, fill="toself", fillcolor=get_colour(i, 0.16), legendgroup=name
    )
    yield area.update(hoverinfo="skip", showlegend=False)
    hover = "%{x:.0%} of the steps: %{y:.2f} (%{customdata[0]}, %{customdata[1]} questions)"
    line = go.Scatter(x=rows["fraction"], y=rows["value"], name=name, mode="lines+markers", legendgroup=name)
    details = list(zip(map(format_ends, rows["low"], rows["high"]), rows["n_used"], strict=True))
    yield line.update(line_color=get_colour(i), customdata=details, hovertemplate=hover)


def _add_bound_bar(figure: Figure, i: int, ends: list[float]) -> None:
    """What the accuracies allow at the empty chain of thought, drawn just left of 0."""
    import plotly.graph_objects as go

    at = -0.02 - 0.018 * i
    hover = f"the accuracies allow {ends[0]:.2f} to {ends[1]:.2f} here"
    bar = go.Scatter(
        x=[at, at], y=ends, mode="lines+markers", showlegend=False, hovertemplate=hover + "<extra></extra>"
    )
    bar.update(line={"color": get_colour(i), "width": 2, "dash": "dot"}, marker={"symbol": "line-ew-open", "size": 8})
    figure.add_trace(bar)
