"""Figures as SVG text: curves, and numbers in rows, each with its 95 % interval. No library, no script.

Every point is an element that can be focused; its label holds the number, the interval and the number of questions.
Colours come from the page's style sheet as the classes ``c0`` to ``c5``, one a series. A figure with more series than
colours is drawn as several panels, so that no colour occurs twice in one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, floor

from markupsafe import Markup

from faithlens.stats.number import format_ends, format_number

N_COLOURS = 6
WIDTH, HEIGHT = 420.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 42.0, 398.0, 12.0, 208.0
"""The area of a curve's points, in units of the view box."""
ROW_LEFT, ROW_HEIGHT = 150.0, 15.0
"""Where the values of a row chart begin, and the height of one number in it."""
SHAPES = (
    "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
    "M-3.6,-3.6h7.2v7.2h-7.2z",
    "M0,-5L5,0L0,5L-5,0z",
    "M0,-4.8L4.6,3.6H-4.6z",
    "M0,4.8L4.6,-3.6H-4.6z",
    "M-4.5,-1.5h3v-3h3v3h3v3h-3v3h-3v-3h-3z",
)
"""The outline of each series' points, so that series can be told apart without colours too."""


@dataclass(frozen=True)
class Mark:
    """One number of a figure.

    Attributes:
        x: its place: the horizontal value of a curve, or the name of a row.
        value, low, high: the number and its interval, None where it is withheld.
        n: the number of questions.
        measure: the name of the measure, for its meaning.
        where: the place in words, such as "at 50 % of the steps".
    """

    x: float | str
    value: float
    low: float | None
    high: float | None
    n: int
    measure: str
    where: str

    def describe(self) -> str:
        """Value, interval and questions in words."""
        ends = format_ends(self.low, self.high)
        interval = ends if self.low is None else f"95 % interval {ends}"
        return f"{self.where}: {format_number(self.value)}; {interval}; {self.n} question{'s' * (self.n != 1)}"


@dataclass(frozen=True)
class Series:
    """The numbers of one model and task, or of one measure, under a name.

    Attributes:
        name: what the legend calls it.
        marks: its numbers.
        allowed: the ends between which its value at 0 may lie at all, given the accuracies; None where unknown.
    """

    name: str
    marks: Sequence[Mark]
    allowed: tuple[float, float] | None = None


def draw_curves(series: Sequence[Series], title: str, x_label: str, y_label: str) -> Markup:
    """Panels of curves; a line joins the measured points of a series, a bar at each point is its interval."""
    return Markup("").join(
        _draw_panel(some, Markup("").join(_draw_curve_panel(some, x_label, y_label)), HEIGHT, title)
        for some in _split([each for each in series if each.marks])
    )


def draw_rows(series: Sequence[Series], title: str, x_label: str) -> Markup:
    """Panels with a row for each name that a mark has as its `x`; in a row, a point with its interval a series."""
    drawn = [each for each in series if each.marks]
    return Markup("").join(_draw_row_panel(some, title, x_label) for some in _split(drawn))


def _split(series: Sequence[Series]) -> Iterator[Sequence[Series]]:
    for start in range(0, len(series), N_COLOURS):
        yield series[start : start + N_COLOURS]


def _draw_panel(series: Sequence[Series], content: Markup, height: float, title: str) -> Markup:
    legend = Markup("").join(
        Markup('<li><svg viewBox="-7 -7 14 14" class="key c{}" aria-hidden="true"><path d="{}"/></svg>{}</li>').format(
            i, SHAPES[i], each.name
        )
        for i, each in enumerate(series)
    )
    return Markup(
        '<div class="panel"><ul class="legend">{}</ul>'
        '<svg class="chart" viewBox="0 0 {} {}" role="group" aria-label="{}">{}</svg></div>'
    ).format(legend, round(WIDTH), round(height), title, content)


