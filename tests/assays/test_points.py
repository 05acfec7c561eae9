"""Which steps of a long chain are edited, and that means over them estimate the means over all steps without bias."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faithlens.assays import (
    deletion,
    early_answering,
    early_answering_filled,
    knockouts,
    mistakes,
    mistakes_regenerated,
    paraphrase,
    propagation,
    states,
    strategies,
    sufficiency,
)
from faithlens.assays.points import choose_steps
from faithlens.config import AuditConfig
from faithlens.errors import ConfigError
from tests.assays.scripted import case_of, score_case, value
from tests.assays.sum_by_hand import ASKED, CASE, SETTING, TASK

SENTENCES = [f"Then {i} + 1 = {i + 1}. " for i in range(19)] + ["The answer is 14."]
LONG = case_of(TASK, ASKED, SENTENCES)
FEW = replace(SETTING, points=6)
ALL = replace(SETTING, points=None)
ASSAYS = (
    deletion, early_answering, early_answering_filled, knockouts, mistakes, propagation, states, strategies,
    sufficiency,
)  # fmt: skip


def of_length(n: int):
    """A case of n steps, of which only the number and the key matter here."""
    return replace(LONG, trace=replace(LONG.trace, pieces=(LONG.trace.prompt,) + (LONG.trace.steps[0],) * n))


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 400), points=st.integers(3, 80), seed=st.integers(0, 10**6))
def test_the_ends_are_in_and_the_weights_add_up(n: int, points: int, seed: int) -> None:
    steps = choose_steps(replace(SETTING, points=points, seed=seed), of_length(n))
    assert sum(steps.values()) == n
    assert list(steps) == sorted(steps)
    assert {0, n - 1} <= set(steps)
    assert steps[0] == steps[n - 1] == 1
    assert len(steps) == (n if n <= 2 * points else points)
    if n > 2 * points:
        between = [*steps.values()][1:-1]
        assert max(between) - min(between) <= 1


def test_the_worked_example() -> None:
    steps = choose_steps(replace(SETTING, points=4), of_length(12))
    assert list(steps.values()) == [1, 5, 5, 1]
    (first, second, third, fourth) = steps
    assert (first, fourth) == (0, 11)
    assert second in range(1, 6)
    assert third in range(6, 11)


def test_every_step_counts_once_on_average() -> None:
    """A step's expected weight is 1, which makes every weighted sum over the drawn steps unbiased."""
    n, draws, total = 20, 4000, Counter()
    case = of_length(n)
    for seed in range(draws):
        total.update(choose_steps(replace(FEW, seed=seed), case))
    means = np.array([total[step] / draws for step in range(n)])
    error = np.sqrt(3.5 * 4.5 / draws)  # the weight of a step is 4 or 5 with probability 1/4 or 1/5, else 0
    assert np.abs(means - 1).max() < 4 * error / 1.5


def test_a_chain_of_few_steps_is_edited_at_every_step() -> None:
    assert choose_steps(SETTING, CASE) == {0: 1.0, 1: 1.0, 2: 1.0}
    assert choose_steps(replace(SETTING, points=10), LONG) == dict.fromkeys(range(20), 1.0)
    assert choose_steps(ALL, LONG) == dict.fromkeys(range(20), 1.0)


@pytest.mark.parametrize("assay", ASSAYS, ids=lambda assay: assay.__name__.rpartition(".")[2])
def test_an_assay_edits_the_drawn_steps_and_gives_them_the_scores_of_all_steps(assay) -> None:
    """What is scored of a drawn step equals what is scored of it among all; and no other step is edited."""
    drawn = set(choose_steps(FEW, LONG))
    names = {condition.name for condition in assay.conditions(ALL, LONG)}
    few = {condition.name for condition in assay.conditions(FEW, LONG)}
    assert few <= names
    answers = {"full": "14", **{f"{kind}@{i}": "15" for kind in ("cut", "fill", "mistake", "delete") for i in (0, 19)}}
    whole, part = (score_case(assay, setting, LONG, answers) for setting in (ALL, FEW))
    for measure, scores in part.items():
        stepwise = {score.step: score for score in whole[measure] if score.step is not None}
        for score in scores:
            if score.step is not None and score.step < len(SENTENCES):
                assert score.step in drawn
                assert replace(score, weight=1.0) == stepwise[score.step]
                assert score.weight == choose_steps(FEW, LONG)[score.step]


def test_the_rest_is_regenerated_after_drawn_steps_alone() -> None:
    drawn, setting = set(choose_steps(FEW, LONG)), replace(FEW, regenerations=None)
    assert set(mistakes_regenerated.choose_mistaken_steps(setting, LONG)) <= drawn
    assert paraphrase.choose_parts(setting, LONG) == [1 + i for i in sorted(drawn)[:-1]]


def test_means_over_the_chain_are_weighted() -> None:
    """By hand: of 20 steps the answer moves at the first, at the last and at the third of the six that are drawn."""
    steps = choose_steps(FEW, LONG)
    third, weight = [*steps.items()][2]
    moved = {f"{kind}@{i}": "15" for kind in ("cut", "mistake") for i in (0, third, 19)}
    scores = score_case(early_answering, FEW, LONG, {"full": "14", **moved})
    # the rule trapezoid gives the first cut the weight one half: 1/2 + weight + 1 of 20
    assert value(scores, "early_answering.aoc_trapezoid_0_1") == pytest.approx((1.5 + weight) / 20)
    assert value(scores, "early_answering.aoc_mean_0_to_n-1") == pytest.approx((2 + weight) / 20)
    assert value(scores, "early_answering.accuracy") == pytest.approx(1 - (2 + weight) / 20)
    wrong = score_case(mistakes, FEW, LONG, {"full": "14", **moved})
    assert value(wrong, "mistakes.aoc_mean_0_to_n-1") == pytest.approx((2 + weight) / 20)
    assert value(wrong, "mistakes.accuracy") == pytest.approx(1 - (2 + weight) / 20)


@pytest.mark.parametrize("n", [1, 2, -1])
def test_fewer_than_three_steps_are_refused(n: int) -> None:
    with pytest.raises(ConfigError, match="points must be 3 or more"):
        AuditConfig(points=n)
