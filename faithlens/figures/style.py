"""What all figures share: colours that read on a light and on a dark page, words made safe, axes, ticks.

Backgrounds are clear and the text is mid-grey. Shades run to a faint grey at 0 rather than to white, so that small
values recede on either page, and a missing value, which is the bare page, still differs from 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SUBJECT_COLOURS = ("#2a7fbf", "#d9792b", "#2d9d78", "#a463c9", "#c9504f", "#8a8f3c")
"""One colour a subject; they can be distinguished on white, on black, and by most colour-blind readers."""

GREY, FAINT = "#70777f", "rgba(128, 134, 143, 0.25)"  # 4.5 : 1 and more on white and on black, as WCAG AA asks of text
POSITIVE_COLOUR, NEGATIVE_COLOUR = SUBJECT_COLOURS[0], SUBJECT_COLOURS[4]
SEQUENTIAL_SCALE = ((0.0, "rgba(128, 134, 143, 0.13)"), (0.12, "rgba(42, 127, 191, 0.2)"), (1.0, POSITIVE_COLOUR))
DIVERGING_SCALE = (
    (0.0, NEGATIVE_COLOUR),
    (0.44, "rgba(201, 80, 79, 0.2)"),
    *((0.5 + share / 2, shade) for share, shade in SEQUENTIAL_SCALE),
)


def get_colour(i: int, alpha: float = 1.0) -> str:
    """The i-th subject's colour."""
    red, green, blue = (int(SUBJECT_COLOURS[i % len(SUBJECT_COLOURS)][k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {alpha})"


def find_largest(values: NDArray[np.float64]) -> float:
    """What a scale must reach, of either sign; 1 where nothing was measured or all is 0."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0)) or 1.0


def make_shading(values: NDArray[np.float64], signed: bool = False) -> dict[str, Any]:
    """Scale of a heat map: as far down as up where values are or could be negative, else from 0 up."""
    most = find_largest(values)
    if signed or (values < 0).any():
        return {"zmin": -most, "zmax": most, "colorscale": DIVERGING_SCALE}
    return {"zmin": 0.0, "zmax": most, "colorscale": SEQUENTIAL_SCALE}


def escape_text(text: str) -> str:
    """Text as plotly shows it literally: no markup, and no dollars, between which it would set mathematics."""
    return escape(text, quote=False).replace("$", "&#36;")


def thin_names(names: Sequence[str], max_labels: int) -> list[str]:
    """About `max_labels` of the names at most, evenly spaced: round numbers, and all names without a number."""
    stride = next(
        base * 10**power for power in range(9) for base in (1, 2, 5) if base * 10**power * max_labels >= len(names)
    )
    if stride == 1:
        return list(names)
    numbers = [int(match[0]) if (match := re.search(r"\d+$", name)) else None for name in names]
    if not any(number is not None for number in numbers):
        return list(names[::stride])
    chosen: list[int] = []
    for i in sorted(range(len(names)), key=lambda i: numbers[i] is not None):  # the unnumbered come first
        number = numbers[i]
        if (number is None or number % stride == 0) and all(abs(i - j) >= 0.7 * stride for j in chosen):
            chosen.append(i)
    return [names[i] for i in sorted(chosen)]


def make_ticks(names: Sequence[str], max_labels: int, longest: int = 16) -> dict[str, Any]:
    """A category axis in the order of `names`, labelled at some of them, and briefly."""
    labelled = thin_names(names, max_labels)
    brief = [escape_text(name if len(name) <= longest else name[: longest - 1] + "…") for name in labelled]
    order = {"categoryorder": "array", "categoryarray": list(names)}
    return {"type": "category", "tickmode": "array", "tickvals": labelled, "ticktext": brief, **order}


def format_axes(figure: Figure, x: str, y: str, share: bool = False, height: int = 380) -> Figure:
    """Titles, quiet grid lines, the legend above; `share` for shares of steps against shares of answers."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 62, "r": 16, "t": 56, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": GREY, "family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    lines = {"gridcolor": FAINT, "zerolinecolor": FAINT, "linecolor": FAINT, "automargin": True}
    figure.update_xaxes(title_text=x, title_standoff=8, showgrid=False, **lines)
    figure.update_yaxes(title_text=y, **lines)
    if share:
        figure.update_xaxes(tickvals=[0, 0.25, 0.5, 0.75, 1], tickformat=".0%", range=[-0.12, 1.03])
        figure.update_yaxes(range=[-0.03, 1.05], tickvals=[0, 0.25, 0.5, 0.75, 1])
    return figure
