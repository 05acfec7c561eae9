"""Receiver heads (M21): which heads look back at few steps, chosen on half of the questions and scored on the rest."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from faithlens.effects.experiment import Conditions, list_traces, number_questions, select_steps
from faithlens.errors import MeasureError
from faithlens.execution.execute import execute
from faithlens.measures.receivers import MIN_DISTANCE, MIN_SCORED_STEPS, head_kurtosis, vertical_scores
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record
from faithlens.plan.memory import plan_passes
from faithlens.stats.agreement import Reliability, compute_reliability
from faithlens.stats.resample import compute_mean_intervals

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TOP = 20  # heads, as published


@dataclass(frozen=True, eq=False)
class ReceiverHeads:
    """Heads that look back at few steps, and the steps they look at. Descriptive; it never decides alone.

    Attributes:
        heads: a row a head: its `kurtosis`, the mean over traces, with its 95 % interval over questions; the `n` traces
            in which it is defined; its mean in the half on which heads were `chosen` and in the `held_out` half; and
            whether it was `selected`. Missing where it reads every step of every trace alike.
        steps: a row a trace of the held-out half and step: `score`, attention per token of the step, on average over
            selected heads and over the steps at least `min_distance` after it.
        reliability: of the heads' kurtosis, between the halves.
        dropped: traces that were left out, and why.
        min_distance: how many steps after a step its readers begin.
        seed: of the halves and the resampling.
    """

    heads: pd.DataFrame
    steps: pd.DataFrame
    reliability: Reliability
    dropped: Mapping[int, str]
    min_distance: int
    seed: int

    def plot(self) -> "Figure":
        """Kurtosis of every head, a heat map of layers by heads."""
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
    """Find the heads with which later steps look back at few steps, and score the steps by them (M21).

    Args:
        model: the model.
        traces: several, with `min_distance` + 4 steps or more; shorter ones are dropped.
        groups: the question of each trace, which falls into one half with all its traces; each its own by default.
        top: how many heads are selected.
        min_distance: how many steps after a step its readers begin.
        first_layer: layers before are left out; by default the first, as published.
        seed: of the halves and the resampling.

    Raises:
        MeasureError: fewer than two questions have long enough traces, or there are no more than `top` heads.
    """
    found = list_traces(traces)
    questions, least = number_questions(found, groups), min_distance + MIN_SCORED_STEPS
    counts = [len(trace.pieces) - 2 for trace in found]
    dropped = {t: f"{n} steps, where {least} are the least" for t, n in enumerate(counts) if n < least}
    used = [t for t in range(len(found)) if t not in dropped]
    if len(set(questions[used])) < 2:
        told = f"{len(set(questions[used]))} questions with traces of {least} steps, of {len(set(questions))}"
        raise MeasureError("receiver heads", told, "give longer chains of thought, more of them, or a lower ignore")
    capture = Capture(attention=tuple(select_steps(found, None)))
    records = execute(model, plan_passes(model, [found[t] for t in used]), capture)
    scores = [_score_steps(record, min_distance)[first_layer:] for record in records]
    peaks = np.stack([head_kurtosis(one) for one in scores])
    chosen_on = draw_first_half(questions[used], seed)
    first, second = _average_kurtosis(peaks[chosen_on]), _average_kurtosis(peaks[~chosen_on])
    selected = _select_heads(first, top)
    table = _make_table(peaks, questions[used], first_layer, seed)
    rows = [
        (t, piece.name, score)
        for t, one, choosing in zip(used, scores, chosen_on, strict=True)
        if not choosing
        for piece, score in zip(found[t].pieces[1:], one[selected].mean(0).tolist(), strict=False)
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
    """Which traces belong to the first of two random halves of the questions."""
    shuffled = np.random.default_rng(seed).permutation(np.unique(questions))
    return np.isin(questions, shuffled[: len(shuffled) // 2])


def _score_steps(record: Record, min_distance: int) -> Float[np.ndarray, "layer head read"]:
    """Vertical scores of a trace's steps."""
    steps = record.condition.pieces[1:-1]
    mass = np.stack([record.attention[step.name][..., 1:-1].numpy() for step in steps], -2)
    return vertical_scores(mass, np.array([len(step.ids) for step in steps]), min_distance)


def _average_kurtosis(peaks: Float[np.ndarray, "trace layer head"]) -> Float[np.ndarray, "layer head"]:
    """Mean over the traces in which a head's kurtosis is defined."""
    known = np.isfinite(peaks)
    with np.errstate(invalid="ignore"):
        return np.where(known, peaks, 0.0).sum(0) / known.sum(0)


def _select_heads(peaks: Float[np.ndarray, "layer head"], top: int) -> Bool[np.ndarray, "layer head"]:
    """The `top` heads of highest kurtosis.

    Raises:
        MeasureError: there are no more heads than that, so that nothing would be selected.
    """
    known = int(np.isfinite(peaks).sum())
    if not 0 < top < known:
        found = f"{known} heads whose kurtosis is defined"
        raise MeasureError(f"the {top} strongest receiver heads", found, f"set top to at most a few of these {known}")
    last = np.sort(peaks[np.isfinite(peaks)])[-top]
    return peaks >= last


def _make_table(
    peaks: Float[np.ndarray, "trace layer head"], questions: Int[np.ndarray, " trace"], first_layer: int, seed: int
) -> pd.DataFrame:
    """Mean kurtosis of each head with its interval over questions."""
    known = np.isfinite(peaks)
    flat = pd.DataFrame(np.where(known, peaks, 0.0).reshape(len(peaks), -1)).groupby(questions).sum()
    counts = pd.DataFrame(known.reshape(len(peaks), -1).astype(float)).groupby(questions).sum()
    value, low, high = compute_mean_intervals(flat.to_numpy(), counts.to_numpy(), seed)
    layers, heads = (range(n) for n in peaks.shape[1:])
    index = pd.MultiIndex.from_product([[first_layer + layer for layer in layers], heads], names=["layer", "head"])
    columns = {"kurtosis": value, "low": low, "high": high, "n": known.sum(0).ravel()}
    return pd.DataFrame(columns, index=index).reset_index()
