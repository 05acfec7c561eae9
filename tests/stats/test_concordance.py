"""Concordance with labels: by hand, against scikit-learn, and the coverage of its interval."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from faithlens.stats import concordance
from faithlens.stats.concordance import ONE_LABEL, compute_concordance

RNG = np.random.default_rng(0)


def test_pairs_with_different_labels_are_counted_and_ties_are_halves() -> None:
    values, labels = np.array([0.9, 0.4, 0.4]), np.array([3.0, 2.0, 1.0])
    own = compute_concordance(values, labels, np.arange(3))
    assert own.auroc == pytest.approx(2.5 / 3)
    assert (own.n_used, own.n_questions) == (3, 3)
    assert compute_concordance(values, np.ones(3), np.arange(3)).reason == ONE_LABEL
    one = compute_concordance(values, labels, np.zeros(3, dtype=int))
    assert (one.auroc, one.low) == (own.auroc, None)
    assert compute_concordance(values[:0], labels[:0], np.arange(0)).auroc is None


def test_of_two_labels_it_is_the_auroc_in_however_many_parts_it_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = (RNG.random(80) < 0.3).astype(float)
    values, questions = (RNG.normal(size=80) + labels).round(1), np.repeat(np.arange(20), 4)
    own = compute_concordance(values, labels, questions)
    assert own.auroc == pytest.approx(roc_auc_score(labels, values))
    monkeypatch.setattr(concordance, "MAX_CELLS", 200)
    assert compute_concordance(values, labels, questions) == own


def test_full_concordance_leaves_doubt_that_more_questions_shrink() -> None:
    lows = []
    for n in (4, 40):
        values = np.tile([0.0, 1.0], n)
        own = compute_concordance(values, values, np.repeat(np.arange(n), 2))
        assert own.auroc == own.high == 1.0
        assert own.low is not None
        lows.append(own.low)
    assert lows[0] < 0.5 < 0.8 < lows[1]


@pytest.mark.parametrize("n", [2, 4, 25])
def test_intervals_cover_the_truth_where_questions_differ(n: int) -> None:
    """Four steps a question, one positive, levels that differ by question: of 200 simulations at least 92 % cover."""
    # a positive has 3 pairs with each question; differences have the variance 4, and 2 within the own question
    between, within = norm.cdf(1 / np.sqrt(4)), norm.cdf(1 / np.sqrt(2))
    truth, covered = (3 * (n - 1) * between + 3 * within) / (3 * n), 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels, questions = np.tile([1.0, 0.0, 0.0, 0.0], n), np.repeat(np.arange(n), 4)
        values = labels + rng.normal(size=n)[questions] + rng.normal(size=4 * n)
        own = compute_concordance(values, labels, questions, seed)
        covered += own.low is not None and own.high is not None and own.low <= truth <= own.high
    assert covered >= 184
