import numpy as np
import pytest

from faithlens.errors import MeasureError
from faithlens.figures.chain_text import LINE_HEIGHT, ROW_LETTERS, plot_shaded_steps

LONG = "so the number of apples that are left is four " * 12


@pytest.fixture
def figure():
    texts = ["Tom <b>has</b> $4\n & buys $3.", LONG, ""]
    columns = {"content effect": [0.8, -0.04, 0.0], "knockout": [0.0125, np.nan, 0.03]}
    return plot_shaded_steps(texts, columns)


def tiles(figure):
    return [trace for trace in figure.data if trace.type == "heatmap"]


def numbers(figure):
    return [trace for trace in figure.data if trace.type == "scatter"]


def test_each_step_is_its_text_and_nothing_of_it_is_markup(figure):
    texts = [note.text for note in figure.layout.annotations]
    assert texts[0] == "Tom &lt;b&gt;has&lt;/b&gt; &#36;4 &amp; buys &#36;3."
    assert texts[2] == ""


def test_long_steps_are_shortened_and_whole_under_the_pointer(figure):
    note = figure.layout.annotations[1]
    lines = note.text.split("<br>")
    assert len(lines) == 3
    assert lines[-1].endswith(" …")
    assert all(len(line) <= ROW_LETTERS for line in lines)
    assert note.hovertext.replace("<br>", " ") == LONG.strip()


def test_cells_hold_the_numbers_each_column_on_its_own_scale(figure):
    content, knockout = tiles(figure)
    assert content.z.ravel().tolist() == [0.8, -0.04, 0.0]
    assert (content.zmin, content.zmax, knockout.zmin, knockout.zmax) == (-0.8, 0.8, 0.0, 0.03)
    assert [list(trace.text) for trace in numbers(figure)] == [["0.80", "−0.04", "0.00"], ["0.013", "", "0.030"]]


def test_missing_is_missing_and_not_0(figure):
    knockout = tiles(figure)[1]
    assert np.isnan(knockout.z[1, 0])
    assert knockout.hoverongaps is False
    assert numbers(figure)[1].text[1] == ""


def test_rows_are_as_high_as_their_text_and_do_not_overlap(figure):
    edges = tiles(figure)[0].y
    assert np.diff(np.diff(edges)).tolist() == [2 * LINE_HEIGHT, -2 * LINE_HEIGHT]
    assert [note.y for note in figure.layout.annotations] == ((edges[:-1] + edges[1:]) / 2).tolist()
    assert list(figure.layout.yaxis.range) == [edges[-1], 0]


def test_numbers_stand_beside_the_shades_and_before_the_next_column(figure):
    (one, other), written = tiles(figure), numbers(figure)
    assert max(one.x) < written[0].x[0] < min(other.x)
    assert max(other.x) < written[1].x[0] < figure.layout.xaxis.range[1]


def test_a_pixel_of_the_axes_is_a_pixel_of_the_picture(figure):
    layout = figure.layout
    assert layout.width - layout.margin.l - layout.margin.r == pytest.approx(np.ptp(layout.xaxis.range), abs=1)
    assert layout.height - layout.margin.t - layout.margin.b == np.ptp(layout.yaxis.range)


def test_many_steps_get_a_line_each():
    figure = plot_shaded_steps([LONG] * 150, {"attention": [1 / 150] * 150})
    assert all("<br>" not in note.text for note in figure.layout.annotations)
    assert len({note.y for note in figure.layout.annotations}) == 150
    assert np.diff(tiles(figure)[0].y).min() > LINE_HEIGHT


def test_wide_letters_take_the_room_of_two():
    figure = plot_shaded_steps(["因此答案是" * 40], {})
    lines = figure.layout.annotations[0].text.split("<br>")
    assert max(map(len, lines)) == ROW_LETTERS // 2


def test_a_column_must_have_a_number_a_step():
    with pytest.raises(MeasureError, match="2 numbers for 1 steps"):
        plot_shaded_steps(["one"], {"knockout": [1.0, 2.0]})
