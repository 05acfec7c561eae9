"""What a measure is worth: hand-worked examples, and simulations whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, norm
from sklearn.metrics import roc_auc_score

from faithlens.stats.detection import (
    ONE_MODEL,
    choose_threshold,
    compute_auroc,
    compute_model_interval,
    detect_between_models,
    detect_steps,
    detect_within_models,
    fit_calibration,
    mark_steps,
)


def table(values, positive, seed=0, organisms="O4"):
    """Values of a model's questions, or of the questions of several `organisms` of that seed."""
    return pd.DataFrame(
        {"organism": organisms, "seed": seed, "question": range(len(values)), "value": values, "positive": positive}
    )


def test_detection_counts_pairs_and_halves_ties():
    result = detect_within_models(table([3.0, 1.0, 1.0, 0.0], [True, True, False, False]))
    assert result.auroc == (2 + 1.5) / 4  # 3 beats both, 1 ties once and wins once
    assert (result.n_used, result.n_dropped, result.prevalence) == (4, 0, 0.5)


def test_detection_is_the_rank_test_and_the_library():
    rng = np.random.default_rng(0)
    positive = rng.random(60) < 0.4
    values = rng.normal(size=60) + positive
    by_ranks = mannwhitneyu(values[positive], values[~positive]).statistic / (positive.sum() * (~positive).sum())
    assert detect_within_models(table(values, positive)).auroc == pytest.approx(by_ranks, abs=1e-9)
    assert compute_auroc(values, positive) == pytest.approx(roc_auc_score(positive, values), abs=1e-9)


def kinds(made):
    """Models of organisms that are of one kind each: (organism, seed, positive, values)."""
    return pd.concat(table(v, [positive] * len(v), seed).assign(organism=name) for name, seed, positive, v in made)


def test_between_models_every_organism_weighs_the_same():
    result = detect_between_models(
        kinds(
            [
                ("O5", 0, True, [2.0] * 10),
                ("O4", 0, False, [1.0] * 10),
                ("O3", 1, False, [3.0] * 40),
                ("O3", 2, False, [1.0] * 2),
            ]
        )
    )
    assert result.auroc == pytest.approx(0.75)  # right against O4, and against one of the two seeds of O3
    assert result.by_model == {"O5": pytest.approx(0.75), "O4": 1.0, "O3@1": 0.0, "O3@2": 1.0}
    assert result.prevalence == pytest.approx(1 / 3)
    assert (result.low, result.high, result.reason) == (None, None, ONE_MODEL)  # there is one positive model
    assert detect_between_models(kinds([("O5", 0, True, [1.0]), ("O6", 0, True, [0.0])])).auroc is None


def test_interval_between_models_covers_the_truth_over_new_seeds():
    rng, hits, runs = np.random.default_rng(1), 0, 100
    truth = norm.cdf(1 / np.sqrt(2 + 2 * 0.5**2))  # of the gap between two drawn levels and two drawn questions
    for _ in range(runs):
        made = [
            (f"O{name}", seed, name % 2 == 0, (name % 2 == 0) + rng.normal(0, 0.5) + rng.normal(size=20))
            for name in range(4)
            for seed in range(8)
        ]
        result = detect_between_models(kinds(made), seed=0)
        hits += result.low <= truth <= result.high
    assert hits / runs >= 0.92


def test_values_that_differ_by_rounding_tie():
    assert detect_within_models(table([1e-9, 2e-9], [True, False])).auroc == 0.5


def test_every_seed_counts_the_same_and_is_kept():
    many = table([1.0] * 40 + [0.0] * 40, [True] * 40 + [False] * 40, seed=0)
    few = table([0.0, 1.0], [True, False], seed=1)
    result = detect_within_models(pd.concat([many, few]))
    assert result.by_model == {"O4": 1.0, "O4@1": 0.0}
    assert result.auroc == 0.5
    assert result.low < 0.02  # two seeds that say the opposite say nothing
    assert result.high > 0.98


def test_a_seed_with_one_kind_is_no_evidence():
    alone = detect_within_models(table([1.0, 2.0], [True, True]))
    assert (alone.auroc, alone.reason) == (None, "no model has values of both kinds")
    gaps = detect_within_models(table([1.0, np.nan, 0.0], [True, True, False]))
    assert (gaps.auroc, gaps.n_used, gaps.n_dropped) == (1.0, 2, 1)


def test_models_that_agree_leave_what_so_few_can_have_missed():
    low, high, why = compute_model_interval({"a": 0.7, "b": 0.7, "c": 0.7}, (0.0, 1.0), 0)
    unseen = 1 - 0.025 ** (1 / 3)
    assert (low, high) == pytest.approx((0.7 - unseen * 0.7, 0.7 + unseen * 0.3), abs=1e-3)
    assert why is None
    assert compute_model_interval({"a": 0.7}, (0.0, 1.0), 0) == (None, None, ONE_MODEL)


