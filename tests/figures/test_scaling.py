"""Pictures of what size does to measures: what is drawn is what the tables say."""

import pandas as pd
import pytest

from faithlens.figures.scaling import plot_size_effects, plot_sizes


def test_a_measure_is_drawn_against_size_at_the_last_checkpoint():
    rows = [
        ("f", "deletion.change", "easy", 0, size, step, size / 1000 + step) for size in (300, 100) for step in (0, 1)
    ]
    rows += [
        ("f", "deletion.change", "hard", 0, 100, 1, 0.5),
        ("f", "shuffle.change", "easy", 0, 100, 1, 9.0),
        ("g", "deletion.change", "easy", 0, 100, 1, 9),
    ]
    table = pd.DataFrame(rows, columns=["family", "measure", "task", "seed", "size", "checkpoint", "value"])
    figure = plot_sizes(table.assign(low=table["value"] - 0.1, high=table["value"] + 0.2), "deletion.change", "f")
    line, easy, _, hard = figure.data
    assert (easy.name, list(easy.x), list(easy.y)) == ("easy", [300, 100], pytest.approx([1.3, 1.1]))
    assert (line.mode, list(line.x), list(line.y)) == ("lines", [100, 300], pytest.approx([1.1, 1.3]))
    assert list(easy.error_y.array) == pytest.approx([0.2, 0.2])
    assert list(easy.error_y.arrayminus) == pytest.approx([0.1, 0.1])
    assert (hard.name, list(hard.x), list(hard.y)) == ("hard", [100], [0.5])


def test_the_line_of_a_measure_goes_through_the_means_over_seeds():
    rows = [("f", "deletion.change", "t", seed, size, size / 100 + seed) for seed in (0, 1, 5) for size in (100, 300)]
    table = pd.DataFrame(rows, columns=["family", "measure", "task", "seed", "size", "value"])
    line, points = plot_sizes(table.assign(low=table["value"], high=table["value"]), "deletion.change", "f").data
    assert (list(line.x), list(line.y)) == ([100, 300], [3, 5])
    assert list(points.y) == [1, 3, 2, 4, 6, 8]


def test_answers_are_drawn_side_by_side_without_those_that_have_no_value():
    rows = [("f", "raw", -0.5, -0.7, -0.3), ("f", "at equal loss", None, None, None), ("g", "raw", 0.1, -0.1, 0.2)]
    figure = plot_size_effects(pd.DataFrame(rows, columns=["family", "answer", "value", "low", "high"]))
    first, second = figure.data
    assert [(list(d.x), list(d.customdata)) for d in (first, second)] == [([-0.5], ["raw"]), ([0.1], ["raw"])]
    assert list(first.error_x.array) == pytest.approx([0.2])
    assert first.y[0] > second.y[0] > 3.5  # the first answer on top, families beside each other
    assert figure.layout.yaxis.ticktext[-1] == "raw"
