import numpy as np
import pandas as pd
import pytest

from faithlens.figures import audit, behaviour
from faithlens.measures.catalogue import MEASURES
from faithlens.stats.grid import CELL_NAMES
from tests.report.conftest import QUESTIONS


@pytest.fixture
def estimates(run):
    return run.read("estimates")


def lines(figure):
    return [trace for trace in figure.data if trace.showlegend is not False]


def test_curves_draw_the_estimates_with_their_bands(estimates):
    figure = audit.plot_early_answering(estimates)
    name = lines(figure)[0].name
    rows = estimates[(estimates["model"] == name) & (estimates["measure"] == "early_answering.retention")]
    rows = rows.sort_values("fraction")
    assert list(lines(figure)[0].y) == rows["value"].tolist()
    band = figure.data[0]
    assert list(band.y) == [*rows["high"], *rows["low"][::-1]]


def test_the_bound_is_drawn_at_the_empty_chain_of_thought(estimates):
    bars = [trace for trace in audit.plot_early_answering(estimates).data if trace.line.dash == "dot"]
    own = estimates[estimates["model"] == "O5 scratchpad"].set_index("measure")["value"]
    expected = [1 - own["bound.change_high"], 1 - own["bound.change_low"]]
    assert any(np.allclose(bar.y, expected) for bar in bars)
    assert all(max(bar.x) < 0 for bar in bars)


def test_subjects_keep_their_colours_between_figures(estimates):
    curve = {trace.name: trace.line.color for trace in lines(audit.plot_mistakes(estimates))}
    bars = {trace.name: trace.marker.color for trace in audit.plot_mediation(estimates).data}
    assert curve == bars


def test_attention_names_prompt_and_steps_in_order(estimates):
    figure = audit.plot_attention_by_step(estimates)
    assert list(figure.data[0].x) == ["prompt", *(f"step {i}" for i in range(1, 6))]


def test_decision_grid_stacks_every_question(run):
    subjects = run.read_json("verdict.json")["subjects"]
    figure = audit.plot_decision_grid(subjects)
    assert np.sum([trace.x for trace in figure.data], axis=0).tolist() == [QUESTIONS, QUESTIONS, QUESTIONS]
    assert {trace.name for trace in figure.data} <= set(CELL_NAMES)


@pytest.fixture
def answer_tables():
    """Two models on one question: one answers by its last step, the other whatever its steps are."""
    rows = {"full": [0.9, 0.1], "cut@1": [0.4, 0.6], "cut@0": [0.5, 0.5]}
    rows |= {"knockout:step 0": [0.8, 0.2], "knockout:step 1": [0.2, 0.8]}
    follows = pd.DataFrame(rows, index=["A", "B"]).T
    return {"follows": follows, "ignores": follows * 0 + [0.25, 0.75]}


def test_the_final_answer_along_the_cuts(answer_tables):
    follows, ignores = audit.plot_answer_by_cut(answer_tables).data
    assert list(follows.x) == [0, 0.5, 1]
    assert list(follows.y) == [0.5, 0.4, 0.9]
    assert list(ignores.y) == [0.75] * 3


def test_falls_of_the_final_answer_by_knockout(answer_tables):
    follows, ignores = audit.plot_answer_by_knockout(answer_tables).data
    assert list(follows.x) == ["step 0", "step 1"]
    assert list(follows.y) == pytest.approx([0.1, 0.7])
    assert list(ignores.y) == [0, 0]


def test_answers_are_mapped_side_by_side_on_one_scale(answer_tables):
    figure = audit.plot_answers(answer_tables)
    assert [trace.xaxis for trace in figure.data] == ["x", "x2"]
    assert np.array_equal(figure.data[0].z, answer_tables["follows"].to_numpy())
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 1)


