"""What does each step do to the answer? Every step is edited in turn, and the answer is read again.

1. Run the clean trace and, if there is one, the corrupted trace without edits.
2. For each step (and layer), run the trace with one edit: a patch, a swap of words, a knockout or a key-value patch.
3. For each control, run the same edit at a random span of as many tokens anywhere before the stem.
4. The effect is how far the edit moves the metric; the mean over the controls is the null.

All runs of steps 1 to 3 share packed passes. Nothing is generated again: all other tokens stay as they are.

For example, `knockout_effects` of a trace with two steps and `controls=1` runs five conditions::

    clean                metric 2.0
    step 0 hidden        metric 1.9    effect 0.1
    random span hidden   metric 1.7    null   0.3
    step 1 hidden        metric 0.5    effect 1.5
    random span hidden   metric 1.8    null   0.2

`attribution` approximates the effects of patches by gradients, and compares them with exact ones.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from faithlens.effects.experiment import (
    Conditions,
    Experiment,
    check_metric,
    check_mode,
    list_traces,
    make_trace_metric,
    pair_traces,
    replace_words,
    run_together,
    select_layers,
    select_steps,
)
from faithlens.effects.step_effects import Metric, PatchMode, StepEffects
from faithlens.interventions.control_span import draw_control_span
from faithlens.model.model import Model
from faithlens.plan.condition import Component, Condition, KeyValuePatch, Knockout, Patch, Span
from faithlens.plan.sites import find_place

ConditionMaker = Callable[[Experiment, Span, int | None], Condition]
"""Makes the base run with an edit at a span, in one layer or, for None, in all layers."""


def patch_effects(
    model: Model,
    clean: Conditions,
    donor: Conditions,
    site: str = "resid_pre",
    mode: PatchMode = "denoise",
    *,
    layers: Sequence[int] | None = None,
    steps: Sequence[str] | None = None,
    heads: tuple[int, ...] | None = None,
    metric: Metric = "logit_difference",
    controls: int = 0,
    seed: int = 0,
) -> StepEffects:
    """Patch the activations of every step in every layer (Heimersheim & Nanda 2024, arXiv 2404.15255).

    Returns effects of shape (trace, layer, step), in the unit of `metric`.

    Args:
        model: the model.
        clean: the clean trace, or several.
        donor: the corrupted trace of each clean one, with the same token layout and another answer.
        site: the component, by its short or its TransformerLens name ("resid_pre", "hook_z", "blocks.3.hook_mlp_out").
        mode: "denoise" writes clean activations into the corrupted run: are they sufficient? "noise" writes
            corrupted activations into the clean run: are they necessary?
        layers: the layers; all layers by default, or the one in the name of the site.
        heads: for site "z", the heads; all heads by default.
        steps: names of the steps; all steps by default.
        metric: "logit_difference" (the clean answer's log-probability minus the corrupted answer's, in logits),
            "probability" of the clean answer, or "kl", minus the divergence from the clean run's answers, in nats.
        controls: the number of random spans for each cell, whose mean effect is the null. Each costs as much as the
            cell.
        seed: the seed of the random spans.

    Raises:
        PlanError: an unknown site, layer, mode, metric or step, traces of different token layout, or pairs with
            the same answer.
    """
    check_mode(mode)
    check_metric(metric)
    component, layer_in_name = find_place(site, model)
    layers = select_layers(model, layers if layers is not None or layer_in_name is None else (layer_in_name,))
    pairs = pair_traces(clean, donor)
    work = [Experiment.from_pair(mode, *pair) for pair in pairs]

    edit, what = make_patches(component, heads)
    return measure_effects(model, work, edit, what, mode, layers, steps, metric, controls, seed)


def make_patches(component: Component, heads: tuple[int, ...] | None) -> tuple[ConditionMaker, str]:
    """The patch of a span in one layer, which writes what the other run has there, and its name in tables."""

    def patch(w: Experiment, span: Span, layer: int | None) -> Condition:
        assert layer is not None
        return w.add_edits(Patch(component, span, w.source, layers=(layer,), heads=heads))

    return patch, f"patch of {component}" + (f", heads {', '.join(map(str, heads))}" if heads else "")


def swap_effects(
    model: Model,
    clean: Conditions,
    donor: Conditions,
    mode: PatchMode = "noise",
    *,
    steps: Sequence[str] | None = None,
    metric: Metric = "logit_difference",
    controls: int = 2,
    seed: int = 0,
) -> StepEffects:
    """Exchange the words of each step for the donor's; all other words stay.

    Returns effects of shape (trace, 1, step), in the unit of `metric`. The mean absolute effect of both modes is
    the true-thinking score of arXiv 2510.24941.

    Args:
        model: the model.
        clean: the clean trace, or several.
        donor: the corrupted trace of each clean one, with the same token layout and another answer.
        mode: "noise" puts the donor's step into the clean trace: is what the step says necessary? "denoise" puts
            the clean step into the donor's trace: is it sufficient when all else is corrupted? A step whose value is
            stated twice has an effect in the second mode only.
        steps: names of the steps; all steps by default.
        metric: "logit_difference" (the clean answer's log-probability minus the corrupted answer's, in logits),
            "probability" of the clean answer, or "kl", minus the divergence from the clean run's answers, in nats.
        controls: the number of random spans for each cell, whose mean effect is the null. Each costs as much as the
            cell.
        seed: the seed of the random spans.

    Raises:
        PlanError: an unknown mode, metric or step, traces of different token layout, or pairs with the same
            answer.
    """
    check_mode(mode)
    check_metric(metric)

    def edit(w: Experiment, span: Span, layer: int | None) -> Condition:
        return replace_words(w.base, w.source, span)

    work = [Experiment.from_pair(mode, *pair) for pair in pair_traces(clean, donor)]
    return measure_effects(model, work, edit, "swap of words", mode, (None,), steps, metric, controls, seed)


def knockout_effects(
    model: Model,
    clean: Conditions,
    *,
    steps: Sequence[str] | None = None,
    metric: Metric = "logit_difference",
    controls: int = 2,
    seed: int = 0,
) -> StepEffects:
    """Hide each step from the answer rows in all layers (Geva et al. 2023, arXiv 2304.14767, section 3).

    Returns effects of shape (trace, 1, step): the fall of the metric, in its unit. The foil of the logit difference is
    the second answer of the clean run. `steps` may name the prompt too.

    Args:
        model: the model.
        clean: the trace, or several.
        steps: names of the steps; all steps by default.
        metric: "logit_difference" (the clean answer's log-probability minus the second answer's, in logits),
            "probability" of the clean answer, or "kl", minus the divergence from the clean run's answers, in nats.
        controls: the number of random spans for each cell, whose mean effect is the null. Each costs as much as the
            cell.
        seed: the seed of the random spans.

    Raises:
        PlanError: an unknown metric or step.
    """
    check_metric(metric)
    work = [Experiment(one, one, None) for one in list_traces(clean)]

    def edit(w: Experiment, span: Span, layer: int | None) -> Condition:
        return w.add_edits(Knockout(w.base.pieces[-1].name, (span,)))

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
    """Let the answer rows read the donor's keys and values at each step; the words stay.

    Returns effects of shape (trace, 1, step): the fall of the metric, in its unit.

    Args:
        model: the model.
        clean: the clean trace, or several.
        donor: the corrupted trace of each clean one, with the same token layout and another answer.
        steps: names of the steps; all steps by default.
        metric: "logit_difference" (the clean answer's log-probability minus the corrupted answer's, in logits),
            "probability" of the clean answer, or "kl", minus the divergence from the clean run's answers, in nats.
        controls: the number of random spans for each cell, whose mean effect is the null. Each costs as much as the
            cell.
        seed: the seed of the random spans.

    Raises:
        PlanError: an unknown metric or step, traces of different token layout, or pairs with the same answer.
    """
    check_metric(metric)

    def edit(w: Experiment, span: Span, layer: int | None) -> Condition:
        return w.add_edits(KeyValuePatch(w.base.pieces[-1].name, span, w.source))

    work = [Experiment(one, one, other) for one, other in pair_traces(clean, donor)]
    return measure_effects(model, work, edit, "splice", None, (None,), steps, metric, controls, seed)


def measure_effects(
    model: Model,
    experiments: Sequence[Experiment],
    make_condition: ConditionMaker,
    edit_name: str,
    mode: PatchMode | None,
    layers: Sequence[int | None],
    steps: Sequence[str] | None,
    metric: Metric,
    controls: int,
    seed: int,
    chosen: Bool[np.ndarray, "layer step"] | None = None,
) -> StepEffects:
    """Run every edit of every trace, and compare the metric with that of the unedited runs.

    Args:
        model: the model.
        experiments: one for each trace.
        make_condition: makes the edited run of an experiment, from a span and a layer (None: all layers).
        edit_name: the name of the edit. The seeds of the random spans contain it.
        mode: the mode of patches and swaps; None for edits that only take something away.
        layers: the layers of the edits; (None,) for edits in all layers at once.
        steps: names of the steps; None for all.
        metric: the metric of the answer.
        controls: the number of random spans for each cell.
        seed: the seed of the random spans.
        chosen: the cells that are run; all by default. The others are NaN.

    Raises:
        PlanError: an unknown step, or a pair with the same answer.
    """
    names = select_steps([w.clean for w in experiments], steps)
    conditions = [condition for w in experiments for condition in w.unedited_runs]
    cells: dict[tuple[int, int, int], range] = {}  # (trace, layer, step): the runs of the step and its controls
    for t, w in enumerate(experiments):
        for s, name in enumerate(names):
            if name not in w.base.spans:
                continue
            rng = random.Random(f"{edit_name}:{seed}:{t}:{name}")
            (start, stop), (stem, _) = w.base.spans[name], w.base.spans[w.base.pieces[-1].name]
            spans: list[Span] = [name, *(draw_control_span(stem, stop - start, rng) for _ in range(controls))]
            for i, layer in enumerate(layers):
                if chosen is not None and not chosen[i, s]:
                    continue
                cells[t, i, s] = range(len(conditions), len(conditions) + len(spans))
                conditions += [replace(make_condition(w, span, layer), name=edit_name) for span in spans]
    records = run_together(model, conditions)
    ends = iter(records)
    metrics = [make_trace_metric(metric, w, [next(ends) for _ in w.unedited_runs]) for w in experiments]
    clean = np.array([trace_metric.clean for trace_metric in metrics])
    corrupted = np.array([trace_metric.corrupted for trace_metric in metrics])
    effect, null = (np.full((len(experiments), len(layers), len(names)), np.nan) for _ in range(2))
    for (t, i, s), places in cells.items():
        own, *others = (metrics[t].compute_effect(records[n], mode) for n in places)
        effect[t, i, s], null[t, i, s] = own, np.mean(others) if others else np.nan
    labels = tuple("all" if layer is None else str(layer) for layer in layers)
    return StepEffects(edit_name, mode, metric, labels, tuple(names), clean, corrupted, effect, null, seed)
