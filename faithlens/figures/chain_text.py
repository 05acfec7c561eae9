"""The chain of thought as text, with what each step is worth beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from faithlens.errors import MeasureError
from faithlens.figures.style import escape_text, find_largest, format_axes, make_shading

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ROW_LETTERS = 72  # of text in a row
# In pixels. A monospaced letter is as wide in any font, so no text has to be measured.
LETTER_WIDTH, LINE_HEIGHT, ROW_PADDING = 7.3, 17, 9
TILE_WIDTH, COLUMN_WIDTH = 34, 118  # pixels: a shaded cell; and the cell, its number and the gap to the next column
MAX_WRAPPED_STEPS = 30  # steps; more of them get a line each


def plot_shaded_steps(texts: Sequence[str], columns: Mapping[str, Sequence[float]]) -> Figure:
    """One row for each step: its text, and for each column a shaded cell and the number; NaN leaves the cell bare.

    Each column has its own scale: from 0 up where nothing is negative, else as far down as up. Long steps are
    shortened, and the pointer shows their whole text. Numbers stand beside the cells, since no colour of letters can be
    read on every shade over both a light and a dark page.

    Args:
        texts: the text of each step.
        columns: by the heading of a column, a number for each step.

    Returns:
        A plotly figure.

    Raises:
        MeasureError: a column has more or fewer numbers than there are steps.
    """
    import plotly.graph_objects as go

    for name, values in columns.items():
        if len(values) != len(texts):
            problem = (
                f"the column {name!r} must have one number a step, got {len(values)} numbers for {len(texts)} steps"
            )
            raise MeasureError(problem, "Pass one number for each step, NaN where it is missing.")
    rows = [_wrap_text(text, 3 if len(texts) <= MAX_WRAPPED_STEPS else 1) for text in texts]
    edges = np.cumsum([0.0, *(LINE_HEIGHT * len(row) + ROW_PADDING for row in rows)])
    middles = (edges[:-1] + edges[1:]) / 2
    starts = ROW_LETTERS * LETTER_WIDTH + 28 + COLUMN_WIDTH * np.arange(len(columns), dtype=np.float64)
    figure = go.Figure()
    for start, (name, values) in zip(starts, columns.items(), strict=True):
        value = np.asarray(values, dtype=float)
        tiles = go.Heatmap(z=value[:, None], x=[start, start + TILE_WIDTH], y=edges, showscale=False, ygap=1)
        hover = f"step %{{customdata}}, {escape_text(name)}: %{{z:.4g}}<extra></extra>"
        tiles.update(
            make_shading(value), customdata=np.arange(len(texts))[:, None], hovertemplate=hover, hoverongaps=False
        )
        numbers = go.Scatter(
            x=[start + TILE_WIDTH + 6] * len(texts), y=middles, text=_format_values(value), mode="text"
        )
        figure.add_traces([tiles, numbers.update(textposition="middle right", hoverinfo="skip", showlegend=False)])
    for middle, row, text in zip(middles, rows, texts, strict=True):
        lines_shown, whole = ("<br>".join(map(escape_text, lines)) for lines in (row, _wrap_text(text)))
        figure.add_annotation(x=0, y=middle, text=lines_shown, hovertext=whole)
    figure.update_annotations(showarrow=False, xanchor="left", align="left", borderpad=0)
    figure.update_annotations(font={"family": "ui-monospace, Menlo, Consolas, monospace", "size": 12})
    return _lay_out(figure, middles, starts, list(columns), edges[-1])


def _lay_out(
    figure: Figure, rows: NDArray[np.float64], starts: NDArray[np.float64], names: Sequence[str], bottom: float
) -> Figure:
    """Lay out the figure in pixels, with the numbers of the steps at the left and the names of the columns above."""
    heads = [wrap(name, 15)[:2] for name in names]
    left, top = 40, 20 + LINE_HEIGHT * max(map(len, heads), default=0)
    width = ROW_LETTERS * LETTER_WIDTH + 28 + COLUMN_WIDTH * len(names)
    format_axes(figure, "", "", height=int(bottom + top + 12))
    figure.update_layout(width=int(left + width), margin={"l": left, "r": 0, "t": top, "b": 12})
    bare = {"zeroline": False, "automargin": False, "showgrid": False, "showline": False, "ticks": ""}
    titles = ["<br>".join(map(escape_text, head)) for head in heads]
    figure.update_xaxes(range=[-8, width - 8], side="top", tickvals=starts + TILE_WIDTH, ticktext=titles, tickangle=0)
    figure.update_yaxes(range=[bottom, 0], tickvals=rows, ticktext=[str(i) for i in range(len(rows))])
    return figure.update_xaxes(bare).update_yaxes(bare)


def _wrap_text(text: str, lines: int | None = None) -> list[str]:
    """Lines that fit, also where letters are two cells wide; a step of blanks is one empty line."""
    plain = " ".join(text.split())
    width = ROW_LETTERS * len(plain) // max(1, cell_len(plain))
    return wrap(plain, max(2, width), max_lines=lines, placeholder=" …") or [""]


def _format_values(values: NDArray[np.float64]) -> list[str]:
    """Numbers with as many decimals as give the largest one two digits; an empty text for NaN."""
    decimals = int(np.clip(1 - np.floor(np.log10(find_largest(values))), 0, 6))
    rounded = [round(float(x), decimals) + 0.0 for x in values]
    return ["" if np.isnan(x) else f"{x:.{decimals}f}".replace("-", "−") for x in rounded]
