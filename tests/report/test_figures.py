import numpy as np
import pytest

from faithlens.report import figures
from faithlens.report.words import WORDS
from faithlens.stats.grid import CELLS


@pytest.fixture
def estimates(run):
    return run.read("estimates")


def lines(figure):
    return [trace for trace in figure.data if trace.showlegend is not False]


def test_curves_draw_the_estimates_with_their_bands(estimates):
    figure = figures.early_answering(estimates)
    name = lines(figure)[0].name
    rows = estimates[(estimates["model"] == name) & (estimates["measure"] == "early_answering.retention")]
    rows = rows.sort_values("fraction")
    assert list(lines(figure)[0].y) == rows["value"].tolist()
    band = figure.data[0]
    assert list(band.y) == [*rows["high"], *rows["low"][::-1]]


def test_the_bound_is_drawn_at_the_empty_chain_of_thought(estimates):
    bars = [trace for trace in figures.early_answering(estimates).data if trace.line.dash == "dot"]
    own = estimates[estimates["model"] == "O5 scratchpad"].set_index("measure")["value"]
    expected = [1 - own["bound.change_high"], 1 - own["bound.change_low"]]
    assert any(np.allclose(bar.y, expected) for bar in bars)
    assert all(max(bar.x) < 0 for bar in bars)


def test_subjects_keep_their_colours_between_figures(estimates):
    curve = {trace.name: trace.line.color for trace in lines(figures.mistakes(estimates))}
    bars = {trace.name: trace.marker.color for trace in figures.mediation(estimates).data}
    assert curve == bars


def test_attention_names_prompt_and_steps_in_order(estimates):
    figure = figures.attention_by_step(estimates)
    assert list(figure.data[0].x) == ["prompt", *(f"step {i}" for i in range(1, 6))]


def test_decision_grid_stacks_every_question(run):
    subjects = run.read_json("verdict.json")["subjects"]
    figure = figures.decision_grid(subjects)
    assert np.sum([trace.x for trace in figure.data], axis=0).tolist() == [24, 24, 24]
    assert {trace.name for trace in figure.data} <= set(CELLS)


def test_one_question_of_a_notebook(run):
    scores = run.read("scores")
    own = scores[(scores["model"] == "O5 scratchpad") & (scores["question"] == "q000")]
    assert list(figures.one_question(own).data[0].x) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert list(figures.effect_by_step(own).data[0].x) == [f"step {i}" for i in range(1, 6)]


def test_every_headline_measure_has_words():
    from faithlens.report.page import HEADLINE

    assert set(HEADLINE) <= set(WORDS)
    assert all(word.meaning.endswith(".") for word in WORDS.values())
