"""How much of the answer comes which way: through what the chain of thought says, its positions, or around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from faithlens.errors import MeasureError, check_choice
from faithlens.figures.style import GREY, NEGATIVE_COLOUR, POSITIVE_COLOUR, escape_text, find_largest, format_axes
from faithlens.stats.number import format_number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

EffectValue = float | tuple[float, float, float]
"""A value, or a value with the low and the high end of its interval."""

PATH_LABELS = {
    "content": ("what it says", "NIE"),
    "relay": ("its positions, whatever they say", "relay"),
    "question": ("around what it says", "NDE"),
}
SUM_NAMES = ("total", "interaction")
FIGURE_WIDTH, LANE_HEIGHT = 760, 80  # pixels
QUESTION_BOX, CHAIN_BOX, ANSWER_BOX = (0.0, 0.13), (0.25, 0.75), (0.87, 1.0)  # where the boxes begin and end
PALE = "rgba(128, 134, 143, 0.55)"
MIN_ARROW_WIDTH, MAX_ARROW_WIDTH = 1.2, 10.0  # pixels


def plot_path_diagram(effects: Mapping[str, EffectValue], unit: str) -> Figure:
    """Paths from question to answer, as wide as their effects, which are written on them.

    Args:
        effects: by name, the effects that are drawn as paths, any of `content` (NIE), `question` (NDE) and `relay`
            (the part of the question that comes by the positions of the chain; it is measured by other means and is no
            summand of the total), and those that are written below, `total` and `interaction`. NaN stands for an
            effect that was not measured. Effects whose interval holds 0 are drawn faint, and without an interval those
            below a fiftieth of the largest.
        unit: the unit of all effects.

    Returns:
        A plotly figure.

    Raises:
        MeasureError: an effect of another name, or no path.
    """
    import plotly.graph_objects as go

    for name in effects:
        check_choice(name, (*PATH_LABELS, *SUM_NAMES), "effect of a path diagram", MeasureError)
    lanes = [name for name in PATH_LABELS if name in effects]
    if not lanes:
        problem = f"a path diagram needs the effect of a path, got only {', '.join(effects) or 'no effect'}"
        raise MeasureError(problem, f"Pass some of {', '.join(PATH_LABELS)}.")
    figure, bottom = go.Figure(), LANE_HEIGHT * len(lanes)
    most = find_largest(np.array([_split_effect(effect)[0] for effect in effects.values()]))
    _add_box(figure, QUESTION_BOX, bottom, "question")
    _add_box(figure, ANSWER_BOX, bottom, "answer")
    if inside := [name for name in lanes if name != "question"]:
        _add_box(figure, CHAIN_BOX, LANE_HEIGHT * len(inside), "")
        figure.add_annotation(x=0.5, y=-14, text="chain of thought")
    for i, name in enumerate(lanes):
        _add_lane(figure, name, LANE_HEIGHT * (i + 0.5), effects[name], most)
    sums = [f"{name}  <b>{_format_effect(effects[name])}</b>" for name in SUM_NAMES if name in effects]
    figure.add_annotation(x=0.5, y=bottom + 30, text="      ".join([*sums, f"in {escape_text(unit)}"]))
    figure.update_annotations(selector={"arrowwidth": None}, showarrow=False)
    figure.update_xaxes(visible=False, range=[-0.01, 1.01]).update_yaxes(visible=False, range=[bottom + 50, -36])
    format_axes(figure, "", "", height=bottom + 102)
    return figure.update_layout(width=FIGURE_WIDTH, margin={"l": 8, "r": 8, "t": 8, "b": 8})


def _add_box(figure: Figure, ends: tuple[float, float], bottom: int, text: str) -> None:
    figure.add_shape(type="rect", x0=ends[0], x1=ends[1], y0=0, y1=bottom, line={"color": GREY, "width": 1.5})
    figure.add_annotation(x=sum(ends) / 2, y=bottom / 2, text=text)


def _add_lane(figure: Figure, name: str, y: float, effect: EffectValue, most: float) -> None:
    """One path: what it is and how strong, and its arrows, which run into the chain's box or pass beneath it."""
    words, short = PATH_LABELS[name]
    passes = name == "question"
    figure.add_annotation(x=0.5, y=y - 6 * passes, text=f"{words}<br><b>{short}  {_format_effect(effect)}</b>")
    value, low, high = _split_effect(effect)
    if np.isnan(value):
        return
    faint = abs(value) < most / 50 if np.isnan(low) else low <= 0 <= high
    shade = PALE if faint else POSITIVE_COLOUR if value > 0 else NEGATIVE_COLOUR
    width = MIN_ARROW_WIDTH + (MAX_ARROW_WIDTH - MIN_ARROW_WIDTH) * abs(value) / most
    for start, end in (
        [(QUESTION_BOX[1], ANSWER_BOX[0])]
        if passes
        else [(QUESTION_BOX[1], CHAIN_BOX[0]), (CHAIN_BOX[1], ANSWER_BOX[0])]
    ):
        arrow = {"arrowwidth": width, "arrowcolor": shade, "arrowhead": 2, "arrowsize": 0.85 + 0.5 / width}
        place = {"x": end, "ax": start, "y": y + 23 * passes, "ay": y + 23 * passes, "axref": "x", "ayref": "y"}
        figure.add_annotation(arrow | place, showarrow=True)


def _split_effect(effect: EffectValue) -> tuple[float, float, float]:
    """Value and interval, NaN where none is given."""
    return effect if isinstance(effect, tuple) else (effect, np.nan, np.nan)


def _format_effect(effect: EffectValue) -> str:
    value, low, high = _split_effect(effect)
    if np.isnan(value):
        return "not measured"
    return format_number(value) + ("" if np.isnan(low) else f"  [{format_number(low)}, {format_number(high)}]")
