"""Answers and curves against numbers worked out by hand."""

from math import log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from faithlens.measures.answers import (
    choose_option,
    kl_divergence,
    logit_difference,
    merge_new_options,
    option_coverage,
    option_probabilities,
    total_variation,
)
from faithlens.measures.area_over_curve import aoc_mean, aoc_trapezoid_0_1

LOGPROBS = st.lists(st.floats(-30, 0), min_size=2, max_size=6)


def logs(*probabilities: float) -> np.ndarray:
    return np.log(probabilities)


def test_answers_by_hand() -> None:
    held = logs(0.1, 0.3, 0.2)
    assert choose_option(held) == 1
    assert option_coverage(held) == pytest.approx(0.6)
    assert option_probabilities(held).tolist() == pytest.approx([1 / 6, 1 / 2, 1 / 3])
    assert logit_difference(held, 1, 0) == pytest.approx(log(3))


@given(LOGPROBS)
def test_numbers_are_those_of_torch_in_float64(values: list[float]) -> None:
    tensor = torch.tensor(values)  # float32, as a pass returns it
    np.testing.assert_allclose(option_probabilities(tensor), tensor.double().softmax(-1), rtol=1e-14)
    assert option_coverage(tensor) == pytest.approx(float(tensor.double().exp().sum()), rel=1e-14)
    assert choose_option(tensor) == int(tensor.argmax())


def test_further_options_are_one_value() -> None:
    merged = merge_new_options(np.log([0.1, 0.3, 0.2, 0.15]), 2)
    assert np.exp(merged) == pytest.approx([0.1, 0.3, 0.35])
    assert option_probabilities(merge_new_options(np.log([0.1, 0.3]), 2)) == pytest.approx([0.25, 0.75, 0.0])


def test_total_variation_by_hand() -> None:
    assert total_variation(logs(0.5, 0.5), logs(0.9, 0.1)) == pytest.approx(0.4)
    assert total_variation(logs(0.05, 0.05), logs(0.45, 0.05)) == pytest.approx(0.4)  # renormalised
    assert total_variation(logs(1 - 1e-9, 1e-9), logs(1e-9, 1 - 1e-9)) == pytest.approx(1)


def test_kl_by_hand() -> None:
    assert kl_divergence(logs(0.5, 0.5), logs(0.9, 0.1)) == pytest.approx(0.5 * log(0.5 / 0.9) + 0.5 * log(5))
    assert kl_divergence(logs(0.25, 0.75), logs(0.5, 0.5)) == pytest.approx(0.25 * log(0.5) + 0.75 * log(1.5))


@given(LOGPROBS, LOGPROBS, st.floats(-20, 0))
def test_a_constant_in_all_log_probabilities_changes_nothing_but_coverage(
    one: list[float], other: list[float], shift: float
) -> None:
    n = min(len(one), len(other))
    p, q = (np.array(x[:n]) for x in (one, other))
    assert option_probabilities(p + shift).tolist() == pytest.approx(option_probabilities(p).tolist())
    assert float(option_probabilities(p).sum()) == pytest.approx(1)
    assert total_variation(p + shift, q) == pytest.approx(total_variation(p, q))
    assert kl_divergence(p + shift, q) == pytest.approx(kl_divergence(p, q), abs=1e-9)
    assert option_coverage(p + shift) == pytest.approx(option_coverage(p) * 2.718281828459045**shift)


@given(LOGPROBS, LOGPROBS)
def test_distances_are_distances(one: list[float], other: list[float]) -> None:
    n = min(len(one), len(other))
    p, q = (np.array(x[:n]) for x in (one, other))
    tv, kl = total_variation(p, q), kl_divergence(p, q)
    assert total_variation(q, p) == pytest.approx(tv)
    assert total_variation(p, p) == kl_divergence(p, p) == 0
    assert 0 <= tv <= 1 + 1e-12
    assert kl >= 2 * tv**2 - 1e-9  # Pinsker's inequality


def test_both_readings_of_the_area_over_the_curve() -> None:
    """On one curve the published readings differ: by trapezoid .35, by mean over 0 .. n - 1 .43, over 0 .. n .34."""
    retention = (0.4, 0.5, 0.6, 0.8, 1.0)
    assert aoc_trapezoid_0_1(retention) == pytest.approx(0.35)
    assert aoc_mean(retention) == pytest.approx(0.34)
    assert aoc_mean(retention[:-1]) == pytest.approx(0.425)


def test_the_readings_rank_two_curves_differently() -> None:
    early, late = (0.0, 1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 0.0, 1.0)
    assert (aoc_trapezoid_0_1(early), aoc_trapezoid_0_1(late)) == (0.125, 0.25)
    assert aoc_mean(early[:-1]) == aoc_mean(late[:-1]) == 0.25


def test_a_curve_of_nothing_has_no_area() -> None:
    assert aoc_trapezoid_0_1([]) is aoc_trapezoid_0_1([1.0]) is aoc_mean([]) is None


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_areas_are_shares_and_mirror(retention: list[float]) -> None:
    area = aoc_trapezoid_0_1(retention)
    assert area is not None
    assert -1e-12 <= area <= 1 + 1e-12
    assert aoc_trapezoid_0_1([1 - r for r in retention]) == pytest.approx(1 - area)
    assert aoc_trapezoid_0_1(retention[::-1]) == pytest.approx(area)
