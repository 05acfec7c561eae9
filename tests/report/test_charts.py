"""Figures: a focusable, labelled point for each number, at its place; no colour twice in one panel; text escaped."""

import re
from xml.etree import ElementTree

import pytest

from faithlens.report.charts import BOTTOM, N_COLOURS, RIGHT, ROW_HEIGHT, TOP, Mark, Series, draw_curves, draw_rows


def make_series(n: int, points: int = 3) -> list[Series]:
    def make_mark(k: int, i: int) -> Mark:
        return Mark(i / (points - 1), k / n, k / n, 1.0, 40, "mistakes.retention", f"at {i}")

    return [Series(f"model {k}", [make_mark(k, i) for i in range(points)]) for k in range(n)]  # fmt: skip


def list_marks(drawing: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(f"<div>{drawing}</div>")
    return [each for each in root.iter("g") if "mark" in each.attrib["class"].split()]


def test_each_number_can_be_focused_and_says_all() -> None:
    marks = list_marks(draw_curves(make_series(2), "title", "x", "y"))
    assert len(marks) == 6
    labels = [mark.attrib["aria-label"] for mark in marks]
    assert labels[3] == "model 1, at 0: 0.50; 95 % interval 0.50 to 1.00; 40 questions"
    assert all(
        mark.attrib["tabindex"] == "-1" and mark.attrib["data-measure"] == "mistakes.retention" for mark in marks
    )


def test_a_point_stands_where_its_number_is() -> None:
    series = [Series("m", [Mark(1.0, 0.25, None, None, 3, "mistakes.retention", "end")])]
    [mark] = list_marks(draw_curves(series, "title", "x", "y"))
    circle = mark.find("circle")
    assert circle is not None
    assert float(circle.attrib["cx"]) == pytest.approx(RIGHT)
    assert float(circle.attrib["cy"]) == pytest.approx(BOTTOM - 0.25 * (BOTTOM - TOP), abs=0.1)
    assert mark.find("line") is None  # no interval where it is withheld
    assert "interval withheld" in mark.attrib["aria-label"]


@pytest.mark.parametrize("draw", [lambda s: draw_curves(s, "t", "x", "y"), lambda s: draw_rows(s, "t", "x")])
def test_no_colour_occurs_twice_in_a_panel(draw) -> None:
    drawing = draw(make_series(2 * N_COLOURS + 1))
    panels = drawing.split('<div class="panel">')[1:]
    assert len(panels) == 3
    for panel in panels:
        keys = re.findall(r'class="key (c\d)"', panel)
        assert len(keys) == len(set(keys)) <= N_COLOURS
    assert sum(panel.count("<li>") for panel in panels) == 2 * N_COLOURS + 1


def test_rows_beyond_the_scale_are_drawn_inside() -> None:
    marks = [
        Mark("effect", -0.7, -0.9, -0.1, 9, "mediation.total", "effect"),
        Mark("<b>", 1.2, 1.1, 1.4, 9, "x", "<b>"),
    ]
    drawing = draw_rows([Series("m & n", marks)], "title", "fall")
    assert "&lt;b&gt;" in drawing
    assert "m &amp; n" in drawing
    circles = [mark.find("circle") for mark in list_marks(drawing)]
    assert all(circle is not None and 0 <= float(circle.attrib["cx"]) <= 420 for circle in circles)


def test_nothing_to_draw_is_nothing() -> None:
    assert draw_curves([Series("m", [])], "t", "x", "y") == ""
    assert draw_rows([], "t", "x") == ""


def test_a_point_without_an_interval_is_hollow() -> None:
    series = [Series("m", [Mark(0.0, 1.0, None, None, 1, "x", "here"), Mark(1.0, 1.0, 0.5, 1.0, 4, "x", "there")])]
    one, four = list_marks(draw_curves(series, "t", "x", "y"))
    assert (one.attrib["class"], four.attrib["class"]) == ("mark bare c0", "mark c0")
    assert one.attrib["aria-label"] == "m, here: 1.00; interval withheld; 1 question"


def test_a_row_has_room_for_the_series_that_it_shows_and_no_more() -> None:
    both, first = (Mark(name, 0.5, 0.4, 0.6, 9, "mediation.total_effect", name) for name in ("both", "first"))
    drawn = draw_rows([Series("A", [both, first]), Series("B", [both])], "title", "share")
    marks = re.findall(r'aria-label="(\w, \w+):[^>]*>.*?<circle class="hit" cx="[\d.]+" cy="([\d.]+)"', drawn)
    assert [name for name, _ in marks] == ["A, both", "B, both", "A, first"]
    heights = [float(y) for _, y in marks]
    assert heights == [12 + ROW_HEIGHT / 2, 12 + 3 * ROW_HEIGHT / 2, 22 + 5 * ROW_HEIGHT / 2]
