"""The rules for intervals: closed forms, borders and algebra. How often they cover is in `test_coverage.py`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest, ttest_1samp

from faithlens.stats.interval import (
    BOUNDED,
    BY_CONSTRUCTION,
    NO_METHOD,
    UNBOUNDED,
    WITHHELD,
    compute_mean_interval,
    compute_mean_intervals,
)
from faithlens.stats.resample import (
    compute_binomial_excess,
    compute_exact_bound,
    compute_exact_interval,
    compute_statistic_interval,
    compute_unbounded_intervals,
    draw_questions,
)

SHARE = (0.0, 1.0)
shares = st.lists(st.floats(0, 1), min_size=2, max_size=12)


def ends(values, scale=SHARE, seed=0) -> tuple[float, float]:
    result = compute_mean_interval(np.array(values, float), scale, seed)
    return result.low, result.high


@pytest.mark.parametrize(("successes", "n"), [(0, 12), (12, 12), (5, 24), (1, 2), (999, 1000)])
def test_the_exact_interval_is_scipys(successes, n) -> None:
    expected = binomtest(successes, n).proportion_ci(0.95, method="exact")
    assert compute_exact_interval(successes, n) == pytest.approx((expected.low, expected.high))
    one_sided = binomtest(successes, n, alternative="greater").proportion_ci(0.95, method="exact")
    assert compute_exact_bound(successes, n, "low") == pytest.approx(one_sided.low)
    assert compute_exact_bound(n - successes, n, "high") == pytest.approx(1 - one_sided.low)


@pytest.mark.parametrize("n", [2, 5, 12, 100])
def test_questions_that_agree_leave_what_n_questions_can_have_missed(n) -> None:
    """The share of unseen questions is below 1 - .025^(1/n), whatever the value and however many the samples."""
    unseen = 1 - 0.025 ** (1 / n)
    for value in (0.0, 0.3, 1.0):
        expected = (value * (1 - unseen), value + (1 - value) * unseen)
        assert ends([value] * n) == pytest.approx(expected, abs=1e-3)
        sums, counts = np.full((n, 1), 7 * value), np.full((n, 1), 7.0)
        assert compute_mean_intervals(sums, counts, 0, [SHARE])[0][1:3] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("zeros", "ones"), [(0, 4), (1, 3), (5, 7), (30, 10)])
def test_zeros_and_ones_have_nearly_the_same_interval_as_almost_zeros_and_ones(zeros, ones) -> None:
    exact = ends([0.0] * zeros + [1.0] * ones)
    assert exact == pytest.approx(compute_exact_interval(ones, zeros + ones))
    assert ends([1e-6] * zeros + [1 - 1e-6] * ones) == pytest.approx(exact, abs=0.015)  # 2,000 draws


def test_less_agreement_is_never_rewarded() -> None:
    widths = [np.diff(ends([1, 1, 1, 1 - less]))[0] for less in (0, 0.009, 0.02, 0.3)]
    lows = [ends([1, 1, 1, 1 - less])[0] for less in (0, 0.009, 0.02, 0.3)]
    assert widths == pytest.approx([0.6] * 4, abs=0.06)
    assert lows == sorted(lows, reverse=True)


@settings(max_examples=60, deadline=None)
@given(shares, st.integers(0, 11), st.floats(0, 1))
def test_a_higher_value_never_lowers_an_end(values, place, higher) -> None:
    raised = [max(v, higher) if i == place % len(values) else v for i, v in enumerate(values)]
    if {*values, *raised} & {0.0, 1.0}:  # yes and no has the exact interval: the same rule without its draws
        return
    (low, high), (low_raised, high_raised) = ends(values), ends(raised)
    assert low <= low_raised + 1e-12
    assert high <= high_raised + 1e-12


@settings(max_examples=60, deadline=None)
@given(shares, st.floats(-3, 3), st.floats(0.1, 5))
def test_intervals_follow_the_scale(values, shift, factor) -> None:
    low, high = (shift + factor * end for end in ends(np.array(values) * 0.9 + 0.05))
    moved = shift + factor * (np.array(values) * 0.9 + 0.05)
    assert ends(moved, (shift, shift + factor)) == pytest.approx((low, high), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(shares)
def test_no_interval_of_shares_is_without_width_or_beyond_its_scale(values) -> None:
    low, high = ends(values)
    assert 0 <= low <= np.mean(values) + 1e-12
    assert np.mean(values) - 1e-12 <= high <= 1
    assert high - low > 0.1


@pytest.mark.parametrize(("value", "low", "high"), [(1.3, 1.3 * 0.025**0.25, 1.6), (-0.2, -0.4, 1.0)])
def test_a_scale_goes_on_beyond_an_end_that_values_pass(value, low, high) -> None:
    """Both sides have width, and the scale ends as far out again: 1.3 may be .3 more, -.2 may be .2 less."""
    unseen = 1 - 0.025**0.25
    result = ends([value] * 4)
    assert result == pytest.approx(
        (value - unseen * (value - min(0.0, low)), value + unseen * (max(1.0, high) - value)), abs=1e-3
    )
    assert result[0] < value < result[1]


def test_one_question_with_many_samples_is_one_question() -> None:
    """A hundred samples of one question and one of another: nearly what a single question says, which is nothing."""
    result = compute_mean_intervals(np.array([[50.0], [1.0]]), np.array([[100.0], [1.0]]), 0, [SHARE])[0]
    assert result.value == pytest.approx(51 / 101)
    assert result.low < 0.05
    assert result.high > 0.95


def test_clusters_count_by_their_samples() -> None:
    """Two questions with sums 3 of 4 and 0 of 1: the mean over samples, not over questions."""
    result = compute_mean_intervals(np.array([[3.0], [0.0]]), np.array([[4.0], [1.0]]), 0, [SHARE])[0]
    assert result.value == pytest.approx(0.6)


def test_fewer_than_two_questions_have_neither_value_nor_interval() -> None:
    result = compute_mean_intervals(np.array([[1.0], [0.0]]), np.array([[1.0], [0.0]]), 0, [SHARE])[0]
    assert np.isnan(result[:3]).all()
    assert (result.method, result.reason) == (NO_METHOD, "1 question with a value: an interval needs at least 2")
    assert compute_mean_interval(np.array([np.nan]), SHARE, 0).method == NO_METHOD


def test_what_is_fixed_by_construction_has_no_doubt() -> None:
    sums, counts = np.full((3, 2), 0.25), np.ones((3, 2))
    fixed, free = compute_mean_intervals(sums, counts, 0, [SHARE, SHARE], [True, False])
    assert fixed == (0.25, 0.25, 0.25, BY_CONSTRUCTION, None)
    assert free.method == BOUNDED
    assert free.low < 0.25 < free.high


def test_each_column_goes_by_its_own_questions() -> None:
    """A column with gaps has the interval that its questions have alone, up to the draws."""
    rng = np.random.default_rng(0)
    x, known = rng.random((30, 2)), np.ones((30, 2))
    known[20:, 1] = 0
    both = compute_mean_intervals(x * known, known, 0, [SHARE, SHARE])
    assert both[1][1:3] == pytest.approx(ends(x[:20, 1]), abs=0.02)
    assert both[0][1:3] == pytest.approx(ends(x[:, 0]))


def test_without_ends_the_interval_is_at_least_students() -> None:
    x = np.random.default_rng(5).normal(3, 1, 12)
    student = ttest_1samp(x, 0).confidence_interval()
    result = compute_mean_interval(x, None, 0)
    assert result.method == UNBOUNDED
    assert result.low <= student.low
    assert result.high >= student.high
    assert result.high - result.low < 1.4 * (student.high - student.low)


@pytest.mark.parametrize("values", [[3.0] * 5, [0.0] * 50, [3.0, 3.0, 3.0, 3.0, 3.0001], [0.0] * 30 + [1.0]])
def test_without_ends_agreement_shows_nothing(values) -> None:
    result = compute_mean_interval(np.array(values), None, 0)
    assert result.method == WITHHELD
    assert np.isnan([result.low, result.high]).all()
    assert f"of {len(values)} questions agree" in result.reason


@pytest.mark.parametrize("n", [2, 3, 4])
def test_without_ends_few_questions_show_nothing(n) -> None:
    result = compute_mean_interval(np.arange(n) * 1.0, None, 0)
    assert (result.value, result.method) == ((n - 1) / 2, WITHHELD)
    assert result.reason == f"interval withheld: {n} questions are too few for a measure without ends, which needs 5"


def test_without_ends_constants_shift_and_factors_stretch() -> None:
    x = np.random.default_rng(1).exponential(size=(9, 1))
    low, high = compute_unbounded_intervals(x, np.ones_like(x), 0)
    moved = compute_unbounded_intervals(1e3 - 2 * x, np.ones_like(x), 0)
    assert np.ravel(moved) == pytest.approx([1e3 - 2 * high[0], 1e3 - 2 * low[0]], abs=0.05)  # quantiles of 2,000 draws


def test_draws_are_whole_resamples_and_a_function_of_the_seed() -> None:
    draws = draw_questions(7, seed=3, draws=50)
    assert (draws.sum(axis=1) == 7).all()
    assert (draws == draw_questions(7, seed=3, draws=50)).all()
    assert (draws != draw_questions(7, seed=4, draws=50)).any()


def test_a_statistic_of_one_mean_has_the_interval_of_the_mean() -> None:
    x = np.random.default_rng(0).random((20, 1))
    result = compute_statistic_interval(x, lambda m: m[:, 0], np.array([[0.0], [1.0]]), 1)
    assert result == pytest.approx(ends(x[:, 0], seed=1))


def test_columns_are_paired() -> None:
    """A constant difference has only the doubt of the question not seen, however much the columns themselves vary."""
    x = np.random.default_rng(0).random((20, 1))
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    low, high = compute_statistic_interval(np.hstack([x, x + 0.3]), lambda m: m[:, 1] - m[:, 0], corners, 1)
    unseen = beta.ppf(0.975, 1, 20)
    assert (low, high) == pytest.approx((0.3 - unseen * 1.3, 0.3 + unseen * 0.7), abs=1e-3)


def test_quantiles_are_those_of_scipy() -> None:
    """The room takes them from scipy.special, which is fast to import."""
    for n in (1, 5, 29, 200):
        for k in range(n + 1):
            for allowed in (0.0, 0.1, 0.5, 1.0, 1.5):
                expected = binom.sf(k - 1, n, min(allowed, 1.0))
                assert compute_binomial_excess(k, n, allowed) == pytest.approx(expected, rel=1e-12, abs=1e-300)
            low, high = compute_exact_interval(k, n)
            exact = binomtest(k, n).proportion_ci(method="exact")
            assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-12)
