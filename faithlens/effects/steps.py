"""Patching, knocking out, splicing and attributing every step."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import torch

from faithlens.effects.experiment import (
    Conditions,
    Experiment,
    draw_control_span,
    list_traces,
    make_trace_metric,
    pair_traces,
    replace_words,
    run_together,
    select_steps,
)
from faithlens.effects.step_effects import Direction, Metric, StepEffects, assess_approximation
from faithlens.errors import PlanError, suggest_names
from faithlens.execution.execute import execute
from faithlens.measures.answers import choose_option
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record
from faithlens.plan.condition import Condition, Edit, KeyValuePatch, Knockout, Patch, Span
from faithlens.plan.memory import plan_passes
from faithlens.plan.sites import find_place

ConditionMaker = Callable[[Experiment, Span, int | None], Condition]  # a run edited at a place, in a layer or in all


def patch_effects(
    model: Model,
    clean: Conditions,
    donor: Conditions,
    site: str = "resid_pre",
    direction: Direction = "denoise",
    *,
    layers: Sequence[int] | None = None,
    steps: Sequence[str] | None = None,
    heads: tuple[int, ...] | None = None,
    metric: Metric = "logit_difference",
    controls: int = 0,
    seed: int = 0,
) -> StepEffects:
    """Exact activation patching of every step in every layer (measures M14, M16).

    Args:
        model: the model.
        clean, donor: the clean and the corrupted trace, or as many of each.
        site: a component, by its own name or TransformerLens' ("resid_pre", "hook_z", "blocks.3.hook_mlp_out").
        direction: "denoise" or "noise".
        layers, steps: which; all by default.
        heads: of "z", which heads; all by default.
        metric: "logit_difference" (the clean answer ahead of the corrupted one), "probability" of the clean answer, or
            "kl", minus the divergence from the clean answer distribution.
        controls: random stretches a cell, of as many tokens, whose mean effect is the null. Each costs as much again.
        seed: of these stretches.

    Raises:
        PlanError: the traces do not match in tokens, answer alike, or lack what is named.
    """
    component, named = find_place(site, model)
    chosen = tuple(layers if layers is not None else range(model.n_layers) if named is None else (named,))
    pairs = pair_traces(clean, donor)
    work = [Experiment.from_pair(direction, *pair) for pair in pairs]

    def edit(w: Experiment, span: Span, layer: int | None) -> Condition:
        assert layer is not None
        return add_edit(w.base, Patch(component, span, w.source, layers=(layer,), heads=heads))

    what = f"patch of {component}" + (f", heads {', '.join(map(str, heads))}" if heads else "")
    return measure_effects(model, work, edit, what, direction, chosen, steps, metric, controls, seed)


def swap_effects(
    model: Model,
    clean: Conditions,
    donor: Conditions,
    direction: Direction = "noise",
    *,
    steps: Sequence[str] | None = None,
    metric: Metric = "logit_difference",
    controls: int = 2,
    seed: int = 0,
) -> StepEffects:
    """Exchange the words of a step for the donor's, all other words fixed.

    "noise" puts the donor's step into the clean trace: is what this step says needed (M4)? "denoise" puts the clean
    step into the donor's trace: does it suffice where all else is corrupted (M5)? A step whose value is stated twice
    shows in the second only. In absolute value their mean is the true-thinking score of arXiv 2510.24941.

    Raises:
        PlanError: the traces do not match in tokens, or answer alike.
    """

    def edit(w: Experiment, span: Span, layer: int | None) -> Condition:
        return replace_words(w.base, w.source, span)

    work = [Experiment.from_pair(direction, *pair) for pair in pair_traces(clean, donor)]
    return measure_effects(model, work, edit, "swap of words", direction, (None,), steps, metric, controls, seed)


def knockout_effects(
    model: Model,
    clean: Conditions,
    *,
    steps: Sequence[str] | None = None,
    metric: Metric = "logit_difference",
    controls: int = 2,
    seed: int = 0,
) -> StepEffects:
    """Fall of the metric when the answer rows cannot see a step, in any layer (M8; Geva et al. 2023).

    The logit difference is that to the next likely option. `controls` random stretches of as many tokens are the null.
    Among `steps` the prompt may be named too (M9).
    """
    work = [Experiment(one, one, None) for one in list_traces(clean)]

    def edit(w: Experiment, span: Span, layer: int | None) -> Condition:
        return add_edit(w.base, Knockout(w.base.pieces[-1].name, (span,)))

    return measure_effects(model, work, edit, "knockout", None, (None,), steps, metric, controls, seed)


def key_value_effects(
    model: Model,
    clean: Conditions,
    donor: Conditions,
    *,
    steps: Sequence[str] | None = None,
    metric: Metric = "logit_difference",
    controls: int = 2,
    seed: int = 0,
) -> StepEffects:
    """Fall of the metric when the answer rows read the donor's keys and values of a step (M6).

    Raises:
        PlanError: the traces do not match in tokens, or answer alike.
    """

    def edit(w: Experiment, span: Span, layer: int | None) -> Condition:
        return add_edit(w.base, KeyValuePatch(w.base.pieces[-1].name, span, w.source))

    work = [Experiment(one, one, other) for one, other in pair_traces(clean, donor)]
    return measure_effects(model, work, edit, "splice", None, (None,), steps, metric, controls, seed)


def attribution_effects(
    model: Model,
    clean: Conditions,
    donor: Conditions,
    *,
    layer: int = 0,
    midpoints: int = 5,
    steps: Sequence[str] | None = None,
    direction: Direction = "denoise",
) -> StepEffects:
    """Integrated gradients of every step's residual stream, audited against exact patching (M13, M22).

    All steps move together from the run's own stream before `layer` to the other's; each is given its tokens' mean
    gradient over `midpoints` times the way (Sundararajan et al. 2017, section 3). So effects add up to that of patching
    all steps at once. The metric is the logit difference.

    Raises:
        PlanError: the traces do not match in tokens, or answer alike.
    """
    exact = patch_effects(model, clean, donor, "resid_pre", direction, layers=(layer,), steps=steps)
    work = [Experiment.from_pair(direction, *pair) for pair in pair_traces(clean, donor)]
    records = run_together(model, [each for w in work for each in w.unedited_runs])
    effect = np.full_like(exact.effect, np.nan)
    for t, w in enumerate(work):
        weights = make_attribution_weights(*records[2 * t : 2 * t + 2])
        names = [name for name in exact.steps if name in w.base.spans]
        effect[t, 0, [exact.steps.index(name) for name in names]] = integrate_gradients(
            model, w, names, layer, midpoints, weights
        )
    effect *= 1 if direction == "denoise" else -1
    return replace(
        exact,
        edit_name=f"integrated gradients, {midpoints} midpoints",
        effect=effect,
        quality=assess_approximation(effect, exact.effect),
    )


def make_attribution_weights(clean: Record, corrupted: Record) -> tuple[float, ...]:
    """The weights of the options in the logit difference between two runs' answers."""
    weights = [0.0] * len(clean.logprobs)
    weights[choose_option(clean.logprobs)] += 1.0
    weights[choose_option(corrupted.logprobs)] -= 1.0
    return tuple(weights)


