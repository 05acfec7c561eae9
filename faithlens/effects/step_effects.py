"""`StepEffects`, the result of the functions that edit each step, with its table, its intervals and its picture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from faithlens.effects.approximation import ApproximationQuality, check_approximation
from faithlens.effects.summary import Summary
from faithlens.errors import MeasureError
from faithlens.measures.mediation import MIN_TOTAL_EFFECT
from faithlens.stats.interval import compute_mean_intervals

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PatchMode = Literal["denoise", "noise"]
Metric = Literal["logit_difference", "probability", "kl"]
METRIC_UNITS: dict[Metric, str] = {"logit_difference": "logit", "probability": "probability", "kl": "nat"}
MIN_RUN_GAPS: dict[Metric, float] = {"logit_difference": 1.0, "probability": MIN_TOTAL_EFFECT, "kl": 0.1}
"""The smallest gap of clean and corrupted run for a normalised effect. Below it, noise would be divided by noise."""

StepEffectArray = Float[np.ndarray, "trace layer step"]


@dataclass(frozen=True, eq=False, repr=False)
class StepEffects(Summary):
    """Effects of an edit on the answer, for each trace, layer and step; NaN where a trace has no such step.

    Attributes:
        edit_name: the name of the edit.
        mode: the mode of patches and swaps; None for edits that only take something away.
        metric: what is read of the answer.
        layers: the labels of the layers; "all" if the edit acts in all layers at once.
        steps: the names of the steps.
        clean: the metric of each clean run, in the unit of the metric.
        corrupted: the metric of each corrupted run; NaN if there is none.
        effect: how far the edit moves the metric, in its unit: up from the corrupted run for "denoise", down from the
            clean run otherwise.
        null: the mean effect of the same edit at random spans of as many tokens; NaN without such controls.
        seed: the seed of the random spans.
        quality: how well approximate effects agree with exact ones; None if all effects are exact.
        is_exact: which cells hold the effect of an exact edit, the others a gradient; None if all are exact.
    """

    edit_name: str
    mode: PatchMode | None
    metric: Metric
    layers: tuple[str, ...]
    steps: tuple[str, ...]
    clean: Float[np.ndarray, " trace"]
    corrupted: Float[np.ndarray, " trace"]
    effect: StepEffectArray
    null: StepEffectArray
    seed: int
    quality: ApproximationQuality | None = None
    is_exact: Bool[np.ndarray, "layer step"] | None = None

    def summarise(self) -> tuple[str, pd.DataFrame]:
        """The mean effect of each layer and step over traces, in the unit of the metric; ~ is approximate."""
        is_known = ~np.isnan(self.effect)
        sums, counts = np.where(is_known, self.effect, 0.0).sum(0), is_known.sum(0)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        is_exact = np.ones(means.shape, bool) if self.is_exact is None else self.is_exact
        rows = [
            [x if exact or x != x else f"~{x:.3g}" for x, exact in zip(*cells, strict=True)]
            for cells in zip(means.tolist(), is_exact.tolist(), strict=True)
        ]
        table = pd.DataFrame(rows, columns=[*self.steps])
        table.insert(0, "layer", self.layers)
        axes = zip(self.effect.shape, ("traces", "layers", "steps"), strict=True)
        shape = " x ".join(f"{n} {what}" for n, what in axes)
        return f"{self.edit_name!r}, {self.metric}, {shape}{self._describe_quality()}", table

    @property
    def value(self) -> StepEffectArray:
        """The metric under each edit, in its unit."""
        if self.mode == "denoise":
            return self.corrupted[:, None, None] + self.effect
        return self.clean[:, None, None] - self.effect

    @property
    def normalised(self) -> StepEffectArray:
        """Effects divided by the gap between clean and corrupted run: 0 is no effect, 1 reaches the other run.

        NaN where the gap is below `MIN_RUN_GAPS`.
        """
        gap = self.clean - self.corrupted
        gap = np.where(np.abs(gap) >= MIN_RUN_GAPS[self.metric], gap, np.nan)
        return self.effect / gap[:, None, None]

    def to_dataframe(self) -> pd.DataFrame:
        """A table with one row for each trace, layer and step that the trace has.

        Columns: trace, layer, step, value, effect, null (in the unit of the metric) and normalised; and is_exact if
        some effects are approximations.

        Raises:
            MeasureError: the effects are approximations, and too many have the wrong sign.
        """
        self._check_quality()
        index = pd.MultiIndex.from_product(
            [range(len(self.clean)), self.layers, self.steps], names=["trace", "layer", "step"]
        )
        columns = {name: getattr(self, name).ravel() for name in ("value", "effect", "null", "normalised")}
        if self.is_exact is not None:
            columns["is_exact"] = np.broadcast_to(self.is_exact, self.effect.shape).ravel()
        frame = pd.DataFrame(columns, index=index).reset_index()
        return frame[frame["effect"].notna()].reset_index(drop=True)

    def bootstrap_ci(self, seed: int = 0) -> pd.DataFrame:
        """The mean effect of each layer and step over traces, with its 95 % interval over whole traces.

        Columns: layer, step, effect, low, high (in the unit of the metric), n, the number of traces, and reason, why
        there is no interval; and is_exact if some effects are approximations. The interval of an approximate effect
        covers the mean approximation, not the mean effect.

        Args:
            seed: the seed of the resampling of traces.

        Raises:
            MeasureError: there is only one trace, or the effects are approximations with too many wrong signs.
        """
        self._check_quality()
        index = pd.MultiIndex.from_product([self.layers, self.steps], names=["layer", "step"])
        effects = self.effect.reshape(len(self.clean), -1)
        table = compute_trace_intervals(effects, index, self.edit_name, self.metric, seed)
        return table if self.is_exact is None else table.assign(is_exact=self.is_exact.ravel())

    def plot(self) -> "Figure":
        """A heat map of mean effects, layers by steps; for one layer bars, with intervals if there are several traces.

        Where some effects are approximations, the exact cells have a dot, approximate bars are hatched, and the title
        says how well the two agree.

        Raises:
            MeasureError: the effects are approximations, and too many have the wrong sign.
        """
        from faithlens.figures.internals import plot_step_bars, plot_step_heatmap  # plotly takes a second to import

        self._check_quality()
        unit = METRIC_UNITS[self.metric]
        effect = np.nanmean(self.effect, 0)
        if len(self.layers) == 1:
            null = np.nanmean(self.null, 0)[0] if self._has_null else None
            ends = self.bootstrap_ci()[["low", "high"]].to_numpy().T if len(self.clean) > 1 else None
            is_exact = None if self.is_exact is None else self.is_exact[0]
            figure = plot_step_bars(effect[0], null, self.steps, unit, ends, is_exact)
        else:
            figure = plot_step_heatmap(effect, self.layers, self.steps, unit, self.is_exact)
        if self.quality is not None:
            figure.update_layout(title={"text": self.quality.describe(), "font_size": 13}, margin_t=48)
        return figure

    @property
    def _has_null(self) -> bool:
        return bool(np.isfinite(self.null).any())

    def _describe_quality(self) -> str:
        """How many cells are exact, and how well the others may be trusted; nothing if all are exact."""
        if self.quality is None or self.is_exact is None:
            return ""
        return f", {self.is_exact.sum()} of {self.is_exact.size} cells exact; {self.quality.describe()}"

    def _check_quality(self) -> None:
        if self.quality is not None:
            check_approximation(self.quality, self.edit_name)


def compute_trace_intervals(
    values: Float[np.ndarray, "trace column"], index: pd.Index, name: str, metric: Metric, seed: int
) -> pd.DataFrame:
    """The mean of each column over traces, with its 95 % interval over whole traces. NaN is left out.

    Where an interval is withheld (`stats.interval`), `low` and `high` are NaN and `reason` says why.

    Args:
        values: the numbers of each trace.
        index: the names of the columns, which become rows of the table.
        name: what the numbers are, for the error.
        metric: what they are effects on.
        seed: the seed of the resampling.

    Raises:
        MeasureError: there is only one trace.
    """
    if len(values) < 2:
        raise MeasureError(
            f"an interval of the {name} needs at least two traces, got one",
            "Pass several traces, or read the effects without intervals.",
        )
    there = np.isfinite(values)
    scales = [(-1.0, 1.0) if metric == "probability" else None] * values.shape[1]
    intervals = compute_mean_intervals(np.where(there, values, 0.0), there.astype(float), seed, scales)
    table = pd.DataFrame(intervals, index=index)[["value", "low", "high", "reason"]].rename(columns={"value": "effect"})
    table.insert(3, "n", there.sum(0))
    return table.reset_index()
