"""The scaling question by matching: checkpoints of equal loss, and items whose answer can change, or that are equally
sure.

Equal loss was proposed in comments on Lanham et al. (LessWrong post BKvJNzALpxS3LafEs): of two models that predict text
equally well, does the larger one use its chain of thought less? The objection there: size matters because it lowers
the loss that can be reached. Items: where a model is wrong without its chain of thought, or as unsure, it can be moved.

Wrong items are each size's own, and what only large models are left to get wrong may be harder in other ways; the share
that is wrong at every size carries a warning where it is small.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.integrate import trapezoid
from scipy.interpolate import PchipInterpolator
from scipy.stats import t

from faithlens.stats.interval import NO_METHOD
from faithlens.stats.resample import DRAWS, TAIL, Array, compute_expanded_percentile, draw_questions, jackknife
from faithlens.stats.scaling.size_effect import (
    MEASUREMENT_KEYS,
    UNDEFINED_VALUES,
    SizeEffect,
    allow_for_models,
    choose_sampling_unit,
    compute_model_half_width,
    describe_dropped_rows,
    drop_single_sizes,
    fit_slope_within_groups,
    make_size_effect,
    select_usable_rows,
    subtract_group_means,
)

MIN_ITEMS = 5
"""Items that each size must have of a kind, of two seeds where there are several; else the kind is left out."""


def estimate_at_equal_loss(
    checkpoints: pd.DataFrame, *, unit: str = "fraction", sampling_unit: str | None = None
) -> SizeEffect:
    """The slope of the measure against log10 size, averaged over the losses that all sizes pass through.

    Each size's measure is read off straight lines between its checkpoints, so its average over those losses, and the
    slope, are weighted sums of checkpoints. The interval is the jackknife over units, and never narrower than the
    errors of checkpoints add up to: the larger of their own `se` and what they stray from the lines between their
    neighbours (Gasser, Sroka & Jennen-Steinmetz 1986, Biometrika 73, 625-633). Where curves bend, straight lines are
    wrong in all tasks alike and no resampling of tasks shows it; so what the slope changes by when monotone cubics
    take their place (PCHIP) is added to either side.

    Args:
        checkpoints: one row for each size x task [x seed] x checkpoint: size, task, loss (held-out), value, and perhaps
            se.
        unit: the unit of the measure.
        sampling_unit: the column that names what is independent: seeds where there are several, else tasks.

    Raises:
        MeasureError: the table is not one of checkpoints.
    """
    answer = "at equal loss"
    told_apart = "checkpoint" if "checkpoint" in checkpoints.columns else "loss"
    known = select_usable_rows(
        checkpoints, ("value", "loss", *([sampling_unit] if sampling_unit else [])), (*MEASUREMENT_KEYS, told_apart)
    )
    over = choose_sampling_unit(known, sampling_unit)
    known, total = drop_single_sizes(known, over), checkpoints[over].nunique() if over in checkpoints.columns else 1
    lost = list(describe_dropped_rows(checkpoints, known, "checkpoint", ("value", "loss")))
    ends = known.groupby([*MEASUREMENT_KEYS])["loss"].agg(["min", "max"])
    low, high = ends["min"].max(), ends["max"].min()
    if not low < high:
        why = f"no common range of losses: one curve ends at {low:.3g}, another starts at {high:.3g}"
        return make_size_effect(
            answer, UNDEFINED_VALUES, known, over, total, unit=unit, method=NO_METHOD, reasons=[*lost, why]
        )
    read, freedom = _average_curves(known, low, high)
    y, x, task = read["value"].to_numpy(float), read[["log_size"]].to_numpy(float), read["task"].to_numpy()
    value, *drawn = jackknife(read[over].to_numpy(), lambda rows: fit_slope_within_groups(y[rows], x[rows], task[rows]))
    own = subtract_group_means(x, task)[:, 0]
    error = np.sqrt((own**2 * read["variance"]).sum()) / (own**2).sum()
    bend = abs(fit_slope_within_groups(read["bent"].to_numpy(float), x, task) - value)
    half = float(np.fmax(drawn[1] - value, t.ppf(1 - TAIL, freedom) * error) + bend)
    method = (
        f"straight lines between checkpoints at losses {low:.3g} to {high:.3g}, jackknife over {over}s,"
        " at least the checkpoints' errors, and the difference to monotone cubics"
    )
    slope, method = allow_for_models((value, value - half, value + half), method, read, y, x, task, over)
    return make_size_effect(
        answer, slope, known, over, total, unit=unit, method=method,
        reasons=lost, doubts=_list_loss_doubts(known, freedom, low, high),
    )  # fmt: skip


def _average_curves(known: pd.DataFrame, low: float, high: float) -> tuple[pd.DataFrame, float]:
    """A row a curve: its mean over losses from `low` to `high`, by straight lines with its variance, and by bent ones.

    Also the degrees of freedom of the variances.
    """
    columns = ["loss", "value", "variance", "log_size"]
    known = known.assign(variance=known["se"] ** 2 if "se" in known else np.nan)
    points = known.groupby([*MEASUREMENT_KEYS, "loss"], as_index=False)[columns[1:]].mean()
    curves = {keys: part[columns].to_numpy(float).T for keys, part in points.groupby([*MEASUREMENT_KEYS])}
    squares = np.concatenate([_compute_stray_variances(loss, value) for loss, value, *_ in curves.values()])
    stray = float(squares.mean()) if len(squares) else np.nan
    rows = []
    for keys, (loss, value, variance, log_size) in curves.items():
        weights = _compute_loss_weights(loss, low, high)
        bent = float(PchipInterpolator(loss, value).integrate(low, high)) / (high - low)
        rows.append((*keys, log_size[0], weights @ value, weights**2 @ np.fmax(variance, stray), bent))
    return pd.DataFrame(rows, columns=[*MEASUREMENT_KEYS, "log_size", "value", "variance", "bent"]), float(
        len(squares) or np.inf
    )


def _compute_loss_weights(losses: Array, low: float, high: float) -> Array:
    """What each checkpoint counts for in the mean, from `low` to `high`, of the straight lines between checkpoints."""
    knots = np.array([low, *losses[(losses > low) & (losses < high)], high])
    hats = np.stack([np.interp(knots, losses, one) for one in np.eye(len(losses))])
    return trapezoid(hats, knots, axis=1) / (high - low)


def _compute_stray_variances(losses: Array, values: Array) -> Array:
    """For each inner checkpoint, the variance that its distance from the line between its neighbours indicates."""
    before, after = np.diff(losses)[:-1], np.diff(losses)[1:]
    share = after / (before + after)
    off = share * values[:-2] + (1 - share) * values[2:] - values[1:-1]
    return off**2 / (share**2 + (1 - share) ** 2 + 1)


def _list_loss_doubts(known: pd.DataFrame, freedom: float, low: float, high: float) -> Iterator[str]:
    if np.isinf(freedom):
        yield "fewer than 3 checkpoints a curve: whether curves bend cannot be seen"
    covered = (high - low) / (known["loss"].max() - known["loss"].min())
    if covered < 0.25:
        yield f"the common range is {covered:.0%} of all losses"


def estimate_on_wrong_items(items: pd.DataFrame, *, unit: str = "fraction", seed: int = 0) -> SizeEffect:
    """The slope of the measure against log10 size on items that the model answers wrong without a chain of thought.

    Tasks are given the same shares at all sizes, so that no task has more weight at one size.

    Args:
        items: one row for each size x question [x task x seed]: size, question, value, correct (without chain of
            thought, 0 or 1), and perhaps task and seed.
        unit: the unit of the measure.
        seed: the seed of the resampling.

    Raises:
        MeasureError: the table is not one of items.
    """
    known = select_usable_rows(items, ("value", "correct"), (*MEASUREMENT_KEYS, "question"))
    kinds, wrong = known.assign(bin=0), known["correct"] == 0
    return _estimate_standardised_slope(
        "on wrong items", kinds, wrong, items, "right without a chain of thought", unit, seed
    )


def estimate_at_equal_confidence(
    items: pd.DataFrame, *, unit: str = "fraction", bins: int = 10, seed: int = 0
) -> SizeEffect:
    """The slope of the measure against log10 size among items on which models are equally sure of their answer.

    Items of each task fall into equal `bins` of confidence; bins that some size lacks are left out, the others are
    given the same shares at all sizes (direct standardisation). Within a bin confidence may still rise with size: a
    small rest of its effect, the smaller the more bins, stays.

    Args:
        items: as for `estimate_on_wrong_items`, with confidence (without chain of thought, 0 to 1) in place of correct.
        unit, seed: as there.
        bins: how many.

    Raises:
        MeasureError: the table is not one of items.
    """
    known = select_usable_rows(items, ("value", "confidence"), (*MEASUREMENT_KEYS, "question"))
    place = np.minimum((known["confidence"] * bins).astype(int), bins - 1)
    every = pd.Series(True, index=known.index)
    return _estimate_standardised_slope(
        "at equal confidence", known.assign(bin=place), every, items, "without a value", unit, seed
    )


def _estimate_standardised_slope(
    answer: str, known: pd.DataFrame, is_used: "pd.Series[bool]", items: pd.DataFrame, other: str, unit: str, seed: int
) -> SizeEffect:
    """The slope of size means in which each kind of item, a bin of a task, has the same share at all sizes."""
    known = known.assign(
        question=known.groupby(["task", "question"]).ngroup(), kind=known.groupby(["task", "bin"]).ngroup()
    )
    sizes, total = np.unique(known["log_size"]), known["question"].nunique()
    used = known[is_used]
    each = used.groupby(["kind", "size"])[["question", "seed"]].nunique()
    enough = (each["question"] >= MIN_ITEMS) & (each["seed"] >= min(2, known["seed"].nunique()))
    common = enough.index[enough.groupby("kind").transform("sum") == len(sizes)].get_level_values("kind")
    used = used[used["kind"].isin(common)]
    reasons = []
    if lost := len(items) - len(used):
        few = f"of a kind that some size has fewer than {MIN_ITEMS} of"
        reasons.append(f"{lost} of {len(items)} answers left out: {other}, or {few}")
    if used.empty or len(sizes) < 2:
        return make_size_effect(
            answer, UNDEFINED_VALUES, used, "question", total, unit=unit, method=NO_METHOD, seed=seed, reasons=reasons
        )
    seeds = used["seed"].nunique()
    several = f", and jackknife over {seeds} seeds" if seeds > 1 else f", and t over {len(sizes)} models"
    return make_size_effect(
        answer, _estimate_slope(used, sizes, seed), used, "question", total, unit=unit, seed=seed, reasons=reasons,
        method=f"shares of kinds alike at all sizes; question bootstrap, expanded percentile, {DRAWS} draws{several}",
        doubts=_list_item_doubts(used, len(sizes)),
    )  # fmt: skip


def _estimate_slope(used: pd.DataFrame, sizes: Array, seed: int) -> tuple[float, float, float]:
    """Value and interval: whole questions are resampled, and where there are several seeds, each is left out in turn.

    With one seed, what models differ by shows in how far the sizes stray from a line; with two sizes, not at all. Seeds
    answer the same questions, so what questions bring stays however many seeds there are: the two half-widths add
    up in squares. The doubt of single answers is in both of them, and the interval at most 1.4 times too wide for it;
    drawing seeds and questions together (Owen 2007, Ann. Appl. Stat. 1, 386-411) counts it three times.
    """
    kind, place = _encode_names(used["kind"]), np.searchsorted(sizes, used["log_size"])
    seeds, questions = _encode_names(used["seed"]), _encode_names(used["question"])
    table = np.zeros((seeds.max() + 1, questions.max() + 1, 2, len(sizes), kind.max() + 1))
    sums, counts = table[:, :, 0], table[:, :, 1]
    np.add.at(sums, (seeds, questions, place, kind), used["value"].to_numpy(float))
    np.add.at(counts, (seeds, questions, place, kind), 1.0)

    def average_by_size(sums: Array) -> Array:
        total, count = np.moveaxis(sums.reshape(-1, *table.shape[2:]), 1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = (count / count.sum(-1, keepdims=True)).mean(1, keepdims=True)
            return (shares * total / count).sum(-1)

    def fit_slope(sums: Array) -> Array:
        own = sizes - sizes.mean()
        return average_by_size(sums) @ own / (own @ own)

    flat = table.reshape(*table.shape[:2], -1)
    value, n = float(fit_slope(flat.sum((0, 1)))[0]), flat.shape[1]
    low, high = compute_expanded_percentile(fit_slope(draw_questions(n, seed) @ flat.sum(0))[:, None], np.array([n]))
    if len(flat) > 1:
        middle, _, end = jackknife(
            np.arange(len(flat)), lambda seeds_used: float(fit_slope(flat[seeds_used].sum((0, 1)))[0])
        )
        half = end - middle
    else:
        means, all_alike = average_by_size(flat.sum((0, 1)))[0], np.zeros(len(sizes))
        half = compute_model_half_width(means, sizes[:, None], all_alike, sizes)
    return value, value - float(np.hypot(value - low[0], half)), value + float(np.hypot(high[0] - value, half))


def _encode_names(names: pd.Series) -> NDArray[np.integer]:
    return pd.factorize(names, sort=True)[0]


def _list_item_doubts(used: pd.DataFrame, sizes: int) -> Iterator[str]:
    everywhere = (used.groupby("question")["size"].nunique() == sizes).mean()
    if everywhere < 0.5:
        yield f"{everywhere:.0%} of these items are compared at every size: the others differ between sizes"