def test_attention_is_summed_over_steps_and_averaged_over_heads():
    index = pd.MultiIndex.from_product([range(1), range(2)], names=["layer", "head"])
    mass = [[0.5, 0.125, 0.25, 0.125], [0.25, 0.25, 0.25, 0.25]]
    tables = {"one": pd.DataFrame(mass, index=index, columns=["prompt", "step 0", "step 1", "stem"])}
    assert audit.plot_attention_by_head(tables).data[0].z.tolist() == [[0.375, 0.5]]
    bars = audit.plot_attention_by_piece(tables).data[0]
    assert list(bars.x) == ["prompt", "step 0", "step 1", "stem"]
    assert list(bars.y) == [0.375, 0.1875, 0.25, 0.1875]


def test_the_figures_draw_measures_of_the_catalogue():
    assert {*audit.EFFECT_MEASURES, *behaviour.RETENTION_MEASURES} <= set(MEASURES)


@pytest.fixture
def strategy_estimates():
    """One model of which all was measured, and one without a plan it could follow."""
    numbers = {
        "one": {
            "direct": (0.45, None, None),
            "cot": (0.86, 0.10, 0.10),
            "cot_decomposition": (0.80, 0.05, 0.30),
            "factored": (0.70, 0.30, 0.25),
        },
        "two": {"cot": (0.5, 0.2, None), "factored": (None, None, None)},
    }
    rows = [
        {"model": model, "task": "t", "measure": f"strategies.{strategy}.{measure}", "value": value}
        for model, ways in numbers.items()
        for strategy, values in ways.items()
        for measure, value in zip(("accuracy", "truncation", "corruption"), values, strict=True)
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(low=frame["value"] - 0.04, high=frame["value"] + 0.05, step=None, fraction=None)


def traces(figure, panel, mode):
    return [trace for trace in figure.data if trace.xaxis == panel and trace.mode == mode and list(trace.x) != [None]]


def test_strategies_are_points_with_both_intervals_and_their_front_a_line(strategy_estimates):
    figure = behaviour.plot_strategies(strategy_estimates)
    one, two = traces(figure, "x", "markers")
    assert list(one.text) == ["chain of thought", "CoT decomposition", "factored"]
    assert (list(one.x), list(one.y)) == ([0.10, 0.05, 0.30], [0.86, 0.80, 0.70])
    assert np.allclose([one.error_x.array, one.error_y.array], 0.05)
    assert np.allclose([one.error_x.arrayminus, one.error_y.arrayminus], 0.04)
    assert list(one.marker.symbol) == ["circle", "square-open", "diamond"]  # the second is worse than cot at both
    assert (list(two.text), list(two.x), list(two.marker.symbol)) == (["chain of thought"], [0.2], ["circle"])
    front, level, _ = traces(figure, "x", "lines")
    assert (list(front.x), list(front.y)) == ([0.10, 0.30], [0.86, 0.70])
    assert list(level.y) == [0.45, 0.45]
    assert level.line.dash == "dot"


def test_each_sensitivity_has_its_own_front(strategy_estimates):
    figure = behaviour.plot_strategies(strategy_estimates)
    one, two = traces(figure, "x2", "markers")
    assert list(one.marker.symbol) == ["circle", "square", "diamond-open"]
    assert len(two.x) == 0  # nothing could be made wrong
    visible_traces = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert visible_traces == [
        "one",
        "two",
        "chain of thought",
        "CoT decomposition",
        "factored",
    ]  # once, not once a panel


def test_curves_of_several_tests_stand_in_one_panel_a_subject(estimates: pd.DataFrame) -> None:
    figure = behaviour.plot_retention_curves(estimates)
    subjects = estimates[["model", "task"]].drop_duplicates()
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert {trace.name for trace in lines} == {"kept after a cut", "kept after a mistake"}
    assert len(lines) == 2 * len(subjects)
    for column, (_, subject) in enumerate(subjects.iterrows(), start=1):
        axis = "x" if column == 1 else f"x{column}"
        [line] = [trace for trace in lines if trace.xaxis == axis and trace.name == "kept after a cut"]
        own = estimates[(estimates["model"] == subject["model"]) & (estimates["task"] == subject["task"])]
        curve = own[(own["measure"] == "early_answering.retention") & own["value"].notna()].sort_values("fraction")
        assert list(line.y) == list(curve["value"])
    assert sum(bool(trace.showlegend is not False) for trace in lines) == 2
