"""Does a measure differ between two runs on the same questions, and does it differ at equal accuracy?

Training, decoding or another strategy changes accuracy, and accuracy alone changes measures of faithfulness (Lanham et
al. 2023; Bentham et al. 2024, arXiv:2402.14897). So each difference is computed twice: over all questions, and over the
questions that both runs answer right equally often, with the chain of thought and without it. Over these the accuracies
of both runs are equal, and so are the bounds that accuracies set. They are a selection: the difference describes them,
and not the questions on which the runs differ.

Differences are paired by question and the questions are the units of their intervals (`stats.interval`). Their p-values
come from flipping signs (exact for few questions). Holm's correction (1979) holds for each of the two kinds of
questions over the measures compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import permutation_test
from statsmodels.stats.multitest import multipletests

from faithlens.errors import MeasureError, check_choice
from faithlens.measures.catalogue import get_measure
from faithlens.stats.context import BOUND_BASELINES
from faithlens.stats.estimate import select_scalars
from faithlens.stats.interval import NO_METHOD, compute_mean_interval, to_optional
from faithlens.stats.resample import Array

BoolArray = NDArray[np.bool_]
QuestionSet = Literal["all", "alike"]

MATCHED_ACCURACIES = ("accuracy.full", *(f"accuracy.{baseline}" for baseline, _ in BOUND_BASELINES))
"""What must be equal in both runs for a question of equal accuracy."""

MIN_COMPARED = 4
"""Questions for a difference: with fewer, not even differences that all agree have a p-value below .125."""

REPORT_PRECISION = 0.01
"""Values closer than this, the precision that a report shows, count as equal."""

SIGN_FLIPS, SIGN_FLIP_BATCH = 9999, 500


@dataclass(frozen=True)
class Difference:
    """The second run minus the first in one measure, with its 95 % interval.

    Attributes:
        measure, unit: what is compared.
        questions: all, or those of equal accuracy ("alike").
        n_used, n_dropped: the number of questions that count here and have the measure in both runs, and of the others.
        method, seed: how the interval was made.
        first, second: the means of the runs over the questions used.
        value, low, high: the difference and its interval; None where there is none, or where it is withheld.
        p, holm: the p-value of no difference, alone and with Holm's correction over the measures compared.
        reason: why there is no value, or no interval.
    """

    measure: str
    unit: str
    questions: QuestionSet
    n_used: int
    n_dropped: int
    method: str
    seed: int
    first: float | None = None
    second: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    holm: float | None = None
    reason: str | None = None


def compare_scores(
    first: pd.DataFrame, second: pd.DataFrame, seed: int, measures: Sequence[str] | None = None
) -> list[Difference]:
    """The differences in the measures that both runs have, over all questions and over those of equal accuracy.

    Args:
        first, second: the scores of one model and task each.
        seed: the seed of resampling and flips.
        measures: the measures to compare; None for all that both runs have.

    Returns:
        For each measure its differences with 95 % intervals.

    Raises:
        MeasureError: the runs were not asked the same questions, or a measure is not one that both scored.
    """
    _check_same_questions(first, second)
    tables, known = (average_by_question(first), average_by_question(second)), list_shared_measures(first, second)
    for measure in measures or ():
        check_choice(measure, known, "measure that both runs scored once a question:", MeasureError)
    context = [m for m in known if get_measure(m).is_context]
    family = [m for m in measures or known if m not in context]
    same, why = find_equal_accuracy_questions(*tables)
    every = np.ones(len(same), np.bool_)
    return [
        *(_compute_difference(m, "all", tables, every, seed) for m in context),
        *correct_p_values([_compute_difference(m, "all", tables, every, seed) for m in family]),
        *correct_p_values([_compute_difference(m, "alike", tables, same, seed, why) for m in family]),
    ]


def list_shared_measures(first: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    """Measures of which both runs have values once a question, and that could differ."""
    own, other = (average_by_question(scores).columns for scores in (first, second))
    return [m for m in own if m in other and not get_measure(m).is_fixed]


def average_by_question(scores: pd.DataFrame) -> pd.DataFrame:
    """Scalar measures by question, [question, measure], means over chains of thought; every question has its row."""
    wide = select_scalars(scores).pivot_table(index="question", columns="measure", values="value", aggfunc="mean")
    return wide.reindex(sorted(scores["question"].unique()))


def find_equal_accuracy_questions(first: pd.DataFrame, second: pd.DataFrame) -> tuple[BoolArray, str | None]:
    """Whether each question has equal `MATCHED_ACCURACIES` in both runs; the reason where these were not scored."""
    missing = [m for m in MATCHED_ACCURACIES if m not in first.columns or m not in second.columns]
    if missing:
        return np.zeros(len(first), np.bool_), f"not both runs scored {' and '.join(missing)}"
    columns = list(MATCHED_ACCURACIES)
    return np.all(first[columns].to_numpy(float) == second[columns].to_numpy(float), axis=1), None


def correct_p_values(differences: Sequence[Difference]) -> list[Difference]:
    """The differences with p-values that are corrected by Holm's method over those that have one."""
    p_values = {i: d.p for i, d in enumerate(differences) if d.p is not None}
    adjusted = np.asarray(multipletests([*p_values.values()], method="holm")[1]) if p_values else ()
    corrected = dict(zip(p_values, adjusted, strict=True))
    return [replace(d, holm=float(corrected[i])) if i in corrected else d for i, d in enumerate(differences)]


