"""Gwet's AC1 against the formula and published properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faithlens.errors import MeasureError
from faithlens.stats.raters import compute_ac1


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20))
def test_ac1_is_the_formula_over_counted_labels(pairs: list[tuple[bool, bool]]) -> None:
    n = len(pairs)
    same = sum(one == two for one, two in pairs) / n
    yes = (sum(one for one, _ in pairs) + sum(two for _, two in pairs)) / (2 * n)
    chance = yes * (1 - yes) + (1 - yes) * yes  # the sum of q (1 - q) over two labels, divided by two labels less one
    agreement = compute_ac1([one for one, _ in pairs], [two for _, two in pairs])
    assert agreement.value == pytest.approx((same - chance) / (1 - chance))
    assert agreement.n_same == sum(one == two for one, two in pairs)
    assert n == 1 or (agreement.low is not None and agreement.high is not None)
    if n > 1:
        assert agreement.low <= agreement.value <= agreement.high  # type: ignore[operator]


def test_agreement_about_rare_labels_is_high_where_kappa_is_zero() -> None:
    agreement = compute_ac1([False] * 92, [True] * 8 + [False] * 84)
    assert agreement.value == pytest.approx(0.905, abs=5e-4)


def test_the_interval_covers_the_agreement_of_all_chains() -> None:
    rng, covered = np.random.default_rng(0), 0
    cells = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=bool)
    shares = np.array([0.15, 0.05, 0.1, 0.7])
    yes = (2 * shares[0] + shares[1] + shares[2]) / 2
    true = (shares[0] + shares[3] - 2 * yes * (1 - yes)) / (1 - 2 * yes * (1 - yes))
    for _ in range(200):
        drawn = cells[rng.choice(4, size=40, p=shares)]
        agreement = compute_ac1(drawn[:, 0].tolist(), drawn[:, 1].tolist())
        assert agreement.low is not None
        assert agreement.high is not None
        covered += agreement.low <= true <= agreement.high
    assert covered >= 184  # 190 are expected at 95 %; 184 is two standard deviations below


def test_the_chains_of_one_question_are_one_observation() -> None:
    """Four chains of each question with the same labels tell no more than one chain of each: value and interval."""
    first, second = [True, False, False, True, False, False], [True, False, True, True, False, False]
    one = compute_ac1(first, second)
    four = compute_ac1(first * 4, second * 4, questions=[*range(6)] * 4)
    assert (four.value, four.low, four.high) == pytest.approx((one.value, one.low, one.high))
    assert (four.n, four.n_same) == (24, 20)
    assert compute_ac1([True] * 9, [True] * 9, questions=["q"] * 9).low is None


def test_raters_label_the_same_chains() -> None:
    with pytest.raises(MeasureError, match="and 1 questions"):
        compute_ac1([True, True], [True, False], questions=["q"])
    with pytest.raises(MeasureError, match="got 1 and 2 labels"):
        compute_ac1([True], [True, False])
    with pytest.raises(MeasureError, match="at least one"):
        compute_ac1([], [])
