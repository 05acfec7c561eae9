"""`StepEffects`, the result of the functions that edit each step, with its table, its intervals and its picture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from faithlens.console import format_html_table
from faithlens.effects.approximation import ApproximationQuality, check_approximation
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


@dataclass(frozen=True, eq=False)
class StepEffects:
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
        quality: for approximate effects, how well they agree with exact ones; None for exact effects.
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

    def __repr__(self) -> str:
        shape = " x ".join(
            f"{n} {what}" for n, what in zip(self.effect.shape, ("traces", "layers", "steps"), strict=True)
        )
        return f"StepEffects({self.edit_name!r}, {self.metric}, {shape})"

    def _repr_html_(self) -> str:
        is_known = ~np.isnan(self.effect)
        sums = np.where(is_known, self.effect, 0.0).sum(0)
        counts = is_known.sum(0)
        rows = [
            (layer, *(float(total / n) if n else None for total, n in zip(sums[i], counts[i], strict=True)))
            for i, layer in enumerate(self.layers)
        ]
        unit = METRIC_UNITS[self.metric]
        caption = f"Effect of {self.edit_name} by layer and step, mean of {len(self.effect)} traces, in {unit}"
        return format_html_table(caption, ("layer", *self.steps), rows)

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

        Columns: trace, layer, step, value, effect, null (in the unit of the metric) and normalised.

        Raises:
            MeasureError: the effects are approximations, and too many have the wrong sign.
        """
        self._check_quality()
        index = pd.MultiIndex.from_product(
            [range(len(self.clean)), self.layers, self.steps], names=["trace", "layer", "step"]
        )
        columns = {name: getattr(self, name).ravel() for name in ("value", "effect", "null", "normalised")}
        frame = pd.DataFrame(columns, index=index).reset_index()
        return frame[frame["effect"].notna()].reset_index(drop=True)

    def bootstrap_ci(self, seed: int = 0) -> pd.DataFrame:
        """The mean effect of each layer and step over traces, with its 95 % interval over whole traces.

        Columns: layer, step, effect, low, high (in the unit of the metric), n, the number of traces, and reason, why
        there is no interval.

        Args:
            seed: the seed of the resampling of traces.

        Raises:
            MeasureError: there is only one trace, or the effects are approximations with too many wrong signs.
        """
        self._check_quality()
        index = pd.MultiIndex.from_product([self.layers, self.steps], names=["layer", "step"])
        effects = self.effect.reshape(len(self.clean), -1)
        return compute_trace_intervals(effects, index, self.edit_name, self.metric, seed)

    def plot(self) -> "Figure":
        """A heat map of mean effects, layers by steps; for one layer bars, with intervals if there are several traces.

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
            return plot_step_bars(effect[0], null, self.steps, unit, ends)
        return plot_step_heatmap(effect, self.layers, self.steps, unit)

    @property
    def _has_null(self) -> bool:
        return bool(np.isfinite(self.null).any())

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
