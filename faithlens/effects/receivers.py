"""Which heads look back at few steps, and at which steps do they look? (Receiver heads of Bogdan et al. 2025.)

1. For each head, the score of a step is the attention per token that it gets, on average, from the steps at least
   `min_distance` after it.
2. The (excess) kurtosis of these scores over the steps is high if the head looks back at few steps.
3. Split the questions into two random halves. Select the `top` heads of highest mean kurtosis on the first half.
4. Score the steps of the other half by the selected heads, so that no head is selected on the traces it scores.

For example, the scores of two heads over eight steps::

    head 1    .1 .1 .1 .9 .1 .1 .1 .1    kurtosis 3.14: a receiver head
    head 2    .1 .2 .1 .2 .1 .2 .1 .2    kurtosis -2.00

The source is arXiv 2506.19143.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from faithlens.effects.experiment import Conditions, list_traces, number_questions, select_steps
from faithlens.effects.summary import Summary
from faithlens.errors import MeasureError
from faithlens.execution.execute import execute
from faithlens.measures.receivers import MIN_DISTANCE, MIN_SCORED_STEPS, head_kurtosis, vertical_scores
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record
from faithlens.plan.memory import plan_passes
from faithlens.stats.agreement import Reliability, compute_reliability
from faithlens.stats.interval import compute_mean_intervals

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TOP = 20  # the published number of heads


@dataclass(frozen=True, eq=False, repr=False)
class ReceiverHeads(Summary):
    """Heads that look back at few steps, and the steps they look at. A description; it never decides alone.

    Attributes:
        heads: one row for each layer and head: `kurtosis`, the mean over traces, with its 95 % interval (`low`,
            `high`) over questions; `n`, the number of traces in which it is defined; `chosen`, the mean on the half
            that selects heads; `held_out`, the mean on the other half; and `selected`. Kurtosis is missing for a head
            that gives all steps of every trace the same attention.
        steps: one row for each held-out trace and step: `score`, the attention per token of the step, averaged over the
            selected heads and the steps at least `min_distance` after it.
        reliability: the agreement of the kurtosis of the heads between the halves.
        dropped: the traces that were left out, each with the reason.
        min_distance: the smallest distance, in steps, between a step and its readers.
        seed: the seed of the halves and of the resampling.
    """

    heads: pd.DataFrame
    steps: pd.DataFrame
    reliability: Reliability
    dropped: Mapping[int, str]
    min_distance: int
    seed: int

    def summarise(self) -> tuple[str, pd.DataFrame]:
        """The selected heads, with the kurtosis of their attention over steps."""
        selected = self.heads.loc[self.heads["selected"], ["layer", "head", "kurtosis", "low", "high", "held_out"]]
        return f"{len(selected)} of {len(self.heads)} heads, {len(self.dropped)} traces dropped", selected

    def plot(self) -> "Figure":
        """A heat map of the kurtosis of every head, layers by heads."""
        from faithlens.figures.internals import plot_head_heatmap  # plotly takes a second to import

        grid = self.heads.pivot(index="layer", columns="head", values="kurtosis")
        return plot_head_heatmap(grid.to_numpy(), [str(layer) for layer in grid.index], "kurtosis")


def find_receiver_heads(
    model: Model,
    traces: Conditions,
    *,
    groups: Sequence[Hashable] | None = None,
    top: int = TOP,
    min_distance: int = MIN_DISTANCE,
    first_layer: int = 1,
    seed: int = 0,
) -> ReceiverHeads:
    """Find the heads that look back at few steps, and score the steps by them.

    Source: Bogdan et al. 2025, arXiv 2506.19143. The heads are selected on one half of the questions, and the steps of
    the other half are scored.

    Args:
        model: the model.
        traces: several traces, with at least `min_distance` + 4 steps; shorter ones are dropped.
        groups: the question of each trace; all traces of a question are in one half. By default, each trace has its
            own.
        top: the number of heads to select.
        min_distance: the smallest distance, in steps, between a step and its readers.
        first_layer: the first layer that is considered; by default layer 0 is left out, as published.
        seed: the seed of the halves and of the resampling.

    Returns:
        The selected heads, and the scores of the steps.

    Raises:
        PlanError: there are not as many groups as traces.
        MeasureError: fewer than two questions have traces that are long enough, or there are not more than `top` heads.
    """
    listed = list_traces(traces)
    questions, n_required = number_questions(listed, groups), min_distance + MIN_SCORED_STEPS
    counts = [len(trace.pieces) - 2 for trace in listed]
    dropped = {t: f"{n} steps, and at least {n_required} are needed" for t, n in enumerate(counts) if n < n_required}
    used = [t for t in range(len(listed)) if t not in dropped]
    if len(set(questions[used])) < 2:
        raise MeasureError(
            f"receiver heads need at least two questions with traces of {n_required} steps, got"
            f" {len(set(questions[used]))} of {len(set(questions))} questions",
            "Use longer chains of thought, more questions, or a lower min_distance.",
        )
    capture = Capture(attention=tuple(select_steps(listed, None)))
    records = execute(model, plan_passes(model, [listed[t] for t in used]), capture)
    scores = [_score_steps(record, min_distance)[first_layer:] for record in records]
    peaks = np.stack([head_kurtosis(one) for one in scores])
    is_selecting = draw_first_half(questions[used], seed)
    first, second = _average_kurtosis(peaks[is_selecting]), _average_kurtosis(peaks[~is_selecting])
    selected = _select_heads(first, top)
    table = _make_table(peaks, questions[used], first_layer, seed)
    rows = [
        (t, piece.name, score)
        for t, one, selects in zip(used, scores, is_selecting, strict=True)
        if not selects
        for piece, score in zip(listed[t].pieces[1:], one[selected].mean(0).tolist(), strict=False)
    ]
    return ReceiverHeads(
        heads=table.assign(chosen=first.ravel(), held_out=second.ravel(), selected=selected.ravel()),
        steps=pd.DataFrame(rows, columns=["trace", "step", "score"]),
        reliability=compute_reliability(first.ravel(), second.ravel()),
        dropped=dropped,
        min_distance=min_distance,
        seed=seed,
    )


def draw_first_half(questions: Int[np.ndarray, " trace"], seed: int) -> Bool[np.ndarray, " trace"]:
    """For each trace, whether its question is in the first of two random halves."""
    shuffled = np.random.default_rng(seed).permutation(np.unique(questions))
    return np.isin(questions, shuffled[: len(shuffled) // 2])


def _score_steps(record: Record, min_distance: int) -> Float[np.ndarray, "layer head read"]:
    """For each layer and head, the scores of the steps of one trace."""
    steps = record.condition.pieces[1:-1]
    mass = np.stack([record.attention[step.name][..., 1:-1].numpy() for step in steps], -2)
    return vertical_scores(mass, np.array([len(step.ids) for step in steps]), min_distance)


def _average_kurtosis(peaks: Float[np.ndarray, "trace layer head"]) -> Float[np.ndarray, "layer head"]:
    """The mean over the traces in which the kurtosis of a head is defined."""
    known = np.isfinite(peaks)
    with np.errstate(invalid="ignore"):
        return np.where(known, peaks, 0.0).sum(0) / known.sum(0)


def _select_heads(peaks: Float[np.ndarray, "layer head"], top: int) -> Bool[np.ndarray, "layer head"]:
    """The `top` heads of highest kurtosis.

    Raises:
        MeasureError: there are not more heads than that, so that selecting would mean nothing.
    """
    known = int(np.isfinite(peaks).sum())
    if not 0 < top < known:
        raise MeasureError(
            f"top must be at least 1 and below the number of heads, got {top}, with {known} heads whose kurtosis is"
            " defined",
            f"Set top to a small part of these {known}.",
        )
    last = np.sort(peaks[np.isfinite(peaks)])[-top]
    return peaks >= last


def _make_table(
    peaks: Float[np.ndarray, "trace layer head"], questions: Int[np.ndarray, " trace"], first_layer: int, seed: int
) -> pd.DataFrame:
    """The mean kurtosis of each head, with its interval over questions."""
    known = np.isfinite(peaks)
    flat = pd.DataFrame(np.where(known, peaks, 0.0).reshape(len(peaks), -1)).groupby(questions).sum()
    counts = pd.DataFrame(known.reshape(len(peaks), -1).astype(float)).groupby(questions).sum()
    intervals = compute_mean_intervals(flat.to_numpy(), counts.to_numpy(), seed, [None] * flat.shape[1])
    value, low, high = np.array([each[:3] for each in intervals]).T
    layers, heads = (range(n) for n in peaks.shape[1:])
    index = pd.MultiIndex.from_product([[first_layer + layer for layer in layers], heads], names=["layer", "head"])
    columns = {"kurtosis": value, "low": low, "high": high, "n": known.sum(0).ravel()}
    return pd.DataFrame(columns, index=index).reset_index()
