"""How well a measure finds what is planted in models whose truth is known.

A model is one organism trained with one seed. Seeds with the same number in two organisms are not related. Where
one model has both kinds of question, the contest is held within it and averaged over models; where kinds are kinds of
organism, it is held between models, every organism with the same weight however many of its seeds were trained.

Models differ far more than questions do, and they are few. So the models are the units of the intervals, each with one
number, which includes the chance of its questions:

1. Within models: Gaffke's interval of the mean over models (`stats.interval`).
2. Between models: the same for pairs. Models of each kind and one that was not seen have random weights; a pair with an
   unseen model is won by it or lost (`compute_pair_interval`).
3. One model of a kind does not show how much models differ, and the interval is withheld.

A measure that defines a truth (exchanging words *is* how a rate of following them is certified) is kept out of the
contests on that truth by the caller; see `faithlens.commands.validate.tables`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from faithlens.stats.interval import compute_mean_interval
from faithlens.stats.resample import DRAWS, TAIL, Array, compute_quantile, draw_unseen_weights

ONE_MODEL = "interval withheld: one model of a kind does not show how much models differ"
TIE_DECIMALS = 6
"""Values that agree in this many decimals are tied: the rest of their difference is rounding."""

BoolArray = NDArray[np.bool_]


class Detection(NamedTuple):
    """How well higher values of a measure indicate the positive kind.

    Attributes:
        auroc, low, high: the probability that a positive lies above a negative, ties half, with its 95 % interval over
            models; None where it is withheld.
        by_model: the same within each model, or of each model against all of the other kind.
        auprc: area under precision and recall; `prevalence` is what guessing reaches.
        n_used, n_dropped: values used, and values missing.
        reason: why there is no value, or no interval.
    """

    auroc: float | None
    low: float | None
    high: float | None
    by_model: dict[str, float]
    auprc: float | None
    prevalence: float | None
    n_used: int
    n_dropped: int
    reason: str | None = None


def make_empty_detection(n_used: int, n_dropped: int, reason: str) -> Detection:
    """A `Detection` without a value, and the reason why there is none."""
    return Detection(None, None, None, {}, None, None, n_used, n_dropped, reason)


def detect_within_models(table: pd.DataFrame, seed: int = 0) -> Detection:
    """How well `value` detects, within a model, where `positive` holds.

    `table` has one row for each value: organism, seed, value (NaN where missing), positive.
    """
    known = table.dropna(subset=["value"])
    points, precision = dict[str, float](), []
    for model, part in split_by_model(known):
        values, positive = part["value"].round(TIE_DECIMALS).to_numpy(float), part["positive"].to_numpy(bool)
        if positive.all() or not positive.any():
            continue
        points[model] = compute_auroc(values, positive)
        precision.append(float(average_precision_score(positive, values)))
    used, dropped = len(known), len(table) - len(known)
    if not points:
        return make_empty_detection(used, dropped, "no model has values of both kinds")
    mean, precise, prevalence = (float(np.mean(x)) for x in (list(points.values()), precision, known["positive"]))
    low, high, why = compute_model_interval(points, (0.0, 1.0), seed)
    return Detection(mean, low, high, points, precise, prevalence, used, dropped, why)


def detect_between_models(table: pd.DataFrame, seed: int = 0) -> Detection:
    """How well `value` separates models whose questions are `positive` from the other models.

    Columns as in `detect_within_models`.
    """
    known = table.dropna(subset=["value"]).reset_index(drop=True)
    values, positive = known["value"].round(TIE_DECIMALS).to_numpy(float), known["positive"].to_numpy(bool)
    used, dropped = len(known), len(table) - len(known)
    if positive.all() or not positive.any():
        return make_empty_detection(used, dropped, "there are no values of both kinds")
    equal = weigh_organisms(known)
    points = {}
    for model, part in split_by_model(known):
        against = (positive != positive[part.index[0]]) | known.index.isin(part.index)
        points[model] = compute_weighted_auroc(values[against], positive[against], equal[against])
    mean = compute_weighted_auroc(values, positive, equal)
    low, high, why = compute_pair_interval(known.assign(value=values), seed)
    precise = float(average_precision_score(positive, values, sample_weight=equal))
    prevalence = float(equal[positive].sum() / equal.sum())
    return Detection(mean, low, high, points, precise, prevalence, used, dropped, why)


def split_by_model(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each model, by its name."""
    for (organism, seed), part in table.groupby(["organism", "seed"], sort=True):
        yield f"{organism}@{seed}" if seed else str(organism), part


