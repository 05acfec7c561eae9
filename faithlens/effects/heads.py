"""Which heads bring the chain of thought to the answer: all approximately, the strongest exactly."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from faithlens.effects.experiment import Conditions, Experiment, make_trace_metric, pair_traces, run_together
from faithlens.effects.step_effects import (
    ApproximationQuality,
    Direction,
    assess_approximation,
    check_approximation,
    compute_trace_intervals,
)
from faithlens.effects.steps import make_attribution_weights
from faithlens.execution.execute import execute
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record
from faithlens.plan.condition import Condition, Patch
from faithlens.plan.memory import plan_passes

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HeadEffectArray = Float[np.ndarray, "trace layer head"]


@dataclass(frozen=True, eq=False)
class HeadEffects:
    """Effects, in logits, of patching single heads at the answer rows.

    Attributes:
        direction: of the patches.
        exact: the effect of the patch itself; NaN for heads that were not patched.
        approximate: integrated gradients, of all heads.
        quality: how the two agree where both are known.
    """

    direction: Direction
    exact: HeadEffectArray
    approximate: HeadEffectArray
    quality: ApproximationQuality

    def to_dataframe(self) -> pd.DataFrame:
        """A row a trace and head that was patched."""
        axes = [range(n) for n in self.exact.shape]
        index = pd.MultiIndex.from_product(axes, names=["trace", "layer", "head"])
        frame = pd.DataFrame({"effect": self.exact.ravel()}, index=index).dropna()
        return frame.reset_index()

    def rank_heads(self) -> pd.DataFrame:
        """All heads by their mean approximate effect, the strongest first.

        Raises:
            MeasureError: the approximations too often have the wrong sign.
        """
        check_approximation(self.quality, "approximate effects of heads")
        mean = self.approximate.mean(0)
        index = pd.MultiIndex.from_product([range(n) for n in mean.shape], names=["layer", "head"])
        frame = pd.DataFrame({"approximate": mean.ravel(), "exact": self.exact.mean(0).ravel()}, index=index)
        return frame.sort_values("approximate", key=np.abs, ascending=False, kind="stable").reset_index()

    def bootstrap_ci(self, seed: int = 0) -> pd.DataFrame:
        """Mean exact effect of each patched head with its 95 % interval, whole traces resampled.

        Raises:
            MeasureError: there is one trace only, which has no spread.
        """
        known = np.argwhere(np.isfinite(self.exact).all(0))
        index = pd.MultiIndex.from_arrays(list(known.T), names=["layer", "head"])
        return compute_trace_intervals(self.exact[:, known[:, 0], known[:, 1]], index, "patches of heads", seed)

    def plot(self) -> "Figure":
        """Mean exact effects, a heat map of layers by heads; heads that were not patched are left out."""
        from faithlens.figures.internals import plot_head_heatmap  # plotly takes a second to import

        mean = self.exact.mean(0)
        return plot_head_heatmap(mean, [str(layer) for layer in range(len(mean))], "logit")


def head_effects(
    model: Model,
    clean: Conditions,
    donor: Conditions,
    direction: Direction = "noise",
    *,
    top: int = 10,
    n_checked: int = 20,
    midpoints: int = 5,
    seed: int = 0,
) -> HeadEffects:
    """Patch the output of heads at the stem's rows, the strongest `top` of them exactly (M16).

    Integrated gradients, with all heads on their way to the donor's outputs together, find the strongest. These and
    `n_checked` others, drawn at random, are patched one by one, which audits the approximation (M22). The metric is the
    logit difference between the clean answer and the donor's.

    Raises:
        PlanError: the traces do not match in tokens, or answer alike.
    """
    work = [Experiment.from_pair(direction, *pair) for pair in pair_traces(clean, donor)]
    ends = run_together(model, [each for w in work for each in w.unedited_runs])
    couples = [ends[2 * t : 2 * t + 2] for t in range(len(work))]
    approximate = np.stack(
        [approximate_effects(model, w, couple, direction, midpoints) for w, couple in zip(work, couples, strict=True)]
    )
    order = np.argsort(-np.abs(approximate.mean(0)), axis=None, kind="stable").tolist()
    rest = order[top:]
    chosen = order[:top] + random.Random(f"heads:{seed}").sample(rest, min(n_checked, len(rest)))
    places = [divmod(number, model.n_heads) for number in chosen]
    asked = [
        replace(w.base, name="head", edits=(*w.base.edits, make_head_patch(w, *place)))
        for w in work
        for place in places
    ]
    records = iter(run_together(model, asked))
    exact = np.full_like(approximate, np.nan)
    for t, (w, couple) in enumerate(zip(work, couples, strict=True)):
        stick = make_trace_metric("logit_difference", w, couple)
        for layer, head in places:
            exact[t, layer, head] = stick.compute_effect(next(records), direction)
    return HeadEffects(direction, exact, approximate, assess_approximation(approximate, exact))


def make_head_patch(experiment: Experiment, layer: int, head: int, amount: float = 1.0) -> Patch:
    """The patch of one head at the stem's rows."""
    return Patch("z", experiment.base.pieces[-1].name, experiment.source, layers=(layer,), heads=(head,), amount=amount)


def approximate_effects(
    model: Model, experiment: Experiment, unedited_records: Sequence[Record], direction: Direction, midpoints: int
) -> Float[np.ndarray, "layer head"]:
    """Integrated gradients of every head's effect on one trace."""
    heads = [(layer, head) for layer in range(model.n_layers) for head in range(model.n_heads)]

    def part_way(amount: float) -> Condition:
        return replace(
            experiment.base,
            name="heads",
            edits=(*experiment.base.edits, *(make_head_patch(experiment, *place, amount) for place in heads)),
        )

    way = [part_way((i + 0.5) / midpoints) for i in range(midpoints)]
    scores = []
    for record in execute(
        model, plan_passes(model, way), Capture(attribution=make_attribution_weights(*unedited_records))
    ):
        own = [edit for edit in record.condition.edits if isinstance(edit, Patch)][-len(heads) :]
        scores.append(torch.stack([record.attribution[edit].sum() for edit in own]))
    mean = torch.stack(scores).mean(0).reshape(model.n_layers, model.n_heads).numpy()
    return mean.astype(np.float64) * (1 if direction == "denoise" else -1)
