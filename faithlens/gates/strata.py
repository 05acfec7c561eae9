"""Do the questions fall into two kinds of which one fails more? The worst stratum beside the whole.

1. The features are those of the prompts (`gates.features`: words, numbers, length), and whether the model is right
   without its chain of thought.
2. `find_separation` takes the feature that separates the failing questions best, and its p-value allows for the search
   over all features by shuffling the failures.
3. Both sides of the feature are shown, each with its share of failing questions. Their exact intervals hold at 95 % for
   all sides of all features together (Bonferroni), since the worst of many strata looks bad by chance.
4. The strata disagree where the p-value is at most `MAX_P_VALUE`.

For example, with 40 questions of which 8 of the 10 with the word "anna" fail and none of the 30 others::

    with the word 'anna'       8 of 10
    without the word 'anna'    0 of 30
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from faithlens.gates.features import find_separation
from faithlens.gates.outcome import Outcome, Scores, read_score
from faithlens.stats.resample import CONFIDENCE, compute_exact_interval

MAX_P_VALUE = 0.01
RIGHT_WITHOUT = "a right answer without the chain of thought"


@dataclass(frozen=True)
class Stratum:
    """Questions that share a feature, and how many of them fail any gate; `low` and `high` allow for the search."""

    name: str
    n_asked: int
    n_failed: int
    low: float
    high: float


@dataclass(frozen=True)
class Strata:
    """The two sides of the feature that separates failing questions best, the worse one first.

    Attributes:
        worst, other: the sides.
        p_value: the probability of so large a difference if failures were spread at random, corrected for the search.
    """

    worst: Stratum
    other: Stratum
    p_value: float

    @property
    def disagree(self) -> bool:
        """Whether the sides surely fail at different rates."""
        return self.p_value <= MAX_P_VALUE

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"worst": vars(self.worst), "other": vars(self.other), "p_value": self.p_value}


def find_strata(scores: Scores, joined: Iterable[Outcome]) -> Strata | None:
    """The strata of the questions; None where no feature varies, or too few questions fail or do not fail.

    Args:
        scores: give the prompts and the answers without a chain of thought.
        joined: the outcomes of all gates together, one or several for each question.
    """
    failing: dict[str, bool] = {}
    for outcome in joined:
        failing[outcome.question] = failing.get(outcome.question, False) or outcome.outcome == "fail"
    separation = find_separation(scores.prompts, failing, also=list_other_features(scores))
    if separation is None:
        return None
    sides = {f"with {separation.feature}": True, f"without {separation.feature}": False}
    confidence = 1 - (1 - CONFIDENCE) / (2 * separation.n_features)
    strata: list[Stratum] = []
    for name, side in sides.items():
        fails = [failing[question] for question, holds in separation.holds.items() if holds is side]
        low, high = compute_exact_interval(sum(fails), len(fails), confidence)
        strata.append(Stratum(name, len(fails), sum(fails), low, high))
    worst, other = sorted(strata, key=lambda stratum: -stratum.n_failed / stratum.n_asked)
    return Strata(worst, other, separation.p_value)


def list_other_features(scores: Scores) -> Mapping[str, Mapping[str, bool]]:
    """Features of questions that do not stand in their words: whether the model needs its chain to be right."""
    right: dict[str, bool] = {}
    for question, _, row in scores.items():
        value = read_score(row, "accuracy.no_cot").value
        if value is not None:
            right[question] = value >= 0.5
    return {RIGHT_WITHOUT: right} if right else {}
