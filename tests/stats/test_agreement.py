"""Rank agreement: closed forms, a planted confound, hand-worked ranks, and how often its interval covers the truth."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from faithlens.errors import MeasureError
from faithlens.stats.agreement import (
    ChainCorrelation,
    average_correlations,
    compute_correlation_ceiling,
    compute_rank_agreement,
    compute_reliability,
    correlate_chain,
    rank_with_ties,
    spearman_brown,
)

REPEATS = 150


def table(make, questions=12, n=8, seed=0) -> pd.DataFrame:
    """A row a step; `make` gives a question's two columns from its step indices and a generator."""
    rng = np.random.default_rng(seed)
    parts = []
    for q in range(questions):
        flip, patch = make(np.arange(n), rng)
        length = rng.integers(3, 12, n)
        columns = {"step": np.arange(n), "length": length, "flip": flip, "patch": patch}
        parts.append(pd.DataFrame(columns).assign(question=q))
    return pd.concat(parts, ignore_index=True)


def noise(steps, rng):
    return rng.normal(size=len(steps))


def alike(steps, rng):
    x = noise(steps, rng)
    return x, np.exp(x)


def draw_opposed(steps, rng):
    x, y = alike(steps, rng)
    return x, -y


def draw_confounded(steps, rng):
    """Both grow along the chain and share nothing else."""
    return steps + 1.5 * noise(steps, rng), steps + 1.5 * noise(steps, rng)


def find_agreement(*args, **named) -> pd.DataFrame:
    return compute_rank_agreement(*args, **named).set_index("correlation")


@pytest.mark.parametrize(("make", "sign"), [(alike, 1.0), (draw_opposed, -1.0)])
def test_perfect_agreement_is_one_and_knows_what_so_few_questions_can_have_missed(make, sign) -> None:
    one = find_agreement(table(make), "flip", "patch")
    assert one["value"].tolist() == pytest.approx([sign] * 3)
    assert one[["low", "high"]].abs().max(axis=1).tolist() == pytest.approx([1.0] * 3)
    unseen, most = 1 - 0.025 ** (1 / 12), [1 - 6 / (n * (n * n - 1)) for n in (8, 7, 6)]  # by steps less what is held
    least = [np.tanh((1 - 2 * unseen) * np.arctanh(x)) / x for x in most]
    assert one[["low", "high"]].abs().min(axis=1).tolist() == pytest.approx(least, abs=1e-3)
    assert (one["n_used"] == 12).all()
    assert (one["n_steps"] == 96).all()


def test_one_question_is_spearman_and_its_partial_is_the_textbook_formula() -> None:
    steps = table(draw_confounded, questions=1, n=20)
    x, y, z = (steps[name] for name in ("flip", "patch", "step"))
    xy, xz, yz = (spearmanr(a, b).statistic for a, b in ((x, y), (x, z), (y, z)))
    assert correlate_chain(steps[["flip", "patch"]].to_numpy(), ("flip", "patch")).rho == pytest.approx(xy)
    expected = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    names = ["flip", "patch", "step"]
    assert correlate_chain(steps[names].to_numpy(float), names).rho == pytest.approx(expected)


def test_the_mean_is_worked_by_hand() -> None:
    """Ranks (1, 2, 3, 4) against (1, 2, 4, 3), and against (2, 1, 4, 3): correlations 0.8 and 0.6, shrunk by 0.9."""
    steps = pd.DataFrame({"question": [0] * 4 + [1] * 4, "a": [1, 2, 3, 4] * 2, "b": [1, 2, 4, 3, 2, 1, 4, 3]})
    one = compute_rank_agreement(steps, "a", "b", held_fixed=()).iloc[0]
    assert one["value"] == pytest.approx(np.tanh((np.arctanh(0.72) + np.arctanh(0.54)) / 2) / 0.9)
    assert one["n_used"] == 2


def test_a_planted_confound_is_seen_through() -> None:
    one = find_agreement(table(draw_confounded, questions=40, n=10), "flip", "patch")
    assert one.loc["raw", "low"] > 0.6
    for name in ("partial on step", "partial on step, length"):
        assert one.loc[name, "low"] < 0 < one.loc[name, "high"]
        assert abs(one.loc[name, "value"]) < 0.15


def test_agreement_beyond_the_confound_stays() -> None:
    def make(steps, rng):
        x = noise(steps, rng)
        return steps + 3 * x, steps + 3 * x + noise(steps, rng)

    one = find_agreement(table(make, questions=40, n=10), "flip", "patch")
    assert (one["low"] > 0.7).all()


def test_levels_of_questions_are_no_agreement() -> None:
    """Pooled, the columns go together; within every question they do not (Simpson)."""
    steps = table(lambda s, rng: (noise(s, rng), noise(s, rng)), questions=40)
    steps["flip"] += 10 * steps["question"]
    steps["patch"] += 10 * steps["question"]
    assert spearmanr(steps["flip"], steps["patch"]).statistic > 0.98
    one = find_agreement(steps, "flip", "patch").loc["raw"]
    assert one["low"] < 0 < one["high"]


