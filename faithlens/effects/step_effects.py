"""`StepEffects`, what every verb of this wing gives back, and the audit of those that approximate."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from faithlens.errors import MeasureError
from faithlens.stats.resample import compute_mean_intervals

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Direction = Literal["denoise", "noise"]
Metric = Literal["logit_difference", "probability", "kl"]
METRIC_UNITS: dict[Metric, str] = {"logit_difference": "logit", "probability": "probability", "kl": "nat"}
MIN_RUN_GAPS: dict[Metric, float] = {"logit_difference": 1.0, "probability": 0.2, "kl": 0.1}
"""How far clean and corrupted must be apart for a normalised effect: below it noise would be divided by noise."""

MIN_SIGN_AGREEMENT = 0.8  # share of signs in which approximate and exact effects must agree
NEGLIGIBLE_EFFECT = 1e-3  # logits: effects below are none
StepEffectArray = Float[np.ndarray, "trace layer step"]


@dataclass(frozen=True)
class ApproximationQuality:
    """How well approximate effects agree with exact ones, over all cells of all traces.

    Attributes:
        n_cells: cells compared.
        pearson: correlation; NaN where one of them does not vary.
        sign_agreement: share of the cells whose exact effect is not negligible in which the sign is right.
        top_overlap: share of the strongest fifth of exact effects that is also among the strongest fifth of approximate ones.
    """

    n_cells: int
    pearson: float
    sign_agreement: float
    top_overlap: float


@dataclass(frozen=True, eq=False)
class StepEffects:
    """Effects of edits, one a trace, layer and step; NaN where a trace has no such step.

    Attributes:
        edit_name: the edit.
        direction: of patches; None for edits that only take away.
        metric: what of the answer is compared.
        layers: labels of the layers; "all" where the edit is in all at once.
        steps: names of the steps.
        clean: the metric of each clean run.
        corrupted: the metric of each corrupted run; NaN where there is none.
        effect: how far the edit moves the metric towards the other run (of a patch), or down (of other edits).
        null: the mean effect of the same edit at random stretches of as many tokens; NaN where none was asked for.
        seed: of these stretches.
        quality: of approximations, how they agree with exact effects.
    """

    edit_name: str
    direction: Direction | None
    metric: Metric
    layers: tuple[str, ...]
    steps: tuple[str, ...]
    clean: Float[np.ndarray, " trace"]
    corrupted: Float[np.ndarray, " trace"]
    effect: StepEffectArray
    null: StepEffectArray
    seed: int
    quality: ApproximationQuality | None = None

    @property
    def value(self) -> StepEffectArray:
        """The metric under each edit."""
        if self.direction == "denoise":
            return self.corrupted[:, None, None] + self.effect
        return self.clean[:, None, None] - self.effect

    @property
    def normalised(self) -> StepEffectArray:
        """Effects as fractions of the way from one run to the other; NaN where these are closer than the floor."""
        way = self.clean - self.corrupted
        way = np.where(np.abs(way) >= MIN_RUN_GAPS[self.metric], way, np.nan)
        return self.effect / way[:, None, None]

    def to_dataframe(self) -> pd.DataFrame:
        """A row a trace, layer and step.

        Raises:
            MeasureError: the numbers are approximations that too often have the wrong sign.
        """
        self._check_quality()
        index = pd.MultiIndex.from_product(
            [range(len(self.clean)), self.layers, self.steps], names=["trace", "layer", "step"]
        )
        columns = {name: getattr(self, name).ravel() for name in ("value", "effect", "null", "normalised")}
        frame = pd.DataFrame(columns, index=index).reset_index()
        return frame[frame["effect"].notna()].reset_index(drop=True)

    def bootstrap_ci(self, seed: int = 0) -> pd.DataFrame:
        """Mean effect of every layer and step with its 95 % interval, whole traces resampled.

        Raises:
            MeasureError: there is one trace only, which has no spread, or the approximations are bad.
        """
        self._check_quality()
        index = pd.MultiIndex.from_product([self.layers, self.steps], names=["layer", "step"])
        return compute_trace_intervals(self.effect.reshape(len(self.clean), -1), index, self.edit_name, seed)

    def plot(self) -> "Figure":
        """Mean effects, a heat map of layers by steps; bars, with intervals if there are several traces, for one layer.

        Raises:
            MeasureError: the numbers are approximations that too often have the wrong sign.
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


def assess_approximation(approximate: StepEffectArray, exact: StepEffectArray) -> ApproximationQuality:
    """Agreement of approximate with exact effects; exact ones below a hundredth of the largest have no sign.

    Where no exact effect is more than rounding, approximate ones agree if they are not either.
    """
    there = np.isfinite(exact)
    mine, truth = approximate[there], exact[there]
    most = np.abs(truth).max()
    weighty = np.abs(truth) >= 0.01 * most
    right = (
        (np.sign(mine) == np.sign(truth))[weighty] if most > NEGLIGIBLE_EFFECT else np.abs(mine) <= NEGLIGIBLE_EFFECT
    )
    varies = len(truth) > 1 and mine.std() > 0 and truth.std() > 0
    strongest = max(1, len(truth) // 5)
    first, second = (set(np.argsort(-np.abs(x))[:strongest]) for x in (mine, truth))
    return ApproximationQuality(
        n_cells=len(truth),
        pearson=float(np.corrcoef(mine, truth)[0, 1]) if varies else float("nan"),
        sign_agreement=float(right.mean()),
        top_overlap=len(first & second) / strongest,
    )


def check_approximation(quality: ApproximationQuality, name: str) -> None:
    """Refuse to show approximations that are not good enough.

    Raises:
        MeasureError: too many of their signs are wrong.
    """
    if not quality.sign_agreement >= MIN_SIGN_AGREEMENT:
        raise MeasureError(
            f"the {name}",
            f"its signs agree with exact patching in {quality.sign_agreement:.0%} of {quality.n_cells} cells,"
            f" where {MIN_SIGN_AGREEMENT:.0%} are wanted",
            "use exact patches, or more midpoints",
        )


def compute_trace_intervals(
    values: Float[np.ndarray, "trace column"], index: pd.Index, name: str, seed: int
) -> pd.DataFrame:
    """The mean of every column, named by `index`, with its 95 % interval, whole traces resampled; NaN is left out.

    Raises:
        MeasureError: there is one trace only, which has no spread.
    """
    if len(values) < 2:
        raise MeasureError(
            f"an interval of the {name}", "one trace, whose effects are one observation", "give several traces"
        )
    there = np.isfinite(values)
    mean, low, high = compute_mean_intervals(np.where(there, values, 0.0), there.astype(float), seed)
    return pd.DataFrame({"effect": mean, "low": low, "high": high, "n": there.sum(0)}, index=index).reset_index()
