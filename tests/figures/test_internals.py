import numpy as np
import pandas as pd
import pytest

from faithlens.errors import MeasureError
from faithlens.figures.internals import (
    plot_agreement,
    plot_head_heatmap,
    plot_probe_by_layer,
    plot_readiness,
    plot_step_bars,
    plot_step_groups,
    plot_step_heatmap,
    plot_step_matrix,
)


def names(n):
    return [f"step {i}" for i in range(n)]


def test_layers_by_steps_on_a_scale_with_0_in_the_middle():
    effects = np.array([[1.0, -2.0], [np.nan, 0.5]])
    drawn = plot_step_heatmap(effects, ["0", "1"], names(2), "logit").data[0]
    assert np.array_equal(drawn.z, effects, equal_nan=True)
    assert (drawn.zmin, drawn.zmax, drawn.hoverongaps) == (-2, 2, False)
    assert "logit" in drawn.hovertemplate


def test_at_150_steps_and_80_layers_few_are_labelled_and_all_are_drawn():
    figure = plot_step_heatmap(np.zeros((80, 150)), [str(i) for i in range(80)], names(150), "nat")
    assert figure.data[0].z.shape == (80, 150)
    assert list(figure.data[0].x) == names(150)  # which the pointer shows
    assert list(figure.layout.xaxis.tickvals) == [f"step {i}" for i in range(0, 150, 20)]
    assert list(figure.layout.yaxis.tickvals) == [str(i) for i in range(0, 80, 5)]


def test_heads_that_were_not_measured_stay_missing():
    effects = np.array([[0.1, np.nan, 0.3]])
    drawn = plot_head_heatmap(effects, ["7"], "logit").data[0]
    assert (list(drawn.x), list(drawn.y)) == (["0", "1", "2"], ["7"])
    assert np.isnan(drawn.z[0]).tolist() == [False, True, False]


def test_a_matrix_has_readers_down_and_the_read_across_and_no_upper_triangle():
    figure = plot_step_matrix(np.array([[0.0, 0, 0], [1, 0, 0], [np.nan, 3, 0]]), names(3), "nat")
    expected = np.array([[0, np.nan, np.nan], [1, 0, np.nan], [np.nan, 3, 0]])
    assert np.array_equal(figure.data[0].z, expected, equal_nan=True)
    assert figure.layout.yaxis.autorange == "reversed"
    assert figure.data[0].hovertemplate.startswith("%{y} from %{x}")


def test_a_matrix_in_which_the_past_reads_the_future_is_refused():
    with pytest.raises(MeasureError, match="step that reads"):
        plot_step_matrix(np.array([[0.0, 1.0], [0.0, 0.0]]), names(2), "nat")


def test_bars_with_their_null_interval_and_missing_steps():
    effects, null = np.array([0.5, np.nan, -0.25]), np.array([0.125, 0.0, 0.25])
    ends = np.array([[0.25, np.nan, -0.5], [1.0, np.nan, 0.0]])
    step, random, missing = plot_step_bars(effects, null, names(3), "logit", ends).data
    assert np.array_equal(step.y, effects, equal_nan=True)
    assert list(random.y) == null.tolist()
    assert np.array_equal(step.error_y.array, [0.5, np.nan, 0.25], equal_nan=True)
    assert np.array_equal(step.error_y.arrayminus, [0.25, np.nan, 0.25], equal_nan=True)
    assert (list(missing.x), missing.name) == (["step 1"], "not measured")


def test_at_150_steps_the_marks_of_the_null_are_no_wider_than_a_step():
    figure = plot_step_bars(np.ones(150), np.zeros(150), names(150), "logit")
    assert list(figure.layout.xaxis.tickvals) == [f"step {i}" for i in range(0, 150, 20)]
    assert figure.data[1].marker.size <= 600 / 150
    assert len(figure.data) == 2


def ready(chains, layers=2):
    """Probabilities of each trace's pieces, the same in all layers but for half as much in each before the last."""
    rows = [
        (t, piece, layer, p / 2 ** (layers - 1 - layer))
        for t, chain in enumerate(chains)
        for piece, p in chain.items()
        for layer in range(layers)
    ]
    return pd.DataFrame(rows, columns=["trace", "piece", "layer", "probability"])