def _draw_curve_panel(series: Sequence[Series], x_label: str, y_label: str) -> Iterator[Markup]:
    places = [float(mark.x) for each in series for mark in each.marks]
    last = max(1.0, *places)  # shares of a chain end at 1, numbers of steps later
    low, high = _find_range(series)
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0] if last == 1 else _choose_ticks(last)

    def across(x: float) -> float:
        return LEFT + 14 + (RIGHT - LEFT - 14) * x / last

    def up(y: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (y - low) / (high - low)

    for y in _list_levels(low, high):
        yield _draw_line(LEFT, up(y), RIGHT, up(y), "grid")
        yield _write(LEFT - 6, up(y) + 4, f"{y:g}".replace("-", "−"), "end")
    for x in ticks:
        yield _write(across(x), BOTTOM + 16, f"{x:.0%}" if last == 1 else f"{x:g}", "middle")
    yield _write((LEFT + RIGHT) / 2, BOTTOM + 34, x_label, "middle")
    yield Markup('<text transform="translate(11 {}) rotate(-90)" text-anchor="middle">{}</text>').format(
        (TOP + BOTTOM) / 2, y_label
    )
    for i, each in enumerate(series):
        shift = 2.5 * (i - (len(series) - 1) / 2)  # so that intervals at one place can be seen apart
        if each.allowed:
            yield _draw_line(LEFT + 2 + 2 * i, up(each.allowed[0]), LEFT + 2 + 2 * i, up(each.allowed[1]), f"may c{i}")
        marks = sorted(each.marks, key=lambda mark: float(mark.x))
        line = " ".join(f"{across(float(m.x)) + shift:.1f},{up(m.value):.1f}" for m in marks)
        yield Markup('<polyline class="c{}" points="{}"/>').format(i, line)
        for mark in marks:
            x = across(float(mark.x)) + shift
            interval = Markup("")
            if mark.low is not None and mark.high is not None:
                interval = _draw_line(x, up(mark.low), x, up(mark.high), "interval")
            yield _draw_mark(mark, each.name, i, x, up(mark.value), interval)


def _draw_row_panel(series: Sequence[Series], title: str, x_label: str) -> Markup:
    rows = list(dict.fromkeys(str(mark.x) for each in series for mark in each.marks))
    low, high = _find_range(series)
    marks = {
        name: [(i, mark) for i, each in enumerate(series) for mark in each.marks if mark.x == name] for name in rows
    }
    tops = list(accumulate((len(own) * ROW_HEIGHT + 10 for own in marks.values()), initial=0.0))
    bottom = tops[-1] + 8

    def across(value: float) -> float:
        return ROW_LEFT + (RIGHT - ROW_LEFT) * (value - low) / (high - low)

    parts: list[Markup] = []
    for value in _list_levels(low, high):
        parts += [_draw_line(across(value), 4.0, across(value), bottom, "grid")]
        parts += [_write(across(value), bottom + 16, f"{value:g}".replace("-", "−"), "middle")]
    parts.append(_write((ROW_LEFT + RIGHT) / 2, bottom + 34, x_label, "middle"))
    for (name, own), top, end in zip(marks.items(), tops, tops[1:], strict=False):
        parts += [_draw_line(0.0, 7 + top, RIGHT, 7 + top, "grid")] if top else []
        parts.append(_write(ROW_LEFT - 8, 11 + (top + end) / 2, name, "end"))
        for place, (i, mark) in enumerate(own):
            y = 12 + top + (place + 0.5) * ROW_HEIGHT
            interval = Markup("")
            if mark.low is not None and mark.high is not None:
                interval = _draw_line(across(mark.low), y, across(mark.high), y, "interval")
            parts.append(_draw_mark(mark, series[i].name, i, across(mark.value), y, interval))
    return _draw_panel(series, Markup("").join(parts), bottom + 42, title)


def _find_range(series: Sequence[Series]) -> tuple[float, float]:
    """From 0 to 1, or further in steps of a half where values or their intervals lie outside."""
    ends = [x for each in series for mark in each.marks for x in (mark.value, mark.low, mark.high) if x is not None]
    return min(0.0, floor(2 * min(ends)) / 2), max(1.0, ceil(2 * max(ends)) / 2)


def _list_levels(low: float, high: float) -> list[float]:
    spacing = 0.25 if high - low <= 1 else 0.5 if high - low <= 3 else float(ceil((high - low) / 5))
    return [low + k * spacing for k in range(int((high - low) / spacing) + 1)]


def _choose_ticks(last: float) -> list[float]:
    spacing = max(1, ceil(last / 8))
    return [float(x) for x in range(0, int(last) + 1, spacing)]


def _draw_mark(mark: Mark, name: str, i: int, x: float, y: float, interval: Markup) -> Markup:
    label = f"{name}, {mark.describe()}"
    kind = "mark" if interval else "mark bare"
    return Markup(
        '<g class="{} c{}" tabindex="-1" role="img" aria-label="{}" data-measure="{}">{}'
        '<circle class="hit" cx="{:.1f}" cy="{:.1f}" r="9"/><path transform="translate({:.1f} {:.1f})" d="{}"/></g>'
    ).format(kind, i, label, mark.measure, interval, x, y, x, y, SHAPES[i])


def _draw_line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x1, y1, x2, y2)


def _write(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, words)
