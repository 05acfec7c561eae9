"""The table of a hint's switches as SVG: a row for what the chain says, a column for the way the hint took.

Each cell is a mark like those of `charts`, shaded by its share, and links to a question that is an example of it. Its
label holds the share, the interval, and the end of the chain that was written under the hint.
"""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from faithlens.figures.hint_paths import LONGEST_CHAIN, HintCell
from faithlens.stats.number import format_ends, format_number
from faithlens.tasks.kinds import HINT_PATHS, SAYINGS

LEFT, TOP, WIDTH, HEIGHT, GAP = 150.0, 22.0, 128.0, 46.0, 4.0
"""Where the first cell begins, and its size, in units of the view box."""


def draw_cells(
    cells: Sequence[HintCell], assay: str, title: str, places: Mapping[tuple[str, int], int] | None = None
) -> Markup:
    """The table of one model on one task; nothing without cells.

    Args:
        cells: from `figures.hint_paths.list_hint_cells`.
        assay: the first word of their measures.
        title: what the table is about, for readers who cannot see it.
        places: the number on the page of the chain of each question and sample.
    """
    if not cells:
        return Markup("")
    parts: list[Markup] = []
    for i, name in enumerate(HINT_PATHS.values()):
        parts.append(_write(LEFT + i * (WIDTH + GAP) + WIDTH / 2, 14.0, name, "middle"))
    for k, name in enumerate(SAYINGS.values()):
        parts.append(_write(LEFT - 8, TOP + k * (HEIGHT + GAP) + HEIGHT / 2 + 4, name, "end"))
    rows, columns = list(SAYINGS), list(HINT_PATHS)
    for cell in cells:
        x = LEFT + columns.index(cell.path) * (WIDTH + GAP)
        y = TOP + rows.index(cell.saying) * (HEIGHT + GAP)
        parts.append(_draw_cell(cell, assay, x, y, (places or {}).get((str(cell.question), cell.sample))))
    size = f"0 0 {LEFT + len(columns) * (WIDTH + GAP):g} {TOP + len(rows) * (HEIGHT + GAP):g}"
    return Markup(
        '<div class="panel"><svg class="chart cell-chart" viewBox="{}" role="group" aria-label="{}">{}</svg></div>'
    ).format(size, title, Markup("").join(parts))


def _draw_cell(cell: HintCell, assay: str, x: float, y: float, place: int | None) -> Markup:
    share = "–" if cell.value is None else format_number(cell.value)
    label = f"{SAYINGS[cell.saying]}, {HINT_PATHS[cell.path]}: {cell.describe()}"
    if cell.question is not None:
        label += f". For example {cell.question}"
        label += f": {cell.chain[-LONGEST_CHAIN:]}" if cell.chain else ""
    drawn = Markup(
        '<g class="mark c0" tabindex="-1" role="img" aria-label="{}" data-measure="{}">'
        '<rect x="{:.0f}" y="{:.0f}" width="{:.0f}" height="{:.0f}" rx="4" fill-opacity="{:.2f}"/>{}{}</g>'
    ).format(
        label, f"{assay}.{cell.measure}", x, y, WIDTH, HEIGHT, 0.06 + 0.5 * (cell.value or 0.0),
        _write(x + WIDTH / 2, y + 20, share, "middle"),
        _write(x + WIDTH / 2, y + 37, format_ends(cell.low, cell.high), "middle"),
    )  # fmt: skip
    return drawn if place is None else Markup('<a href="#q{}">{}</a>').format(place, drawn)


def _write(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, words)
