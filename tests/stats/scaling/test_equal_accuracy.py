"""The scaling question, raw and at equal accuracy: closed forms, and how often intervals hold a planted truth with as
few sizes and tasks as runs have."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import linregress, t

from faithlens.errors import MeasureError
from faithlens.stats.scaling.equal_accuracy import (
    SCALING_ANSWERS,
    UNKNOWN_ACCURACY_ERROR,
    estimate_at_equal_accuracy,
    estimate_raw,
    estimate_size_effects,
)
from faithlens.stats.scaling.matched import estimate_at_equal_confidence, estimate_on_wrong_items
from faithlens.stats.scaling.size_effect import ONE_MODEL_A_SIZE, TWO_MODELS, compute_model_half_width
from tests.stats.scaling.worlds import RISE, THROUGH, compute_coverage, items, least, measurements

REPEATS = 200

# --- raw ---


def test_the_raw_slope_is_least_squares_within_tasks():
    table = measurements(np.random.default_rng(0)).drop(index=[3, 11]).assign(x=lambda rows: np.log10(rows["size"]))
    assert estimate_raw(table).value == pytest.approx(smf.ols("value ~ x + C(task)", table).fit().params["x"])


def test_with_all_measurements_the_raw_interval_is_that_of_the_tasks_slopes_and_of_the_line_through_the_models():
    """Both are t intervals, and their half-widths add up in squares."""
    table = measurements(np.random.default_rng(1))
    slopes = [linregress(np.log10(rows["size"]), rows["value"]).slope for _, rows in table.groupby("task")]
    result = estimate_raw(table)
    assert (result.value, result.n_used, result.n_sizes) == (pytest.approx(np.mean(slopes)), 6, 4)
    means = table.groupby("size")["value"].mean()
    models = t.ppf(0.975, 2) * linregress(np.log10(means.index), means).stderr
    half = np.hypot(t.ppf(0.975, 5) * np.std(slopes, ddof=1) / np.sqrt(6), models)
    assert (result.low, result.high) == pytest.approx((np.mean(slopes) - half, np.mean(slopes) + half))
    assert result.method == "OLS with task fixed effects, jackknife over tasks, and t over 4 models"
    assert result.unit == "fraction per tenfold of parameters"
    assert result.warning == ONE_MODEL_A_SIZE
    assert result.reason is None


def test_what_is_missing_is_said():
    table = measurements(np.random.default_rng(1))
    table.loc[0, "value"] = np.nan
    alone = pd.DataFrame({"size": [1e8], "task": [9], "accuracy": [0.5], "value": [0.5]})
    result = estimate_raw(pd.concat([table, alone]))
    assert (result.n_used, result.n_dropped) == (6, 1)
    assert result.reason == "2 of 25 measurements dropped: no value, or measured at one size only"
    one = estimate_raw(table[table["task"] == 2])
    assert (one.low, one.high) == (None, None)
    assert one.reason == "1 task measured at several sizes: an interval over them needs at least 2"
    assert "1 task: too few" in str(one.warning)
    none = estimate_raw(table[table["size"] == 1e8])
    assert (none.value, none.method, none.warning) == (None, "none", None)
    two = estimate_raw(table[table["size"].isin([1e8, 1e10])])
    assert (two.low, two.high) == (None, None)
    assert two.reason.endswith(TWO_MODELS)
    assert "2 sizes: a difference, not a trend" in str(two.warning)
    still = estimate_raw(table.assign(value=0.25))
    assert (still.low, still.reason) == (None, "all tasks agree, so that the interval is withheld")


def test_only_the_last_checkpoint_counts_and_tables_that_are_none_are_refused():
    table = measurements(np.random.default_rng(1))
    early = table.assign(checkpoint=1, value=0.0)
    both = pd.concat([early, table.assign(checkpoint=2)])
    assert estimate_raw(both) == estimate_raw(table)
    with pytest.raises(MeasureError, match="several rows of one size, task, seed"):
        estimate_raw(pd.concat([table, table]))
    with pytest.raises(MeasureError, match="one family at a time"):
        estimate_raw(table.assign(family=["a", "b"] * 12))
    with pytest.raises(MeasureError, match="no column 'value'"):
        estimate_raw(table.rename(columns={"value": "val"}))
    with pytest.raises(MeasureError, match="not a positive number"):
        estimate_raw(table.assign(size=0))


def test_seeds_are_the_unit_where_there_are_several():
    """What is particular to a model is shared by its tasks. Resampling seeds allows for it, and resampling tasks does
    with what models stray from a line. 80 repeats, 3 sizes, 5 seeds."""
    rng, x, result = np.random.default_rng(5), np.repeat([8.0, 9.0, 10.0], 5), []
    for _ in range(80):
        models = pd.DataFrame({"size": 10**x, "seed": np.tile(range(5), 3), "own": rng.normal(0, 0.05, 15)})
        table = models.merge(pd.DataFrame({"task": range(4)}), how="cross")
        table["value"] = table["own"] + rng.normal(0, 0.02, len(table))
        result.append(
            [(each.low, each.high) for each in (estimate_raw(table), estimate_raw(table, sampling_unit="task"))]
        )
    (low, low_tasks), (high, high_tasks) = np.array(result).transpose(2, 1, 0)
    assert compute_coverage(low, high) >= least(80)
    assert compute_coverage(low_tasks, high_tasks) >= least(80)
    seeds = estimate_raw(table)
    assert (seeds.counted, seeds.n_used, seeds.warning) == ("seed", 5, "holds for these tasks only")


@pytest.mark.parametrize(("sizes", "seeds", "lost"), [(3, 1, 0.0), (5, 1, 0.15), (3, 2, 0.0), (4, 3, 0.15)])
@pytest.mark.parametrize("differ", [0.03, 0.1])
def test_slopes_cover_where_models_of_one_size_differ(sizes, seeds, lost, differ):
    """120 repeats; `lost` of the measurements are missing, so that tasks and models have unequal numbers of them."""
    rng, result = np.random.default_rng(6), []
    for _ in range(120):
        parts = []
        for seed in range(seeds):
            table = measurements(rng, sizes=sizes, tasks=5)
            own = dict(zip(table["size"].unique(), rng.normal(0, differ, sizes), strict=True))
            parts.append(table.assign(value=table["value"] + table["size"].map(own), seed=seed))
        table = pd.concat(parts)
        raw, equal = (
            answer(table[rng.random(len(table)) >= lost]) for answer in (estimate_raw, estimate_at_equal_accuracy)
        )
        result.append([(raw.low, raw.high), (equal.low, equal.high)])
    (low, low_equal), (high, high_equal) = np.array(result, dtype=float).transpose(2, 1, 0)
    assert compute_coverage(low, high, THROUGH * RISE) >= least(120)
    assert compute_coverage(low_equal, high_equal) >= least(120)


# --- at equal accuracy ---


@pytest.mark.filterwarnings("ignore:The MLE may be on the boundary")
def test_equal_accuracy_is_the_mixed_models_coefficient():
    table = measurements(np.random.default_rng(3), effect=-0.1).assign(x=lambda rows: np.log10(rows["size"]))
    model = smf.mixedlm("value ~ x + accuracy", table, groups="task").fit(reml=True)
    result = estimate_at_equal_accuracy(table)
    assert result.value == pytest.approx(model.fe_params["x"], abs=1e-5)
    assert result.method == "mixed model (REML), task as group, jackknife over tasks, and t over 4 models"
    assert result.reason is None


def test_where_tasks_do_not_vary_fixed_effects_step_in_and_say_so():
    """Their interval is CR3: what leaving out each task in turn does to the coefficient of ordinary least squares.

    To this the models' part is added: here it is what widens the half-width, and nothing else.
    """
    rng = np.random.default_rng(0)
    table = measurements(rng, levels=0.0, slopes=0.0).assign(x=lambda rows: np.log10(rows["size"]))
    table["value"] -= table.groupby("task")["value"].transform("mean") - THROUGH * table.groupby("task")[
        "accuracy"
    ].transform("mean")
    formula = "value ~ x + accuracy + C(task)"
    value = smf.ols(formula, table).fit().params["x"]
    without = [smf.ols(formula, table[table["task"] != task]).fit().params["x"] for task in range(6)]
    half = t.ppf(0.975, 5) * np.sqrt(5 / 6 * sum((each - value) ** 2 for each in without))
    result = estimate_at_equal_accuracy(table)
    y, x = table["value"].to_numpy(float), table[["x", "accuracy"]].to_numpy(float)
    models = compute_model_half_width(y, x, table["task"].to_numpy(), table["size"].to_numpy())
    half = np.hypot(half, models)
    assert (result.value, result.low, result.high) == pytest.approx((value, value - half, value + half))
    assert result.method.startswith("OLS with task fixed effects, cluster-robust (CR3), jackknife over tasks")
    assert result.reason == "no mixed model: it is singular, as tasks do not vary"


def test_accuracy_that_follows_from_size_cannot_be_held_fixed():
    table = measurements(np.random.default_rng(0), wobble=0.0)
    result = estimate_at_equal_accuracy(table)
    assert (result.value, result.reason) == (None, "accuracy varies with task and size alone")
    table["accuracy"] += np.random.default_rng(1).normal(0, 0.005, len(table))
    assert "accuracy nearly follows from size and task (variance inflation" in str(
        estimate_at_equal_accuracy(table).warning
    )


def test_accuracies_that_no_two_sizes_share_are_extrapolated_and_that_is_said():
    apart = measurements(np.random.default_rng(0)).assign(
        accuracy=lambda rows: rows["accuracy"] + 0.4 * (np.log10(rows["size"]) - 8)
    )
    assert "no accuracy is reached at every size" in str(estimate_at_equal_accuracy(apart).warning)
    assert (
        estimate_at_equal_accuracy(measurements(np.random.default_rng(0))).warning
        == f"{ONE_MODEL_A_SIZE}; {UNKNOWN_ACCURACY_ERROR}"
    )


def test_an_error_in_accuracy_leaves_part_of_its_effect_with_size_unless_it_is_known():
    """100 tasks that differ so much that only changes within tasks count. Half of what accuracy varies by is error, so
    half of its effect, -0.5 x 0.13 / 2, stays with size; knowing the error gives it back."""
    rng = np.random.default_rng(0)
    table = measurements(rng, tasks=100, levels=1.0, slopes=0.0, noise=0.01)
    table["accuracy"] += rng.normal(0, 0.05, len(table))
    assert estimate_at_equal_accuracy(table).value == pytest.approx(THROUGH * RISE / 2, abs=0.004)
    known = estimate_at_equal_accuracy(table.assign(accuracy_se=0.05))
    assert known.value == pytest.approx(0.0, abs=0.005)
    assert known.low < 0 < known.high
    half = estimate_at_equal_accuracy(table.assign(accuracy_se=0.055))
    assert "of what accuracy varies by beyond size and task is its own error" in str(half.warning)
    assert "but for its own error" in str(estimate_at_equal_accuracy(table.assign(accuracy_se=0.2)).reason)


@pytest.fixture(scope="module")
def no_effect_of_size():
    """Values and intervals of both answers, [repeat, answer, (value, low, high)], where size itself does nothing."""
    rng = np.random.default_rng(11)
    tables = [measurements(rng, sizes=7) for _ in range(REPEATS)]
    result = [
        [(each.value, each.low, each.high) for each in (estimate_raw(one), estimate_at_equal_accuracy(one))]
        for one in tables
    ]
    return np.array(result, dtype=float)


def test_a_measure_that_accuracy_drives_falls_with_size_and_not_at_equal_accuracy(no_effect_of_size):
    (value, _, high), (conditioned, *ends) = no_effect_of_size.transpose(1, 2, 0)
    assert value.mean() == pytest.approx(THROUGH * RISE, abs=0.005)
    assert np.mean(high < 0) > 0.8  # so often the raw slope would be believed
    assert conditioned.mean() == pytest.approx(0.0, abs=0.006)  # standard error 0.002
    assert compute_coverage(*ends) >= least(REPEATS)


def test_an_effect_of_size_is_found(no_effect_of_size):
    """An effect that is added moves value and interval by itself, so the same intervals tell how often it is found."""
    effect = -0.1
    rng, other = np.random.default_rng(11), np.random.default_rng(11)
    moved, still = (
        estimate_at_equal_accuracy(measurements(rng, effect=effect)),
        estimate_at_equal_accuracy(measurements(other)),
    )
    assert (moved.value, moved.low, moved.high) == pytest.approx(
        (still.value + effect, still.low + effect, still.high + effect), abs=1e-5
    )
    high = no_effect_of_size[:, 1, 2]
    assert np.mean(high + effect < 0) > 0.8


# --- side by side ---


def test_all_answers_side_by_side():
    table, rng = measurements(np.random.default_rng(0)), np.random.default_rng(1)
    alone = estimate_size_effects(table.drop(columns="accuracy")).set_index("answer")
    assert alone.index.tolist() == list(SCALING_ANSWERS)
    assert alone["value"].notna().tolist() == [True, False, False, False, False]
    assert alone.loc["at equal loss", "reason"] == "held-out loss was not measured"
    rows = items(rng).assign(value=lambda rows: rows["by_answer"])
    every = estimate_size_effects(table.assign(loss=2.0 + 0.1 * table["task"]), rows, unit="probability").set_index(
        "answer"
    )
    assert every.loc["raw", "value"] == estimate_raw(table).value
    assert every.loc["at equal accuracy", "value"] == estimate_at_equal_accuracy(table).value
    assert every.loc["on wrong items", "high"] == estimate_on_wrong_items(rows).high
    assert every.loc["at equal confidence", "low"] == estimate_at_equal_confidence(rows).low
    assert every.loc["at equal loss", "reason"].startswith("no common range")
    assert (every["unit"] == "probability per tenfold of parameters").all()
