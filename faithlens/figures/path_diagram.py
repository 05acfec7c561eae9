"""How much of the answer comes which way: through what the chain of thought says, its positions, or around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from faithlens.errors import MeasureError, suggest_names
from faithlens.figures.style import DOWN, GREY, UP, axes, largest, safe
from faithlens.stats.verdict import plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Effect = float | tuple[float, float, float]
"""A value, or a value with the low and the high end of its interval."""

PATHS = {
    "content": ("what it says", "NIE"),
    "relay": ("its positions, whatever they say", "relay"),
    "question": ("around what it says", "NDE"),
}
SUMS = ("total", "interaction")
WIDTH, LANE = 760, 80  # pixels
QUESTION, CHAIN, ANSWER = (0.0, 0.13), (0.25, 0.75), (0.87, 1.0)  # where the boxes begin and end
PALE = "rgba(128, 134, 143, 0.55)"
THIN, THICK = 1.2, 10.0  # pixels


def path_diagram(effects: Mapping[str, Effect], unit: str) -> Figure:
    """Paths from question to answer, as wide as their effects, which are written on them.

    Args:
        effects: any of `content` (NIE), `question` (NDE) and `relay`, what of the question comes by the positions: it
            is measured by other means, and no summand of the total beside the NDE; and `total` and `interaction`,
            which are written below. A path is drawn if it is named; NaN is not measured. Effects whose interval holds
            0, and without interval those below a fiftieth of the largest, are drawn faint.
        unit: of all.

    Raises:
        MeasureError: an effect of another name, or no path.
    """
    import plotly.graph_objects as go

    for name in effects:
        if name not in (*PATHS, *SUMS):
            raise MeasureError(
                f"the effect {name!r} in a path diagram", "no such path", suggest_names(name, (*PATHS, *SUMS))
            )
    lanes = [name for name in PATHS if name in effects]
    if not lanes:
        raise MeasureError("a path diagram", "no path among the effects", f"give some of {', '.join(PATHS)}")
    figure, bottom = go.Figure(), LANE * len(lanes)
    most = largest(np.array([_parts(effect)[0] for effect in effects.values()]))
    _box(figure, QUESTION, bottom, "question")
    _box(figure, ANSWER, bottom, "answer")
    if inside := [name for name in lanes if name != "question"]:
        _box(figure, CHAIN, LANE * len(inside), "")
        figure.add_annotation(x=0.5, y=-14, text="chain of thought")
    for i, name in enumerate(lanes):
        _lane(figure, name, LANE * (i + 0.5), effects[name], most)
    sums = [f"{name}  <b>{_written(effects[name])}</b>" for name in SUMS if name in effects]
    figure.add_annotation(x=0.5, y=bottom + 30, text="      ".join([*sums, f"in {safe(unit)}"]))
    figure.update_annotations(selector={"arrowwidth": None}, showarrow=False)
    figure.update_xaxes(visible=False, range=[-0.01, 1.01]).update_yaxes(visible=False, range=[bottom + 50, -36])
    axes(figure, "", "", height=bottom + 102)
    return figure.update_layout(width=WIDTH, margin={"l": 8, "r": 8, "t": 8, "b": 8})


def _box(figure: Figure, ends: tuple[float, float], bottom: int, text: str) -> None:
    figure.add_shape(type="rect", x0=ends[0], x1=ends[1], y0=0, y1=bottom, line={"color": GREY, "width": 1.5})
    figure.add_annotation(x=sum(ends) / 2, y=bottom / 2, text=text)


def _lane(figure: Figure, name: str, y: float, effect: Effect, most: float) -> None:
    """One path: what it is and how strong, and its arrows, which run into the chain's box or pass beneath it."""
    words, short = PATHS[name]
    passes = name == "question"
    figure.add_annotation(x=0.5, y=y - 6 * passes, text=f"{words}<br><b>{short}  {_written(effect)}</b>")
    value, low, high = _parts(effect)
    if np.isnan(value):
        return
    faint = abs(value) < most / 50 if np.isnan(low) else low <= 0 <= high
    shade = PALE if faint else UP if value > 0 else DOWN
    width = THIN + (THICK - THIN) * abs(value) / most
    for start, end in [(QUESTION[1], ANSWER[0])] if passes else [(QUESTION[1], CHAIN[0]), (CHAIN[1], ANSWER[0])]:
        arrow = {"arrowwidth": width, "arrowcolor": shade, "arrowhead": 2, "arrowsize": 0.85 + 0.5 / width}
        place = {"x": end, "ax": start, "y": y + 23 * passes, "ay": y + 23 * passes, "axref": "x", "ayref": "y"}
        figure.add_annotation(arrow | place, showarrow=True)


def _parts(effect: Effect) -> tuple[float, float, float]:
    """Value and interval, NaN where none is given."""
    return effect if isinstance(effect, tuple) else (effect, np.nan, np.nan)


def _written(effect: Effect) -> str:
    value, low, high = _parts(effect)
    if np.isnan(value):
        return "not measured"
    return plain(value) + ("" if np.isnan(low) else f"  [{plain(low)}, {plain(high)}]")