def weigh_organisms(table: pd.DataFrame) -> Array:
    """The weights [value] with which all organisms count equally, as do an organism's models and a model's values."""
    models = table.groupby(["organism", "seed"])
    of_organism = models.ngroup().groupby(table["organism"]).transform("nunique")
    return (1 / (of_organism * models["value"].transform("size"))).to_numpy(float)


def compute_weighted_auroc(values: Array, positive: BoolArray, weights: Array) -> float:
    """The probability that a positive's value is above a negative's, ties half; `weights` [value] are the values'."""
    up, down = values[positive], values[~positive]
    better = (up[:, None] > down) + 0.5 * (up[:, None] == down)
    ups, downs = weights[positive], weights[~positive]
    return round(float(ups @ better @ downs / (ups.sum() * downs.sum())), 12)  # weights such as 1/3 are not exact


def compute_auroc(values: Array, positive: BoolArray) -> float:
    """The probability that a positive's value is above a negative's, ties half; all values weigh the same."""
    return compute_weighted_auroc(values, positive, np.ones(len(values)))


def compute_model_interval(
    points: Mapping[str, float], scale: tuple[float, float], seed: int
) -> tuple[float | None, float | None, str | None]:
    """The 95 % interval over models of the mean of `points`, one for each model, or why there is none."""
    if len(points) < 2:
        return None, None, ONE_MODEL
    interval = compute_mean_interval(np.array(list(points.values())), scale, seed)
    return interval.low, interval.high, None


def compute_pair_interval(table: pd.DataFrame, seed: int) -> tuple[float | None, float | None, str | None]:
    """The 95 % interval of the chance that a positive model's value is above a negative one's, or why there is none.

    `table` has one row for each value, each model of one kind: organism, seed, value, positive. In each draw models
    have random weights, every organism the same on average, and one more of each kind wins or loses all of its pairs.
    """
    models = [part for _, part in split_by_model(table)]
    kinds = [[part for part in models if part["positive"].iloc[0] == kind] for kind in (True, False)]
    if min(map(len, kinds)) < 2:
        return None, None, ONE_MODEL
    ups, downs = ([part["value"].to_numpy(float) for part in own] for own in kinds)
    wins = np.array([[_compare_values(up, down) for down in downs] for up in ups])
    weights, seen = [], np.ones(DRAWS)
    for own, stream in zip(kinds, np.random.SeedSequence(seed).spawn(2), strict=True):
        drawn, unseen = draw_unseen_weights(np.ones((len(own), 1)), int(stream.generate_state(1)[0]))
        seen = seen * (1 - unseen[:, 0] / (drawn.sum(1) + unseen[:, 0]))
        names = pd.Series([part["organism"].iloc[0] for part in own])
        drawn = drawn / names.groupby(names).transform("size").to_numpy(float)
        weights.append(drawn / drawn.sum(1, keepdims=True))
    won = ((weights[0] @ wins) * weights[1]).sum(1)
    low, high = compute_quantile(seen * won, TAIL), compute_quantile(1 - seen * (1 - won), 1 - TAIL)
    return float(low), float(high), None


def _compare_values(first: Array, second: Array) -> float:
    """Chance that a value of the first is above one of the second, ties half."""
    return compute_auroc(np.concatenate([first, second]), np.arange(len(first) + len(second)) < len(first))


class DetectionThreshold(NamedTuple):
    """One threshold, chosen on some models, and the share of values of each organism on its right side on others."""

    threshold: float
    balanced_accuracy: float
    by_organism: dict[str, float]


def choose_threshold(table: pd.DataFrame) -> DetectionThreshold | None:
    """The threshold that is best on half of the seeds, tried on the other half.

    If there is one seed, its questions are halved. None where a half lacks one of the kinds. Columns as in
    `detect_within_models`, and question.
    """
    known = table.dropna(subset=["value"])
    seeds = sorted(known["seed"].unique())
    halves = known["seed"].isin(seeds[::2]) if len(seeds) > 1 else pd.factorize(known["question"])[0] % 2 == 0
    train, test = known[halves], known[~halves]
    if min(train["positive"].nunique(), test["positive"].nunique()) < 2:
        return None
    cuts = np.unique(train["value"].round(TIE_DECIMALS).to_numpy(float))
    middle = [-np.inf, *(cuts[1:] + cuts[:-1]) / 2, np.inf]
    best = max(middle, key=lambda cut: compute_balanced_accuracy(train, cut))
    right = (test["value"] > best) == test["positive"]
    return DetectionThreshold(
        float(best), compute_balanced_accuracy(test, best), right.groupby(test["organism"]).mean().to_dict()
    )


