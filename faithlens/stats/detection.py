"""How well a measure finds what is planted in models whose truth is known.

A model is one organism trained with one seed. Seeds differ far more than questions do, so intervals
resample the models of each organism and then, within each model, questions. Seed 3 of one organism has nothing to do
with seed 3 of another. Where one model has both kinds of question, the contest is held within it and averaged over
models; where kinds are kinds of organism, it is held between models, every organism with the same weight however many
of its seeds were trained.

A measure that defines a truth (exchanging words *is* how a rate of following them is certified) is kept out of the
contests on that truth by the caller; see `faithlens.commands.validate.tables`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

from faithlens.stats.resample import CONFIDENCE, DRAWS, Array

TIE_DECIMALS = 6
"""Values that agree in so many decimals are tied: what differs is rounding."""

BoolArray = NDArray[np.bool_]


class Detection(NamedTuple):
    """How well higher values of a measure go with the positive kind.

    Attributes:
        auroc, low, high: chance that a positive lies above a negative, ties half, with its interval; one without width
            means that resampling shows no doubt, not that there is none; for one seed it describes that model alone.
        by_model: the same within each model, or of each model against all of the other kind.
        auprc: area under precision and recall; `prevalence` is what guessing reaches.
        n_used, n_dropped: values used, and values missing.
        reason: why there is no value.
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
    """No value, and why."""
    return Detection(None, None, None, {}, None, None, n_used, n_dropped, reason)


def detect_within_models(table: pd.DataFrame, seed: int = 0) -> Detection:
    """How well `value` tells within a model where `positive` holds.

    `table` has a row a value: organism, seed, value (NaN where missing), positive.
    """
    known = table.dropna(subset=["value"])
    rng, points, drawn, precision = np.random.default_rng(seed), dict[str, float](), [], []
    for model, part in split_by_model(known):
        values, positive = part["value"].round(TIE_DECIMALS).to_numpy(float), part["positive"].to_numpy(bool)
        if positive.all() or not positive.any():
            continue
        points[model] = compute_auroc(values, positive)
        drawn.append(compute_weighted_auroc(values, positive, draw_question_weights(positive.astype(int), rng)))
        precision.append(float(average_precision_score(positive, values)))
    used, dropped = len(known), len(table) - len(known)
    if not points:
        return make_empty_detection(used, dropped, "no model has values of both kinds")
    low, high = compute_model_interval(np.stack(drawn), rng)
    mean, precise, prevalence = (float(np.mean(x)) for x in (list(points.values()), precision, known["positive"]))
    return Detection(mean, low, high, points, precise, prevalence, used, dropped)


def detect_between_models(table: pd.DataFrame, seed: int = 0) -> Detection:
    """How well `value` separates models whose questions are `positive` from the other models.

    Columns as in `detect_within_models`.
    """
    known = table.dropna(subset=["value"]).reset_index(drop=True)
    values, positive = known["value"].round(TIE_DECIMALS).to_numpy(float), known["positive"].to_numpy(bool)
    used, dropped = len(known), len(table) - len(known)
    if positive.all() or not positive.any():
        return make_empty_detection(used, dropped, "there are no values of both kinds")
    rng = np.random.default_rng(seed)
    equal = draw_model_weights(known)[0]
    drawn = compute_weighted_auroc(values, positive, draw_model_weights(known, rng))
    points = {}
    for model, part in split_by_model(known):
        against = (positive != positive[part.index[0]]) | known.index.isin(part.index)
        points[model] = float(compute_weighted_auroc(values[against], positive[against], equal[None, against])[0])
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    mean = float(compute_weighted_auroc(values, positive, equal[None])[0])
    precise = float(average_precision_score(positive, values, sample_weight=equal))
    prevalence = float(equal[positive].sum() / equal.sum())
    return Detection(mean, float(low), float(high), points, precise, prevalence, used, dropped)