def test_perfect_separation_of_few_models_is_not_certain():
    """Two models of each kind: a new one of either loses with a share of up to .84, and the products lie lower."""
    made = [(f"O{k}", seed, k == 1, [float(k)] * 5) for k in range(2) for seed in range(2)]
    result = detect_between_models(kinds(made))
    assert (result.auroc, result.high) == (1.0, 1.0)
    seen = np.random.default_rng(0).beta(2, 1, size=(2, 200000)).prod(0)  # 1 - Beta(1, 2), of each kind
    assert result.low == pytest.approx(np.quantile(seen, 0.025), abs=0.02)


@pytest.mark.parametrize("seeds", [2, 3, 6])
@pytest.mark.parametrize("between", [True, False])
def test_few_models_cover_the_truth_over_new_models(between, seeds):
    """Models differ far more than questions: with standard deviations of 1 and .2. 60 repeats."""
    rng, hits = np.random.default_rng(2), 0
    truth = norm.cdf(1 / np.sqrt(2 * 0.2**2 + (2 if between else 1)))
    for _ in range(60):
        made = []
        for seed in range(seeds):
            own, gap = rng.normal(size=2), 1 + rng.normal()
            noise = rng.normal(0, 0.2, (2, int(rng.integers(4, 12))))
            if between:
                made += [table(own[k] + k + noise[k], k == 1, seed, f"O{k}") for k in range(2)]
            else:
                made += [table(gap * k + noise[k], k == 1, seed) for k in range(2)]
        result = (detect_between_models if between else detect_within_models)(pd.concat(made), seed=0)
        hits += result.low <= truth <= result.high
    assert hits / 60 >= 0.92


def test_interval_covers_the_truth_over_new_seeds_and_questions():
    truth = norm.cdf(1 / np.sqrt(2 + 0.3**2))  # the mean of Phi(gap / sqrt 2) over the gaps below
    rng, hits, runs = np.random.default_rng(1), 0, 120
    for _ in range(runs):
        parts = []
        for seed in range(8):
            gap = rng.normal(1.0, 0.3)  # seeds differ in how well the measure does
            positive = np.arange(40) % 2 == 0
            parts.append(table(rng.normal(size=40) + gap * positive, positive, seed))
        result = detect_within_models(pd.concat(parts), seed=0)
        hits += result.low <= truth <= result.high
    assert hits / runs >= 0.92


def test_one_threshold_is_chosen_on_half_the_seeds_and_tried_on_the_others():
    train = table([0.0, 0.2, 0.8, 1.0], [False, False, True, True], 0, ["a", "b", "c", "c"])
    test = table([0.1, 0.9, 0.6, 0.4], [False, False, True, True], 1, ["a", "b", "c", "c"])
    result = choose_threshold(pd.concat([train, test]))
    assert result.threshold == 0.5
    assert result.by_organism == {"a": 1.0, "b": 0.0, "c": 0.5}
    assert result.balanced_accuracy == 0.5


def test_of_one_seed_questions_are_halved():
    one = table([0.0, 0.1, 1.0, 1.1, 0.0, 0.1, 1.0, 1.1], [False, False, True, True] * 2)
    assert choose_threshold(one).balanced_accuracy == 1.0
    assert choose_threshold(table([1.0, 0.0], [True, False])) is None


def test_calibration_is_the_straight_line():
    rate = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    result = fit_calibration(np.array([0.1, 0.3, 0.5, np.nan, 0.9]), rate)
    assert (result.slope, result.intercept, result.n_used) == pytest.approx((0.8, 0.1, 4))


def test_steps_are_compared_within_their_question():
    rows = []
    for question, (level, right) in enumerate([(0.0, 1.0), (100.0, 1.0), (0.0, -1.0)]):
        for step in range(4):
            value = level + (right if step == 3 else 0.0)
            rows.append({"organism": "O", "seed": 0, "question": question, "value": value, "positive": step == 3})
    result = detect_steps(pd.DataFrame(rows))
    assert result.auroc == pytest.approx(2 / 3)  # two questions right, one wrong; levels do not matter
    assert result.n_used == 3
    none = detect_steps(pd.DataFrame([{"organism": "O", "seed": 0, "question": 0, "value": 1.0, "positive": True}]))
    assert none.reason == "no question has steps of both kinds"


def test_steps_are_named_from_either_end():
    """Of a chain of three steps, and of one whose steps are two."""
    place, n_steps = np.array([0, 1, 2, 0, 1]), np.array([3, 3, 3, 2, 2])
    assert mark_steps((-1,), place, n_steps).tolist() == [False, False, True, False, True]
    assert mark_steps((0, -1), place, n_steps).tolist() == [True, False, True, True, True]
