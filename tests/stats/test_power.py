"""What a run can show: closed forms solved backwards, and effects that are found as often as promised."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from faithlens.errors import MeasureError
from faithlens.stats.estimate import ESTIMATE_COLUMNS
from faithlens.stats.interval import EXACT, Estimate
from faithlens.stats.power import (
    compute_detectable_effect,
    compute_exact_half_width,
    compute_power_after,
    compute_power_before,
    count_informative,
    count_questions_for_mean,
    count_questions_for_share,
)
from faithlens.stats.resample import compute_exact_interval
from faithlens.stats.scaling.equal_accuracy import estimate_raw


def estimate(value, low, high, n_used, n_dropped=0, method="bootstrap") -> Estimate:
    known = {"value": value, "low": low, "high": high, "n_used": n_used, "n_dropped": n_dropped, "method": method}
    same = {"model": "m", "task": "t", "measure": "x", "unit": "fraction", "seed": 0}
    return Estimate(**dict.fromkeys(ESTIMATE_COLUMNS) | same | known)


def test_informative_questions_are_those_whose_answer_can_change() -> None:
    """ARC-Easy in Lanham et al.'s Table 2: right 96 % with and without, so that 8 of 100 answers can change."""
    assert count_informative(100, 0.96, 0.96) == pytest.approx(8)
    assert count_informative(100, 0.28, 0.43) == 100
    assert count_informative(100, 1.0, 1.0) == 0


@pytest.mark.parametrize(("successes", "n"), [(0, 50), (7, 40), (50, 100), (99, 100)])
def test_the_half_width_of_a_share_is_that_of_the_exact_interval(successes, n) -> None:
    low, high = compute_exact_interval(successes, n)
    assert compute_exact_half_width(n, successes / n) == pytest.approx((high - low) / 2)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("half_width", [0.2, 0.05, 0.01])
def test_the_questions_for_a_share_are_the_first_that_are_enough(share, half_width) -> None:
    n = count_questions_for_share(half_width, share)
    assert compute_exact_half_width(n, share) <= half_width * (1 + 1e-9)
    assert n == 1 or compute_exact_half_width(n - 1, share) > half_width


def test_the_questions_for_a_mean_by_hand() -> None:
    """(1.96 x 0.5 / 0.1)^2 = 96.04."""
    assert count_questions_for_mean(0.1, 0.5) == 97
    assert count_questions_for_mean(0.1, 0.0) == 1


def test_the_smallest_detectable_effect_is_2_8_standard_errors_and_found_in_four_of_five_runs() -> None:
    assert compute_detectable_effect(norm.ppf(0.975)) == pytest.approx(2.8016, abs=1e-4)
    rng, n, sd = np.random.default_rng(0), 100, 0.4
    plan = compute_power_before(n, 0.05, sd=sd)
    means = rng.normal(plan.detectable, sd, (4000, n)).mean(1)
    assert np.mean(np.abs(means) > plan.half_width) == pytest.approx(0.8, abs=0.02)  # standard error 0.006
    assert compute_power_before(n, 0.05, sd=sd, power=0.5).detectable == pytest.approx(plan.half_width)


def test_near_perfect_accuracy_leaves_little_to_be_found() -> None:
    """The same 200 questions: a change of 5 % of what can change is detectable only when it is a third of it."""
    low, high = (
        compute_power_before(200, 0.05, share=share, accuracies=(a, a)) for share, a in ((0.3, 0.4), (0.04, 0.92))
    )
    assert (low.n_informative, high.n_informative) == (200, pytest.approx(32))
    assert low.detectable > high.detectable
    assert low.detectable_share < high.detectable_share
    assert high.detectable_share == pytest.approx(high.detectable / 0.16)
    none = compute_power_before(200, 0.05, share=0.0, accuracies=(1.0, 1.0))
    assert (none.detectable_share, none.reason) == (None, "the accuracies leave no room for change")


def test_after_a_run_the_same_forms_speak_from_its_interval() -> None:
    low, high = compute_exact_interval(12, 40)
    share = compute_power_after(estimate(0.3, low, high, 40, method=EXACT), 0.05, accuracies=(0.5, 0.7))
    assert (share.half_width, share.method) == (pytest.approx((high - low) / 2), EXACT)
    assert share.needed == count_questions_for_share(0.05, 0.3)
    assert share.n_informative == pytest.approx(32)
    mean = compute_power_after(estimate(0.3, 0.2, 0.4, 50, n_dropped=50), 0.05)
    assert (mean.needed, mean.detectable) == (
        400,
        pytest.approx(compute_detectable_effect(0.1)),
    )  # 200 used, as many dropped


def test_after_a_run_without_an_interval_it_says_why() -> None:
    fixed = compute_power_after(estimate(0.25, 0.25, 0.25, 20, method="fixed by construction"), 0.05)
    assert (fixed.needed, fixed.detectable) == (None, None)
    assert fixed.reason == "no interval that more questions would narrow (fixed by construction)"


def test_a_size_effect_has_power_too() -> None:
    rows = [(10.0**k, task, 0.1 * k * task) for k in (8, 9, 10) for task in range(4)]
    result = estimate_raw(pd.DataFrame(rows, columns=["size", "task", "value"]))
    assert compute_power_after(result, 0.01).detectable == pytest.approx(
        compute_detectable_effect((result.high - result.low) / 2)
    )


def test_guesses_out_of_range_are_refused() -> None:
    with pytest.raises(MeasureError, match="either a share or a standard deviation"):
        compute_power_before(100, 0.05)
    with pytest.raises(MeasureError, match="a half-width must be above 0"):
        compute_power_before(100, 0.0, sd=0.3)
    with pytest.raises(MeasureError, match="a share must be between 0 and 1"):
        compute_power_before(100, 0.05, share=1.5)


@pytest.mark.parametrize(
    ("guess", "message"),
    [
        ({"n": 0, "share": 0.5}, "at least 1 question, got 0"),
        ({"n": -5, "share": 0.5}, "at least 1 question, got -5"),
        ({"n": 0, "sd": 0.5}, "at least 1 question, got 0"),
        ({"n": 10, "sd": -1.0}, "a standard deviation must be 0 or more"),
        ({"n": 10, "sd": float("nan")}, "a standard deviation must be 0 or more"),
        *(({"n": 10, "share": 0.5, "power": power}, "power of a test") for power in (0.0, 1.0, 1.5, float("nan"))),
        ({"n": 10, "share": 0.5, "accuracies": (1.5, 2.0)}, "an accuracy must be between 0 and 1, got 1.5"),
        ({"n": 10, "share": 0.5, "half_width": float("nan")}, "a half-width must be above 0"),
        ({"n": 10, "share": float("nan")}, "a share must be between 0 and 1"),
    ],
)
def test_impossible_plans_are_refused(guess, message) -> None:
    with pytest.raises(MeasureError, match=message):
        compute_power_before(**{"half_width": 0.1} | guess)


def test_a_plan_that_needs_no_width_at_all_has_one_question() -> None:
    assert compute_power_before(10, 0.6, share=0.5).needed == 1
    assert compute_power_before(10, 0.1, sd=0.0).half_width == 0.0