def compute_balanced_accuracy(table: pd.DataFrame, threshold: float) -> float:
    """Mean over both kinds of the share on the right side of `threshold`."""
    right = (table["value"] > threshold) == table["positive"]
    return float(right.groupby(table["positive"]).mean().mean())


class CalibrationLine(NamedTuple):
    """The straight line of a measure against the rate it should equal: 1 and 0 are right."""

    slope: float
    intercept: float
    n_used: int


def fit_calibration(value: Float[np.ndarray, " question"], rate: Float[np.ndarray, " question"]) -> CalibrationLine:
    """The least-squares line of `value` on `rate`, of the questions where `value` is known."""
    known = np.isfinite(value)
    slope, intercept = np.polyfit(rate[known], value[known], 1)
    return CalibrationLine(float(slope), float(intercept), int(known.sum()))


class RankCorrelation(NamedTuple):
    """Rank correlation with a rate, by question within each model, mean over models; the interval is of Spearman's rho.

    `by_model` is Spearman's rho of each model. Where the interval is withheld, `reason` says why.
    """

    spearman: float | None
    low: float | None
    high: float | None
    kendall: float | None
    by_model: dict[str, float]
    n_used: int
    n_dropped: int
    reason: str | None = None


def correlate_ranks(table: pd.DataFrame, seed: int = 0) -> RankCorrelation:
    """How well `value` ranks questions by `rate`: columns organism, seed, value (NaN where missing), rate."""
    known = table.dropna(subset=["value"])
    points, kendall = dict[str, float](), []
    for number, part in split_by_model(known):
        pair = part[["value", "rate"]].round(TIE_DECIMALS).to_numpy(float).T
        if (np.ptp(pair, axis=1) == 0).any():
            continue
        points[number] = float(spearmanr(pair[0], pair[1]).statistic)  # pyright: ignore[reportAttributeAccessIssue]
        kendall.append(float(part["value"].round(TIE_DECIMALS).corr(part["rate"], method="kendall")))
    used, dropped = len(known), len(table) - len(known)
    if not points:
        return RankCorrelation(
            None, None, None, None, {}, used, dropped, "in no model do both the values and the rates vary"
        )
    low, high, why = compute_model_interval(points, (-1.0, 1.0), seed)
    mean = float(np.mean([*points.values()]))
    return RankCorrelation(mean, low, high, float(np.mean(kendall)), points, used, dropped, why)


def detect_steps(table: pd.DataFrame, seed: int = 0) -> Detection:
    """How well a step-level measure detects, within each question, the steps on which the answer depends.

    `table` has one row for each step: organism, seed, question, value, positive. A question counts once, by its own
    chance that such a step lies above another. Level differences between questions cannot help.
    """
    rows = [
        {"organism": organism, "seed": s, "value": auroc}
        for (organism, s, _), auroc in compute_step_aurocs(table.dropna(subset=["value"]))
    ]
    aurocs = pd.DataFrame(rows, columns=["organism", "seed", "value"])
    questions = table.groupby(["organism", "seed", "question"]).ngroups
    if aurocs.empty:
        return make_empty_detection(0, questions, "no question has steps of both kinds")
    points = {number: float(part["value"].mean()) for number, part in split_by_model(aurocs)}
    low, high, why = compute_model_interval(points, (0.0, 1.0), seed)
    mean = float(np.mean(list(points.values())))
    return Detection(mean, low, high, points, None, None, len(aurocs), questions - len(aurocs), why)


def compute_step_aurocs(steps: pd.DataFrame) -> Iterator[tuple[tuple, float]]:
    """For each question with steps of both kinds: which it is, and its chance that a positive lies above a negative."""
    for key, part in steps.groupby(["organism", "seed", "question"], sort=True):
        positive: Bool[np.ndarray, " step"] = part["positive"].to_numpy(bool)
        if positive.any() and not positive.all():
            values = part["value"].round(TIE_DECIMALS).to_numpy(float)
            assert isinstance(key, tuple)
            yield key, compute_auroc(values, positive)


def mark_steps(
    steps: Sequence[int], place: Int[np.ndarray, " step"], n_steps: Int[np.ndarray, " step"]
) -> Bool[np.ndarray, " step"]:
    """Which of the steps at `place`, each in a chain of `n_steps`, are `steps`; negative ones count from the last."""
    return np.isin(place, [*steps]) | np.isin(place - n_steps, [*steps])