def _check_same_questions(first: pd.DataFrame, second: pd.DataFrame) -> None:
    own, other = (set(scores["question"]) for scores in (first, second))
    if own != other:
        alone = sorted(own ^ other)
        problem = (
            f"two runs are compared question by question, but of their questions {len(own & other)} are in "
            f"both and {len(alone)} in one alone, such as {alone[0]!r}"
        )
        raise MeasureError(problem, "Give both runs the same task, -n and --seed.")


def _compute_difference(
    name: str,
    questions: QuestionSet,
    tables: tuple[pd.DataFrame, pd.DataFrame],
    is_included: BoolArray,
    seed: int,
    reason: str | None = None,
) -> Difference:
    """One measure over the questions `is_included`; `reason` says why none are."""
    measure = get_measure(name)
    pair = np.stack([table[name].to_numpy(float) for table in tables], axis=1)
    known = np.isfinite(pair).all(1) & is_included
    own, n = pair[known], int(known.sum())
    of: dict[str, Any] = {"measure": name, "unit": measure.unit, "questions": questions, "seed": seed}
    of |= {"n_used": n, "n_dropped": len(pair) - n}
    if n < MIN_COMPARED:
        return Difference(**of, method=NO_METHOD, reason=reason or f"fewer than {MIN_COMPARED} questions to compare")
    first, second = own.mean(0)
    apart, scale = own[:, 1] - own[:, 0], measure.scale
    ends = (scale[0] - scale[1], scale[1] - scale[0]) if scale else None
    mean = compute_mean_interval(apart, ends, seed)
    return Difference(
        **of, first=first, second=second, value=mean.value, low=to_optional(mean.low), high=to_optional(mean.high),
        method=mean.method, p=_compute_p_value(apart, seed), reason=mean.reason,
    )  # fmt: skip


def _compute_p_value(differences: Array, seed: int) -> float:
    """The two-sided p-value of no difference: each question's sign might as well be the other.

    A difference below the precision of a report counts as none.
    """
    rounded = np.where(np.abs(differences) <= REPORT_PRECISION, 0.0, differences)
    test = permutation_test(
        (rounded,), np.mean, permutation_type="samples", vectorized=True, n_resamples=SIGN_FLIPS, batch=SIGN_FLIP_BATCH,
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(test.pvalue)