def integrate_gradients(
    model: Model, experiment: Experiment, names: Sequence[str], layer: int, midpoints: int, weights: tuple[float, ...]
) -> list[float]:
    """Integrated gradients of each step on the way of one run to the other."""
    amounts = (np.arange(midpoints) + 0.5) / midpoints
    way = [
        [Patch("resid_pre", name, experiment.source, (layer,), amount=amount) for name in names] for amount in amounts
    ]
    conditions = [replace(experiment.base, edits=(*experiment.base.edits, *patches)) for patches in way]
    found = execute(model, plan_passes(model, conditions), Capture(attribution=weights))
    scores = [
        [record.attribution[patch].sum() for patch in patches] for patches, record in zip(way, found, strict=True)
    ]
    return torch.tensor(scores).mean(0).tolist()


def measure_effects(
    model: Model,
    experiments: Sequence[Experiment],
    make_condition: ConditionMaker,
    edit_name: str,
    direction: Direction | None,
    layers: Sequence[int | None],
    steps: Sequence[str] | None,
    metric: Metric,
    controls: int,
    seed: int,
) -> StepEffects:
    """Run every edit of every trace and read the metric off them.

    Raises:
        PlanError: a metric or step that does not exist, or runs between which there is nothing.
    """
    if metric not in get_args(Metric):
        raise PlanError(f"the metric {metric!r}", "no metric of that name", suggest_names(metric, get_args(Metric)))
    names = select_steps([w.clean for w in experiments], steps)
    asked = [condition for w in experiments for condition in w.unedited_runs]
    cells: dict[tuple[int, int, int], range] = {}  # trace, layer, step: where the edit lies, and its controls after it
    for t, w in enumerate(experiments):
        for s, name in enumerate(names):
            if name not in w.base.spans:
                continue
            rng = random.Random(f"{edit_name}:{seed}:{t}:{name}")
            spans: list[Span] = [name, *(draw_control_span(w.base, name, rng) for _ in range(controls))]
            for i, layer in enumerate(layers):
                cells[t, i, s] = range(len(asked), len(asked) + len(spans))
                asked += [replace(make_condition(w, span, layer), name=edit_name) for span in spans]
    records = run_together(model, asked)
    ends = iter(records)
    sticks = [make_trace_metric(metric, w, [next(ends) for _ in w.unedited_runs]) for w in experiments]
    clean = np.array([stick.clean for stick in sticks])
    corrupted = np.array([stick.corrupted for stick in sticks])
    effect, null = (np.full((len(experiments), len(layers), len(names)), np.nan) for _ in range(2))
    for (t, i, s), places in cells.items():
        own, *others = (sticks[t].compute_effect(records[n], direction) for n in places)
        effect[t, i, s], null[t, i, s] = own, np.mean(others) if others else np.nan
    labels = tuple("all" if layer is None else str(layer) for layer in layers)
    return StepEffects(edit_name, direction, metric, labels, tuple(names), clean, corrupted, effect, null, seed)


def add_edit(base: Condition, edit: Edit) -> Condition:
    """A run with one more edit."""
    return replace(base, edits=(*base.edits, edit))