def split_by_model(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each model, by its name."""
    for (organism, seed), part in table.groupby(["organism", "seed"], sort=True):
        yield f"{organism}@{seed}" if seed else str(organism), part


def draw_model_weights(table: pd.DataFrame, rng: np.random.Generator | None = None) -> Array:
    """What each value weighs, [draw, value], when models of each organism, then questions of each, are drawn anew.

    Every organism weighs the same. Without `rng` one draw in which each model and question is taken once.
    """
    weights = np.zeros((DRAWS if rng else 1, len(table)))
    for _, own in table.groupby("organism"):
        parts = [part.index.to_numpy() for _, part in split_by_model(own)]
        share = np.full(len(parts), 1 / len(parts))
        taken = rng.multinomial(len(parts), share, size=DRAWS) if rng else np.ones((1, len(parts)))
        for number, rows in enumerate(parts):
            asked = draw_question_weights(np.zeros(len(rows), int), rng) if rng else np.ones((1, len(rows)))
            weights[:, rows] = taken[:, [number]] / len(parts) * asked / len(rows)
    return weights


def draw_question_weights(groups: NDArray[np.integer], rng: np.random.Generator) -> Array:
    """How often each value is drawn, [draw, value], when the values of each group are drawn with replacement."""
    weights = np.zeros((DRAWS, len(groups)))
    for group in np.unique(groups):
        here = groups == group
        n = int(here.sum())
        weights[:, here] = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS)
    return weights


def compute_weighted_auroc(values: Array, positive: BoolArray, weights: Array) -> Array:
    """Chance that a positive's value is above a negative's, ties half, for each row of `weights` [draw, value]."""
    up, down = values[positive], values[~positive]
    better = (up[:, None] > down) + 0.5 * (up[:, None] == down)
    ups, downs = weights[:, positive], weights[:, ~positive]
    return ((ups @ better) * downs).sum(1) / (ups.sum(1) * downs.sum(1))


def compute_auroc(values: Array, positive: BoolArray) -> float:
    """The same of the values as they are."""
    return float(compute_weighted_auroc(values, positive, np.ones((1, len(values))))[0])


def compute_model_interval(model_draws: Array, rng: np.random.Generator) -> tuple[float, float]:
    """The 95 % percentile interval of the mean over models of `model_draws` [model, draw], models resampled too."""
    many, draws = model_draws.shape
    chosen = rng.integers(many, size=(draws, many))
    means = model_draws[chosen, np.arange(draws)[:, None]].mean(1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


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

    `by_model` is Spearman's rho of each model.
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
    rng, points, drawn, kendall = np.random.default_rng(seed), dict[str, float](), [], []
    for number, part in split_by_model(known):
        pair = part[["value", "rate"]].round(TIE_DECIMALS).to_numpy(float).T
        if (np.ptp(pair, axis=1) == 0).any():
            continue
        chosen = rng.integers(pair.shape[1], size=(DRAWS, pair.shape[1]))
        points[number] = float(spearman(*pair[:, None])[0])
        drawn.append(spearman(*pair[:, chosen]))
        kendall.append(float(part["value"].round(TIE_DECIMALS).corr(part["rate"], method="kendall")))
    used, dropped = len(known), len(table) - len(known)
    if not points:
        return RankCorrelation(
            None, None, None, None, {}, used, dropped, "in no model do both the values and the rates vary"
        )
    low, high = compute_model_interval(np.stack(drawn), rng)
    return RankCorrelation(
        float(np.mean([*points.values()])), low, high, float(np.mean(kendall)), points, used, dropped
    )


def spearman(
    first: Float[np.ndarray, "draw question"], second: Float[np.ndarray, "draw question"]
) -> Float[np.ndarray, " draw"]:
    """Spearman's rho of each draw, 0 where one side of it does not vary."""
    x, y = (ranked - ranked.mean(-1, keepdims=True) for ranked in (rankdata(side, axis=-1) for side in (first, second)))
    size = np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
    return np.divide((x * y).sum(-1), size, out=np.zeros_like(size), where=size > 0)


def detect_steps(table: pd.DataFrame, seed: int = 0) -> Detection:
    """How well a step-level measure tells, within each question, the steps that the answer goes by.

    `table` has a row a step: organism, seed, question, value, positive. A question counts once, by its own chance that
    such a step lies above another. Level differences between questions cannot help.
    """
    rows = [
        {"organism": organism, "seed": s, "value": found}
        for (organism, s, _), found in compute_step_aurocs(table.dropna(subset=["value"]))
    ]
    found = pd.DataFrame(rows, columns=["organism", "seed", "value"])
    questions = table.groupby(["organism", "seed", "question"]).ngroups
    if found.empty:
        return make_empty_detection(0, questions, "no question has steps of both kinds")
    rng, points, drawn = np.random.default_rng(seed), dict[str, float](), []
    for number, part in split_by_model(found):
        weights, values = draw_question_weights(pd.factorize(part["organism"])[0], rng), part["value"].to_numpy(float)
        points[number] = float(values.mean())
        drawn.append(weights @ values / weights.sum(1))
    low, high = compute_model_interval(np.stack(drawn), rng)
    mean = float(np.mean(list(points.values())))
    return Detection(mean, low, high, points, None, None, len(found), questions - len(found))


def compute_step_aurocs(steps: pd.DataFrame) -> Iterator[tuple[tuple, float]]:
    """For each question with steps of both kinds: which it is, and its chance that a positive lies above a negative."""
    for key, part in steps.groupby(["organism", "seed", "question"], sort=True):
        positive: Bool[np.ndarray, " step"] = part["positive"].to_numpy(bool)
        if positive.any() and not positive.all():
            values = part["value"].round(TIE_DECIMALS).to_numpy(float)
            assert isinstance(key, tuple)
            yield key, compute_auroc(values, positive)


def mark_steps(steps: Sequence[int], n: int) -> Bool[np.ndarray, " step"]:
    """Which of `n` steps are `steps`; negative ones count from the last."""
    found = np.zeros(n, dtype=bool)
    found[list(steps)] = True
    return found
