"""Which heads bring the chain of thought to the answer? All heads approximately, the strongest ones exactly.

1. Run the clean and the corrupted trace.
2. Approximate the effect of patching each head at the rows of the stem, by integrated gradients: all heads move
   together from the base run's outputs to the other run's.
3. Rank the heads by the absolute value of this approximation, averaged over traces first.
4. Patch the `top` heads one by one, and `n_checked` others drawn at random.
5. Compare approximate with exact effects of these heads; the ranking is refused if they disagree.

For example, with 3 layers of 4 heads, `top=2` and `n_checked=3`::

    approximate    12 heads, from 5 gradients (midpoints=5)
    exact          5 heads: the two strongest and three of the other ten; NaN for the other 7
    quality        n_cells = 5 for each trace
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float

from faithlens.effects.approximation import ApproximationQuality, assess_approximation, check_approximation
from faithlens.effects.experiment import (
    Conditions,
    Experiment,
    check_mode,
    make_trace_metric,
    pair_traces,
    run_together,
)
from faithlens.effects.integrated_gradients import integrate_gradients, make_attribution_weights
from faithlens.effects.step_effects import PatchMode, compute_trace_intervals
from faithlens.effects.summary import Summary, average_by
from faithlens.model.model import Model
from faithlens.plan.capture import Record
from faithlens.plan.condition import Patch

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HeadEffectArray = Float[np.ndarray, "trace layer head"]


@dataclass(frozen=True, eq=False, repr=False)
class HeadEffects(Summary):
    """Effects, in logits, of patching single heads at the rows of the stem.

    Attributes:
        mode: the mode of the patches.
        exact: the effect of each patch; NaN for heads that were not patched.
        approximate: integrated gradients of all heads.
        quality: how well the two agree for heads that were patched.
    """

    mode: PatchMode
    exact: HeadEffectArray
    approximate: HeadEffectArray
    quality: ApproximationQuality

    def summarise(self) -> tuple[str, pd.DataFrame]:
        """The mean exact effect of the patched heads, the strongest first."""
        mean = average_by(self.to_dataframe(), ["layer", "head"], "effect")
        strongest = mean.sort_values("effect", key=abs, ascending=False, kind="stable")
        return f"{self.mode!r}, logits, {len(self.exact)} traces; {self.quality.describe()}", strongest

    def to_dataframe(self) -> pd.DataFrame:
        """A table with one row for each trace and patched head. Columns: trace, layer, head, effect (logits)."""
        axes = [range(n) for n in self.exact.shape]
        index = pd.MultiIndex.from_product(axes, names=["trace", "layer", "head"])
        frame = pd.DataFrame({"effect": self.exact.ravel()}, index=index).dropna()
        return frame.reset_index()

    def rank_heads(self) -> pd.DataFrame:
        """All heads by their mean approximate effect, the strongest first. Columns: layer, head, approximate, exact.

        Raises:
            MeasureError: too many of the approximations have the wrong sign.
        """
        check_approximation(self.quality, "approximate effects of heads")
        mean = self.approximate.mean(0)
        index = pd.MultiIndex.from_product([range(n) for n in mean.shape], names=["layer", "head"])
        frame = pd.DataFrame({"approximate": mean.ravel(), "exact": self.exact.mean(0).ravel()}, index=index)
        return frame.sort_values("approximate", key=np.abs, ascending=False, kind="stable").reset_index()

    def bootstrap_ci(self, seed: int = 0) -> pd.DataFrame:
        """The mean exact effect of each patched head, with its 95 % interval over whole traces.

        Columns: layer, head, effect, low, high (logits), n, the number of traces, and reason, why there is no interval.

        Args:
            seed: the seed of the resampling of traces.

        Raises:
            MeasureError: there is only one trace.
        """
        known = np.argwhere(np.isfinite(self.exact).all(0))
        index = pd.MultiIndex.from_arrays(list(known.T), names=["layer", "head"])
        patched = self.exact[:, known[:, 0], known[:, 1]]
        return compute_trace_intervals(patched, index, "patches of heads", "logit_difference", seed)

    def plot(self) -> "Figure":
        """A heat map of mean exact effects, layers by heads; heads that were not patched are blank."""
        from faithlens.figures.internals import plot_head_heatmap  # plotly takes a second to import

        mean = self.exact.mean(0)
        return plot_head_heatmap(mean, [str(layer) for layer in range(len(mean))], "logit")


def head_effects(
    model: Model,
    clean: Conditions,
    donor: Conditions,
    mode: PatchMode = "noise",
    *,
    top: int = 10,
    n_checked: int = 20,
    midpoints: int = 5,
    seed: int = 0,
) -> HeadEffects:
    """Patch the output of single heads at the rows of the stem, the strongest `top` heads exactly.

    Returns effects of shape (trace, layer, head), in logits: the metric is the logit difference between the clean and
    the corrupted answer. Sources: activation patching, Heimersheim & Nanda 2024, arXiv 2404.15255; integrated
    gradients, Sundararajan et al. 2017, section 3.

    Args:
        model: the model.
        clean: the clean trace, or several.
        donor: the corrupted trace of each clean one, with the same token layout and another answer.
        mode: "noise" writes the corrupted run's outputs into the clean run, "denoise" the reverse.
        top: the number of heads that are patched because they are strongest.
        n_checked: the number of other heads, drawn at random, that are patched to check the approximation.
        midpoints: the number of points of the integrated gradients.
        seed: the seed of the draw.

    Raises:
        PlanError: an unknown mode, traces of different token layout, or pairs with the same answer.
    """
    check_mode(mode)
    work = [Experiment.from_pair(mode, *pair) for pair in pair_traces(clean, donor)]
    ends = run_together(model, [each for w in work for each in w.unedited_runs])
    pairs_of_records = [ends[2 * t : 2 * t + 2] for t in range(len(work))]
    approximate = np.stack(
        [
            approximate_effects(model, w, unedited, mode, midpoints)
            for w, unedited in zip(work, pairs_of_records, strict=True)
        ]
    )
    order = np.argsort(-np.abs(approximate.mean(0)), axis=None, kind="stable").tolist()
    rest = order[top:]
    chosen = order[:top] + random.Random(f"heads:{seed}").sample(rest, min(n_checked, len(rest)))
    places = [divmod(number, model.n_heads) for number in chosen]
    conditions = [replace(w.add_edits(make_head_patch(w, *place)), name="head") for w in work for place in places]
    records = iter(run_together(model, conditions))
    exact = np.full_like(approximate, np.nan)
    for t, (w, unedited) in enumerate(zip(work, pairs_of_records, strict=True)):
        metric = make_trace_metric("logit_difference", w, unedited)
        for layer, head in places:
            exact[t, layer, head] = metric.compute_effect(next(records), mode)
    return HeadEffects(mode, exact, approximate, assess_approximation(approximate, exact))


def make_head_patch(experiment: Experiment, layer: int, head: int) -> Patch:
    """The patch of one head at the rows of the stem."""
    return Patch("z", experiment.base.pieces[-1].name, experiment.source, layers=(layer,), heads=(head,))


def approximate_effects(
    model: Model, experiment: Experiment, unedited_records: Sequence[Record], mode: PatchMode, midpoints: int
) -> Float[np.ndarray, "layer head"]:
    """Integrated gradients of the effect of every head on one trace, in logits."""
    patches = [make_head_patch(experiment, *divmod(i, model.n_heads)) for i in range(model.n_layers * model.n_heads)]
    weights = make_attribution_weights(*unedited_records)
    effects = integrate_gradients(model, experiment, patches, midpoints, weights)
    signed = effects.numpy().astype(np.float64) * (1 if mode == "denoise" else -1)
    return signed.reshape(model.n_layers, model.n_heads)