def onsets(*rows):
    return pd.DataFrame(rows, columns=["trace", "layer", "piece"]).astype({"piece": "string"})


def test_readiness_is_averaged_over_the_traces_that_have_the_piece():
    chains = [
        {"prompt": 0.2, "step 0": 0.4, "stem": 0.8},
        {"prompt": 0.4, "step 0": 0.6, "step 1": 0.9, "stem": 1.0},
    ]
    result = onsets((0, 0, None), (0, 1, "stem"), (1, 0, None), (1, 1, "step 0"))
    bars, first, last = plot_readiness(ready(chains), result).data
    assert list(last.x) == ["prompt", "step 0", "step 1", "stem"]
    assert list(last.y) == pytest.approx([0.3, 0.5, 0.9, 0.9])
    assert list(first.y) == pytest.approx([0.15, 0.25, 0.45, 0.45])
    assert last.customdata.tolist() == [2, 2, 1, 2]
    assert last.line.width > first.line.width
    assert list(bars.y) == [0, 0.5, 0, 0.5]
    assert bars.name == "onset, layer 1<br>2 of 2 traces"


def test_the_onset_of_one_trace_is_one_column_or_none():
    chain = [{"prompt": 0.2, "step 0": 0.6, "stem": 0.8}]
    bars = plot_readiness(ready(chain), onsets((0, 0, "stem"), (0, 1, "step 0"))).data[0]
    assert (list(bars.y), bars.name) == ([0, 1, 0], "onset, layer 1")
    bars = plot_readiness(ready(chain), onsets((0, 0, "stem"), (0, 1, None))).data[0]
    assert (list(bars.y), bars.name) == ([0, 0, 0], "no onset, layer 1")


def test_of_many_layers_five_are_drawn_and_of_150_steps_few_are_labelled():
    chain = {"prompt": 0.1, **dict.fromkeys(names(150), 0.5), "stem": 0.9}
    figure = plot_readiness(ready([chain], layers=32), onsets((0, 31, "stem")))
    assert [line.name for line in figure.data[1:]] == [f"layer {i}" for i in (0, 8, 16, 23, 31)]
    labelled = ["prompt", *(f"step {i}" for i in range(20, 140, 20)), "stem"]
    assert list(figure.layout.xaxis.tickvals) == labelled


def list_values(x) -> list[float]:
    return np.array(x, dtype=float).tolist()


def test_a_probe_is_drawn_with_its_band_and_its_baselines() -> None:
    table = pd.DataFrame(
        {"layer": [0, 1], "value": [0.5, 0.9], "low": [0.4, 0.8], "high": [0.6, 1.0], "text": 0.3, "prior": 0.2}
    )
    band, probe, tokens, frequencies = plot_probe_by_layer(table, "accuracy").data
    assert list_values(band.y) == [0.6, 1.0, 0.8, 0.4]
    assert list_values(probe.y) == [0.5, 0.9]
    assert [list_values(line.y) for line in (tokens, frequencies)] == [[0.3, 0.3], [0.2, 0.2]]


def test_effects_of_the_same_steps_stand_beside_each_other() -> None:
    columns = {"question": ["a", "b", "a", "b"], "step": [0, 0, 2, 2], "cut": [0.0, 0.0, 1.0, 0.5], "other": np.nan}
    cut, other = plot_step_groups(pd.DataFrame(columns), ("cut", "other"), "probability").data
    assert list(cut.x) == ["step 1", "step 3"]
    assert list_values(cut.y) == [0.0, 0.75]
    assert cut.error_y.arrayminus[1] > 0
    assert np.isnan(list_values(other.y)).all()


def test_agreements_are_drawn_with_their_intervals() -> None:
    columns = {"correlation": ["raw", "partial on step"], "value": [0.5, 0.1], "low": [0.25, -0.4], "high": [0.75, 0.6]}
    figure = plot_agreement({"a": pd.DataFrame(columns), "b": pd.DataFrame(columns)}, "partial on step")
    raw, partial = figure.data
    assert list_values(raw.y) == [0.5, 0.5]
    assert list_values(raw.error_y.array) == [0.25, 0.25]
    assert list_values(partial.error_y.arrayminus) == [0.5, 0.5]
