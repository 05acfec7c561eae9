import numpy as np
import pytest

from faithlens.errors import MeasureError
from faithlens.figures.path_diagram import PALE, PATH_LABELS, plot_path_diagram
from faithlens.figures.style import NEGATIVE_COLOUR, POSITIVE_COLOUR

EFFECTS = {
    "content": (0.5, 0.4, 0.6),
    "relay": (0.1, -0.1, 0.3),
    "question": (-0.25, -0.3, -0.2),
    "total": (0.24, 0.1, 0.4),
    "interaction": -0.01,
}


def words(figure):
    return " | ".join(note.text for note in figure.layout.annotations if note.text)


def arrows(figure, name):
    """Those at the height of a path, whose label is above them or between them."""
    label = next(note for note in figure.layout.annotations if note.text and note.text.startswith(PATH_LABELS[name][0]))
    return [note for note in figure.layout.annotations if note.arrowwidth and 0 <= note.y - label.y < 40]


def test_every_effect_is_written_with_its_interval_and_unit():
    result = words(plot_path_diagram(EFFECTS, "probability"))
    for text in ("NIE  0.50  [0.40, 0.60]", "relay  0.10  [−0.10, 0.30]", "NDE  −0.25  [−0.30, −0.20]"):
        assert text in result
    assert "total  <b>0.24  [0.10, 0.40]</b>      interaction  <b>−0.01</b>      in probability" in result


def test_arrows_are_as_wide_as_effects_are_strong_and_have_their_sign():
    figure = plot_path_diagram(EFFECTS, "logit")
    (content, _), (relay, _), (question,) = (arrows(figure, name) for name in ("content", "relay", "question"))
    thin = plot_path_diagram({"content": 1.0, "question": 0.0}, "logit")
    least = arrows(thin, "question")[0].arrowwidth
    widths = np.array([content.arrowwidth, question.arrowwidth, relay.arrowwidth]) - least
    assert widths / widths[0] == pytest.approx([1, 0.5, 0.2])
    assert (content.arrowcolor, question.arrowcolor) == (POSITIVE_COLOUR, NEGATIVE_COLOUR)


def test_what_cannot_be_told_from_0_is_pale():
    assert {arrow.arrowcolor for arrow in arrows(plot_path_diagram(EFFECTS, "logit"), "relay")} == {PALE}
    bare = plot_path_diagram({"content": 1.0, "relay": 0.03, "question": 0.01}, "logit")
    assert [arrows(bare, name)[0].arrowcolor for name in PATH_LABELS] == [POSITIVE_COLOUR, POSITIVE_COLOUR, PALE]


def test_the_chain_has_arrows_in_and_out_and_the_direct_path_passes_it():
    figure = plot_path_diagram(EFFECTS, "logit")
    question, answer, chain = figure.layout.shapes
    for name in ("content", "relay"):
        into, out = arrows(figure, name)
        assert (into.ax, into.x, out.ax, out.x) == (question.x1, chain.x0, chain.x1, answer.x0)
        assert chain.y0 < into.y < chain.y1
    (around,) = arrows(figure, "question")
    assert (around.ax, around.x) == (question.x1, answer.x0)
    assert chain.y1 < around.y < question.y1


def test_missing_is_written_and_has_no_arrow_and_paths_not_named_are_not_drawn():
    figure = plot_path_diagram({"content": 0.5, "question": float("nan")}, "logit")
    assert "NDE  not measured" in words(figure)
    assert arrows(figure, "question") == []
    assert "relay" not in words(figure)
    assert "not measured" in words(plot_path_diagram({"relay": float("nan")}, "logit"))


def test_other_effects_are_refused():
    with pytest.raises(MeasureError, match="Did you mean 'content'"):
        plot_path_diagram({"contents": 1.0}, "logit")
    with pytest.raises(MeasureError, match="Pass some of content, relay, question"):
        plot_path_diagram({"total": 1.0}, "logit")