def test_questions_that_cannot_be_ranked_are_dropped_with_a_reason() -> None:
    steps = table(draw_confounded, questions=6)
    steps.loc[steps["question"] == 0, "flip"] = 1.0
    steps = steps[(steps["question"] != 1) | (steps["step"] < 4)]
    steps.loc[steps["question"] == 1, "length"] = [5, 3, 6, 4]
    steps.loc[steps["question"] == 2, "patch"] = np.nan
    one = find_agreement(steps, "flip", "patch")
    assert one["n_used"].tolist() == [4, 4, 3]
    assert one["n_dropped"].tolist() == [2, 2, 3]
    assert one.loc["raw", "reason"] == "1 dropped: flip does not vary; 1 dropped: no step has all values"
    assert "1 dropped: fewer than 5 steps" in one.loc["partial on step, length", "reason"]
    assert "flip does not vary beyond step" in one.loc["partial on step", "reason"]


def test_what_is_undefined_is_missing() -> None:
    one = find_agreement(table(lambda s, rng: (s, noise(s, rng))), "flip", "patch")
    assert one.loc["raw", "n_used"] == 12
    assert one.loc["partial on step", ["value", "low", "high"]].isna().all()
    assert one.loc["partial on step", "reason"] == (
        "12 dropped: flip does not vary beyond step; 0 questions with a value: an interval needs at least 2"
    )
    nothing = find_agreement(table(alike).assign(patch=np.nan), "flip", "patch").loc["raw"]
    assert (nothing["n_used"], nothing["n_dropped"], nothing["n_steps"]) == (0, 12, 0)
    assert nothing["reason"].startswith("12 dropped: no step has all values")
    with pytest.raises(MeasureError, match="Did you mean 'patch'"):
        compute_rank_agreement(table(alike), "flip", "pach")


def test_rounding_is_not_ranked() -> None:
    """An effect that is nowhere but for rounding does not agree with anything, however its last digits are ordered."""
    assert rank_with_ties(np.array([[0.3, 1.0], [0.1, 1.0 + 1e-8], [0.3 + 1e-9, 5.0]]), 1e-6).tolist() == [
        [2, 1],
        [1, 1],
        [2, 2],
    ]
    steps = table(alike)
    steps["flip"] = 0.5 + 1e-8 * steps["flip"]
    assert find_agreement(steps, "flip", "patch").loc["raw", "n_used"] == 0
    assert find_agreement(steps, "flip", "patch", resolution=0.0).loc["raw", "value"] == pytest.approx(1)


def test_several_chains_of_a_question_are_ranked_apart_and_drawn_together() -> None:
    steps = table(draw_confounded, questions=24)
    apart = steps.assign(question=steps["question"] // 2, chain=steps["question"] % 2)
    one, other = (
        find_agreement(apart, "flip", "patch", chain="chain").loc["raw"],
        find_agreement(steps, "flip", "patch").loc["raw"],
    )
    assert one["value"] == pytest.approx(other["value"])  # as many chains each, so the mean of means
    assert (one["n_used"], other["n_used"]) == (12, 24)
    with pytest.raises(MeasureError, match="one has a step twice"):
        compute_rank_agreement(apart, "flip", "patch")


@pytest.mark.parametrize("slope", [0.0, 0.7])
def test_coverage(slope) -> None:
    """150 repeats: the standard error of a coverage of 0.95 is 0.018. Questions differ in how well they agree.

    More than 0.95 is expected: ten questions leave room for one that agrees or disagrees perfectly.
    """
    rng = np.random.default_rng(1)
    chains = []
    for _ in range(REPEATS * 10 + 1500):
        x = rng.normal(size=7)
        chains.append(
            correlate_chain(np.column_stack([x, slope * rng.uniform(0, 2) * x + rng.normal(size=7)]), ("x", "y"))
        )
    ranked = pd.DataFrame(chains, columns=list(ChainCorrelation._fields)).assign(question=range(len(chains)))
    truth = average_correlations(ranked[REPEATS * 10 :], 1500, 0)["value"] if slope else 0.0
    rows = [average_correlations(ranked[10 * i : 10 * i + 10], 10, seed=i) for i in range(REPEATS)]
    covered = np.mean([row["low"] <= truth <= row["high"] for row in rows])
    assert covered >= 0.92


def test_spearman_brown_and_the_ceiling() -> None:
    assert spearman_brown(0.5) == pytest.approx(2 / 3)
    assert spearman_brown(0.2, 5.0) == pytest.approx(5 / 9)
    assert compute_correlation_ceiling(0.81, 0.25) == pytest.approx(0.45)
    with pytest.raises(MeasureError, match=r"between 0 and 1, got -0\.1"):
        compute_correlation_ceiling(0.5, -0.1)


def test_split_halves() -> None:
    """True scores with as much noise in each half: the halves correlate 0.5, and together 2/3 (parallel tests)."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=20000)
    result = compute_reliability(true + rng.normal(size=20000), true + rng.normal(size=20000))
    assert result.halves == pytest.approx(0.5, abs=0.02)
    assert result.whole == pytest.approx(2 / 3, abs=0.02)
    together = true + rng.normal(size=20000) / np.sqrt(2)  # both halves averaged
    again = true + rng.normal(size=20000) / np.sqrt(2)
    assert np.corrcoef(together, again)[0, 1] == pytest.approx(result.whole, abs=0.02)

    def of(*halves):
        return compute_reliability(*np.array(halves, dtype=float))

    assert of([1, 2, np.nan, 4], [1, 2, 3, 5]).n == 3
    assert of([1, 2], [1, 2]).reason == "fewer than 3 were measured in both halves"
    assert of([1, 1, 1], [1, 2, 3]).reason == "one of the halves does not vary"
    against = of([1, 2, 3], [3, 2, 1])
    assert (against.halves, against.whole) == (pytest.approx(-1), None)
