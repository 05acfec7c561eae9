"""Integrated gradients (Sundararajan et al. 2017, section 3): the effects of many patches from a few gradients.

1. Divide the way from the base run to the other run into equal parts, and move the base run to the midpoint of each
   part, with all patches at once.
2. At each midpoint, take the gradient of a weighted sum of the options' log-probabilities at each patch, times the
   difference of the two runs there (`Capture.attribution`).
3. The effect of a patch is the mean over the midpoints. The effects add up to the effect of all patches together, up to
   the error of the midpoints.

For example, with 2 midpoints each patch has the amounts 0.25 and 0.75, which are two conditions.

`attribute_at_base` stays at the amount 0, where patches change nothing. So the patches of all layers can be made in one
condition, and one backward pass gives the whole grid (attribution patching, Nanda 2023). It is cheaper and less exact.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from faithlens.effects.experiment import Experiment
from faithlens.execution.execute import execute
from faithlens.measures.answers import choose_option
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record
from faithlens.plan.condition import Component, Patch
from faithlens.plan.memory import plan_passes


def make_attribution_weights(clean: Record, corrupted: Record) -> tuple[float, ...]:
    """The weights of the options in the logit difference between the clean and the corrupted answer."""
    weights = [0.0] * len(clean.logprobs)
    weights[choose_option(clean.logprobs)] += 1.0
    weights[choose_option(corrupted.logprobs)] -= 1.0
    return tuple(weights)


def integrate_gradients(
    model: Model, experiment: Experiment, patches: Sequence[Patch], midpoints: int, weights: tuple[float, ...]
) -> Float[Tensor, " patch"]:
    """The approximate effect of each patch, in logits, on the way from the base run to the other run.

    Args:
        model: the model.
        experiment: the runs.
        patches: patches of the base run by the other run, all of them made together.
        midpoints: the number of points of the way; each costs a forward and a backward pass.
        weights: the weight of each option (`make_attribution_weights`).
    """
    way = [[replace(patch, amount=(i + 0.5) / midpoints) for patch in patches] for i in range(midpoints)]
    conditions = [experiment.add_edits(*moved) for moved in way]
    records = execute(model, plan_passes(model, conditions), Capture(attribution=weights))
    scores = [
        torch.stack([record.attribution[patch].sum() for patch in moved])
        for moved, record in zip(way, records, strict=True)
    ]
    return torch.stack(scores).mean(0)


def attribute_at_base(
    model: Model,
    experiment: Experiment,
    component: Component,
    layers: Sequence[int],
    steps: Sequence[str],
    weights: tuple[float, ...],
    heads: tuple[int, ...] | None = None,
) -> Float[Tensor, "layer step"]:
    """The gradient at the base run times the way to the other run, in logits, of all layers in one backward pass.

    Args:
        model: the model.
        experiment: the runs.
        component: what is patched.
        layers: the layers.
        steps: the names of the steps; the base run has all of them.
        weights: the weight of each option (`make_attribution_weights`).
        heads: for the component "z", the heads; all by default.
    """
    spans = [experiment.base.spans[name] for name in steps]
    first, last = min(start for start, _ in spans), max(stop for _, stop in spans)
    patches = [
        Patch(component, (first, last), experiment.source, layers=(layer,), heads=heads, amount=0.0) for layer in layers
    ]
    [record] = execute(model, plan_passes(model, [experiment.add_edits(*patches)]), Capture(attribution=weights))
    scores = torch.stack([record.attribution[patch] for patch in patches])
    return torch.stack([scores[:, start - first : stop - first].sum(1) for start, stop in spans], 1)
