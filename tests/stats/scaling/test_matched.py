"""Checkpoints of equal loss, and items that can be moved: by hand, and how often intervals hold a planted truth."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress, t

from faithlens.stats.scaling.equal_accuracy import estimate_raw
from faithlens.stats.scaling.matched import (
    estimate_at_equal_confidence,
    estimate_at_equal_loss,
    estimate_on_wrong_items,
)
from tests.stats.scaling.worlds import compute_coverage, curves, items, least

# --- at equal loss ---


def test_equal_loss_by_hand():
    """Common losses 2 to 3. The small model falls from 1 to 0 between 2 and 4: it averages 3/4 there. The large one is
    1 at 1, 0 at 2.5 and 1 at 3: from 1/3 at 2 down to 0, then up to 1; that averages 1/12 + 1/4."""
    rows = [(1e8, 2.0, 1.0), (1e8, 4.0, 0.0), (1e9, 1.0, 1.0), (1e9, 2.5, 0.0), (1e9, 3.0, 1.0)]
    table = pd.DataFrame(rows, columns=["size", "loss", "value"])
    assert estimate_at_equal_loss(table).value == pytest.approx(1 / 12 + 1 / 4 - 3 / 4)


def test_straight_curves_give_back_what_was_planted():
    table = curves(np.random.default_rng(0), noise=0.0)
    table["value"] = 0.7 - 0.2 * table["loss"] + 0.05 * np.log10(table["size"]) * (1 + table["task"])
    result = estimate_at_equal_loss(table)
    assert result.value == pytest.approx(0.05 * 2.5)
    half = t.ppf(0.975, 3) * np.std(0.05 * np.arange(1, 5), ddof=1) / 2
    assert result.high - result.value == pytest.approx(half)


def test_what_bent_curves_would_change_is_in_the_interval_by_hand():
    """The line from (2, 0) over (3, 0) to (4, 1) averages 1/4; the monotone cubic leaves (3, 0) flat and arrives at
    (4, 1) with slope 3/2, so that it averages (1/2 - 3/24) / 2 = 3/16. Four seeds alike, so the jackknife shows
    nothing. The stray of (3, 0) from the line between its neighbours is 1/2, which speaks for a variance of
    1/4 / (1/4 + 1/4 + 1) = 1/6 of each checkpoint; weights are 1/4, 1/2, 1/4 at one size and 1/2, 1/2 at the other."""
    points = [(2.0, 1e8, 0.0), (3.0, 1e8, 0.0), (4.0, 1e8, 1.0), (2.0, 1e9, 0.0), (4.0, 1e9, 0.0)]
    rows = [(task, *point) for task in "abcd" for point in points]
    result = estimate_at_equal_loss(pd.DataFrame(rows, columns=["seed", "loss", "size", "value"]))
    assert result.value == pytest.approx(-1 / 4)
    error = np.sqrt((3 / 8 + 1 / 2) / 6 / 4)
    assert result.high - result.value == pytest.approx(t.ppf(0.975, 4) * error + 1 / 16)


def test_checkpoints_of_one_loss_are_averaged():
    table = curves(np.random.default_rng(0))
    table["checkpoint"] = table.groupby(["size", "task"]).cumcount()
    above, below = table.assign(value=table["value"] + 1), table.assign(value=table["value"] - 1)
    both = pd.concat([above, below.assign(checkpoint=below["checkpoint"] + 10)])
    assert estimate_at_equal_loss(both).value == pytest.approx(estimate_at_equal_loss(table).value)


def test_without_common_losses_there_is_no_answer():
    table = curves(np.random.default_rng(0))
    apart = table.assign(loss=table["loss"] - 2 * (np.log10(table["size"]) - 8))
    result = estimate_at_equal_loss(apart)
    assert (result.value, result.low) == (None, None)
    assert result.reason.startswith("no common range of losses: one curve ends at ")


def test_the_error_of_checkpoints_is_in_the_interval_of_a_single_task():
    """Two checkpoints a size with a stated error of 0.1: a mean of two, weights 1/2, and a slope over three sizes."""
    rows = [(size, loss, value) for size, value in ((1e8, 0.5), (1e9, 0.4), (1e10, 0.3)) for loss in (2.0, 3.0)]
    table = pd.DataFrame(rows, columns=["size", "loss", "value"]).assign(se=0.1)
    result = estimate_at_equal_loss(table)
    assert result.value == pytest.approx(-0.1)
    assert result.high - result.value == pytest.approx(1.959964 * np.sqrt(2 * 2 * (0.1 / 2 / 2) ** 2))
    unknown = estimate_at_equal_loss(table.drop(columns="se"))
    assert (unknown.value, unknown.low) == (pytest.approx(-0.1), None)
    assert "whether curves bend cannot be seen" in str(result.warning)


@pytest.mark.parametrize("tasks", [1, 6])
def test_a_measure_that_loss_drives_falls_with_size_and_not_at_equal_loss(tasks):
    """The curves bend, so straight lines are off in all tasks alike, and the checkpoints scatter; 6 checkpoints a
    size, 80 repeats."""
    rng = np.random.default_rng(4)
    tables = [curves(rng, tasks) for _ in range(80)]
    value, low, high = np.array([(one.value, one.low, one.high) for one in map(estimate_at_equal_loss, tables)]).T
    last = [table[table["loss"] == table.groupby("size")["loss"].transform("min")] for table in tables[:10]]
    assert max(estimate_raw(each).value for each in last) < -0.05  # what a comparison of last checkpoints sees
    assert abs(value.mean()) < 0.003
    assert compute_coverage(low, high) >= least(80)


# --- items ---


def test_wrong_items_by_hand():
    """Task a: of wrong items half move at 1e8 and all at 1e9. Task b: none and half. Each size has as many of a as of b
    once shares are made alike, so the slope is the mean of 1/2 and 1/2, though 1e9 has many more wrong items in a."""
    counts = [(1e8, "a", 6, 12), (1e8, "b", 0, 12), (1e9, "a", 30, 30), (1e9, "b", 3, 6)]
    rows = [
        {"size": size, "task": task, "question": q, "value": float(q < moved), "correct": 0.0}
        for size, task, moved, n in counts
        for q in range(n)
    ]
    right = [{"size": 1e8, "task": "b", "question": 99, "value": 1.0, "correct": 1.0}]
    result = estimate_on_wrong_items(pd.DataFrame([*rows, *right]))
    assert result.value == pytest.approx(0.5)
    assert (result.n_used, result.n_dropped) == (42, 1)
    assert result.reason.startswith("1 of 61 answers left out: right without a chain of thought")
    assert result.warning.endswith("43% of these items are compared at every size: the others differ between sizes")


def test_kinds_that_a_size_lacks_are_left_out():
    rng = np.random.default_rng(0)
    low, high = rng.uniform(0.0, 0.19, 40), rng.uniform(0.9, 1.0, 40)
    small = pd.DataFrame({"size": 1e8, "question": range(80), "confidence": [*low, *high], "value": [0.5, 1.0] * 40})
    large = small.assign(size=1e9)
    large.loc[:39, "confidence"] = 0.55
    large["value"] += 0.25
    result = estimate_at_equal_confidence(pd.concat([small, large]))
    assert result.value == pytest.approx(0.25)
    assert (result.n_used, result.n_dropped) == (40, 40)
    nothing = estimate_at_equal_confidence(pd.concat([small[:40], large[:40]]))
    assert (nothing.value, nothing.n_used) == (None, 0)
    assert "of a kind that some size has fewer than 5 of" in str(nothing.reason)


@pytest.mark.parametrize(
    ("answer", "column"), [(estimate_on_wrong_items, "by_answer"), (estimate_at_equal_confidence, "by_confidence")]
)
def test_items_that_can_move_show_size_only_where_it_acts(answer, column):
    """40 repeats; power at an effect of -0.12 a tenfold, which also stays unbiased."""
    rng, n = np.random.default_rng(8), 40
    result, naive = [], []
    for _ in range(n):
        none, some = (
            items(rng, sizes=9, effect=effect).assign(value=lambda rows: rows[column]) for effect in (0.0, -0.12)
        )
        result.append([(one.value, one.low, one.high) for one in (answer(none), answer(some))])
        naive.append(linregress(np.log10(none["size"]), none["value"]).slope)
    (value, low, high), (moved, lowest, highest) = np.array(result, dtype=float).transpose(1, 2, 0)
    assert np.mean(naive) < -0.04
    assert abs(value.mean()) < 0.012
    assert moved.mean() == pytest.approx(-0.12, abs=0.015)
    for each in (compute_coverage(low, high), compute_coverage(lowest, highest, -0.12)):
        assert each >= least(n)
    assert np.mean(highest < 0) > 0.8


def test_models_that_differ_widen_the_interval_of_items():
    """Four seeds; and the same models with questions of their own, as if they were one seed."""
    rng, n, result = np.random.default_rng(9), 30, []
    for _ in range(n):
        table = items(rng, seeds=4, questions=40, own=0.15).assign(value=lambda rows: rows["by_answer"])
        pooled = table.assign(question=lambda rows: rows["question"] + 1000 * rows["seed"]).drop(columns="seed")
        result.append(
            [(one.low, one.high) for one in (estimate_on_wrong_items(table), estimate_on_wrong_items(pooled))]
        )
    (low, low_pooled), (high, high_pooled) = np.array(result).transpose(2, 1, 0)
    assert compute_coverage(low, high) >= least(n)
    assert compute_coverage(low_pooled, high_pooled) >= least(n)
