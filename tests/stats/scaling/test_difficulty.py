"""Ordered trends by hand, and against all permutations."""

from itertools import pairwise, permutations
from math import erfc, sqrt

import numpy as np
import pandas as pd
import pytest

from faithlens.stats.scaling.difficulty import compute_difficulty_trend


def table(groups, related=False) -> pd.DataFrame:
    """A row a value; `groups` are the values at each level, easiest first."""
    rows = [
        {"level": level, "question": i if related else f"{level}/{i}", "value": value}
        for level, values in enumerate(groups)
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def by_pairs(groups) -> float:
    """J as it is defined: of all pairs from two levels, those in which the harder one is higher; a tie is half."""
    pairs = [(a, b) for k, easy in enumerate(groups) for hard in groups[k + 1 :] for a in easy for b in hard]
    return sum((a < b) + 0.5 * (a == b) for a, b in pairs)


def regroup(values, sizes):
    ends = np.cumsum([0, *sizes])
    return [values[a:b] for a, b in pairwise(ends)]


def test_j_counts_the_pairs_in_order() -> None:
    groups = [[0.1, 0.4, 0.4], [0.2, 0.4, 0.6, 0.7], [0.5, 0.9]]
    result = compute_difficulty_trend(table(groups))
    assert result.statistic == by_pairs(groups) == 9 + 6 + 6
    assert (result.n_used, result.observed) == (9, "rises")
    assert result.p_rise + result.p_fall == pytest.approx(1)
    assert [(level.mean, level.n) for level in result.levels] == [(pytest.approx(0.3), 3), (0.475, 4), (0.7, 2)]


def test_mean_and_variance_of_j_are_those_of_all_permutations_ties_included() -> None:
    """Hollander, Wolfe & Chicken's z with ties has the exact mean and variance of J over all regroupings."""
    values, sizes = (0, 0, 1, 1, 1, 2, 3), (2, 3, 2)
    every = [by_pairs(regroup(order, sizes)) for order in permutations(values)]
    groups = regroup(values, sizes)
    z = (by_pairs(groups) - np.mean(every)) / np.std(every)
    result = compute_difficulty_trend(table(groups))
    assert result.p_rise == pytest.approx(erfc(z / sqrt(2)) / 2)
    assert result.p_fall == pytest.approx(erfc(-z / sqrt(2)) / 2)


def test_the_normal_p_is_near_the_permutation_p() -> None:
    rng = np.random.default_rng(3)
    groups = [rng.binomial(5, 0.4 + 0.05 * k, 12) / 5 for k in range(4)]
    pooled, seen = np.concatenate(groups), by_pairs(groups)
    level = np.repeat(np.arange(4), 12)
    above = np.sign(pooled[None] - pooled[:, None]) / 2 + 0.5
    drawn = []
    for _ in range(4000):
        place = rng.permutation(level)
        drawn.append(above[place[:, None] < place[None]].sum())
    assert compute_difficulty_trend(table(groups)).p_rise == pytest.approx(np.mean(np.array(drawn) >= seen), abs=0.02)


def test_page_is_used_where_the_same_questions_stand_at_every_level() -> None:
    """L adds up level times rank. Three questions that all rise: L = 3 x 14, one of 6^3 orders."""
    result = compute_difficulty_trend(table([[0.1, 0.2, 0.3], [0.2, 0.3, 0.4], [0.3, 0.4, 0.5]], related=True))
    assert (result.method, result.statistic, result.n_used) == ("Page's L", 42.0, 3)
    assert result.p_rise == pytest.approx(1 / 6**3)
    assert result.p_fall == pytest.approx(1.0)
    falls = compute_difficulty_trend(table([[0.3, 0.4, 0.5], [0.2, 0.3, 0.4], [0.1, 0.2, 0.3]], related=True))
    assert (falls.observed, falls.p_fall, falls.warning) == ("falls", pytest.approx(1 / 6**3), None)


def test_questions_that_lack_a_level_are_dropped_and_repeats_are_averaged() -> None:
    full = table([[0.1, 0.2, 0.3], [0.2, 0.3, 0.4], [0.3, 0.4, 0.5]], related=True)
    more = pd.DataFrame({"level": [0, 1], "question": [7, 7], "value": [0.9, 0.9]})
    twice = pd.concat([full.assign(value=full["value"] - 0.05), full.assign(value=full["value"] + 0.05), more])
    result = compute_difficulty_trend(twice)
    assert (result.statistic, result.n_used, result.n_dropped) == (42.0, 3, 1)
    assert result.reason == "1 dropped: no value at every level"
    assert result.levels[0].mean == pytest.approx(0.2)


def test_a_rise_stands_beside_what_the_accuracies_allow() -> None:
    groups = [[0.0, 0.1], [0.1, 0.2], [0.3, 0.4]]
    known = table(groups).assign(bound=lambda rows: 0.2 + 0.3 * rows["level"])
    result = compute_difficulty_trend(known)
    assert [level.bound for level in result.levels] == pytest.approx([0.2, 0.5, 0.8])
    assert result.warning == "what the accuracies allow rises too, from 0.20 to 0.80"
    assert compute_difficulty_trend(known.assign(bound=0.8)).warning is None
    assert "is not known" in str(compute_difficulty_trend(table(groups)).warning)


def test_where_there_is_no_test_it_says_why() -> None:
    def why(groups, related=False):
        result = compute_difficulty_trend(table(groups, related))
        assert (result.statistic, result.p_rise, result.p_fall, result.observed) == (None,) * 4
        return result.reason

    assert why([[0.1, 0.2], [0.3, 0.4]]) == "2 levels: an order needs at least 3"
    assert why([[0.1, 0.2], [0.3, 0.4], [0.5]]) == "1 question at a level: a trend needs at least 2"
    assert why([[0.5, 0.5]] * 3) == "all values are equal"
    assert why([[0.1], [0.3], [0.5]], related=True) == "1 question at a level: a trend needs at least 2"
