"""The measure against accuracy at each size: lines and correlations in closed form."""

import numpy as np
import pytest
from scipy.stats import linregress, pearsonr, t

from faithlens.stats.within import within_sizes
from tests.stats.scaling.worlds import cells


def test_within_each_size_the_measure_goes_with_accuracy_over_tasks():
    table = cells(np.random.default_rng(2), sizes=3, tasks=8)
    found = within_sizes(table)
    assert [one.size for one in found] == pytest.approx([1e8, 1e9, 1e10])
    rows = table[table["size"] == 1e8]
    line, r = linregress(rows["accuracy"], rows["value"]), pearsonr(rows["accuracy"], rows["value"])
    assert (found[0].slope, found[0].correlation) == pytest.approx((line.slope, r.statistic))
    assert (found[0].correlation_low, found[0].correlation_high) == pytest.approx(tuple(r.confidence_interval()))
    assert found[0].slope_high - found[0].slope == pytest.approx(t.ppf(0.975, 6) * line.stderr)
    assert found[0].n_used == 8


def test_a_size_with_too_few_tasks_has_no_line_and_says_why():
    table = cells(np.random.default_rng(2), tasks=4)
    table.loc[(table["size"] == 1e8) & (table["task"] < 2), "accuracy"] = np.nan
    table.loc[table["size"] == 1e10, "accuracy"] = 1.0
    first, *_, last = within_sizes(table)
    assert (first.slope, first.n_used, first.n_dropped) == (None, 2, 2)
    assert first.reason == "2 dropped: no value or no accuracy; 2 tasks: a line needs at least 3"
    assert last.reason == "accuracy does not vary over tasks"
