"""The effects of patches by gradients: approximate in every cell, exact in the strongest ones.

1. Run the clean and the corrupted trace, and fix the logit difference between their answers.
2. Approximate the patch of every step in every layer. With ``midpoints=0`` one backward pass at the base run gives all
   cells: the gradient at the activations, times their difference from those of the other run (attribution patching,
   Nanda 2023). With more, the gradient is averaged over points between the two runs, layer by layer (integrated
   gradients).
3. Rank the cells by the absolute value of their approximate effect, averaged over traces.
4. Patch the `top` cells exactly, and `n_checked` others drawn at random. The random ones are needed: among the
   strongest approximations alone, a strong cell that the gradient misses would never be seen.
5. Compare both kinds of effect in the exact cells. Tables and pictures are refused if the signs disagree too often.

For example, a grid of 3 layers and 3 steps, with ``top=2`` and ``n_checked=1``::

    approximate           exact                   table
    2.0   0.1   0.0        1.5    -     -         1.5   ~0.1  ~0.0
    1.0  -0.2   0.1        1.1    -    0.1        1.1   ~-0.2  0.1
    0.3   0.0   0.0         -     -     -         ~0.3  ~0.0  ~0.0

    against 3 exact patches: rank correlation 1.00, same sign in 100%

An approximate effect is not an estimate with an interval: where the answer is a curved function of the activations, it
may be off by any factor. The agreement says how far it was off in the exact cells, and no more.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from faithlens.effects.approximation import assess_approximation
from faithlens.effects.experiment import (
    Conditions,
    Experiment,
    check_mode,
    pair_traces,
    run_together,
    select_layers,
    select_steps,
)
from faithlens.effects.integrated_gradients import attribute_at_base, integrate_gradients, make_attribution_weights
from faithlens.effects.step_effects import PatchMode, StepEffects
from faithlens.effects.steps import make_patches, measure_effects, patch_effects
from faithlens.model.model import Model
from faithlens.plan.checks import check_counts
from faithlens.plan.condition import Component, Patch
from faithlens.plan.sites import find_place


def adaptive_patch_effects(
    model: Model,
    clean: Conditions,
    donor: Conditions,
    site: str = "resid_pre",
    mode: PatchMode = "denoise",
    *,
    layers: Sequence[int] | None = None,
    steps: Sequence[str] | None = None,
    heads: tuple[int, ...] | None = None,
    top: int = 20,
    n_checked: int = 20,
    midpoints: int = 0,
    seed: int = 0,
) -> StepEffects:
    """Patch the activations of every step in every layer: approximately everywhere, exactly where it matters.

    Returns effects of shape (trace, layer, step), in logits: the metric is the logit difference between the clean and
    the corrupted answer. `is_exact` says which cells are exact patches, as in `patch_effects`. The other cells are
    gradients (attribution patching, Nanda 2023), which may be far off where the answer is no linear function of the
    activations. `quality` says how well gradients agree with the exact cells; tables and pictures are refused if fewer
    than 80 % of the signs agree. Then raise `midpoints`, or use `patch_effects`.

    Args:
        model: the model.
        clean: the clean trace, or several.
        donor: the corrupted trace of each clean one, with the same token layout and another answer.
        site: the component, by its short or its TransformerLens name ("resid_pre", "hook_z", "blocks.3.hook_mlp_out").
        mode: "denoise" writes clean activations into the corrupted run: are they sufficient? "noise" writes
            corrupted activations into the clean run: are they necessary?
        layers: the layers; all layers by default, or the one in the name of the site.
        steps: names of the steps; all steps by default.
        heads: for site "z", the heads; all heads by default.
        top: the number of cells with the strongest approximate effect that are patched exactly.
        n_checked: the number of other cells that are patched exactly, drawn at random.
        midpoints: 0 takes the gradient at the base run, in one backward pass for each trace. With more, it is averaged
            over so many points of the way to the other run, layer by layer; each costs a forward and a backward pass.
        seed: the seed of the draw of the checked cells.

    Raises:
        PlanError: an unknown site, layer, mode or step, a negative number, traces of different token layout, or pairs
            with the same answer.
        MeasureError: `top` and `n_checked` are both 0.
    """
    check_mode(mode)
    check_counts(top=top, n_checked=n_checked, midpoints=midpoints)
    component, layer_in_name = find_place(site, model)
    layers = select_layers(model, layers if layers is not None or layer_in_name is None else (layer_in_name,))
    work = [Experiment.from_pair(mode, *pair) for pair in pair_traces(clean, donor)]
    names = select_steps([w.clean for w in work], steps)
    approximate = approximate_effects(model, work, component, layers, names, heads, midpoints, mode)
    chosen = choose_cells(approximate, top, n_checked, seed)

    edit, what = make_patches(component, heads)
    exact = measure_effects(model, work, edit, what, mode, layers, names, "logit_difference", 0, seed, chosen=chosen)
    return replace(
        exact,
        effect=np.where(chosen, exact.effect, approximate),
        quality=assess_approximation(approximate, exact.effect),
        is_exact=chosen,
    )


def attribution_effects(
    model: Model,
    clean: Conditions,
    donor: Conditions,
    *,
    layer: int = 0,
    midpoints: int = 5,
    steps: Sequence[str] | None = None,
    mode: PatchMode = "denoise",
) -> StepEffects:
    """Integrated gradients of the residual stream at every step, compared with exact patches.

    All steps move together from the base run's stream before `layer` to the other run's. The effect of a step is the
    mean gradient over `midpoints` points of the way, times the difference of the two streams, summed over the step's
    tokens (Sundararajan et al. 2017, section 3). So the effects add up to the effect of patching all steps at once, up
    to the error of the midpoints.

    Returns effects of shape (trace, 1, step), in logits; `quality` says how well they agree with exact patches.

    Args:
        model: the model.
        clean: the clean trace, or several.
        donor: the corrupted trace of each clean one, with the same token layout and another answer.
        layer: the layer before which the stream is moved.
        midpoints: the number of points of the way; each costs a forward and a backward pass. 0 takes the gradient at
            the base run.
        steps: names of the steps; all steps by default.
        mode: "denoise" moves the corrupted run to the clean one, "noise" the clean run to the corrupted one.

    Raises:
        PlanError: an unknown mode, layer or step, a negative number, traces of different token layout, or pairs with
            the same answer.
    """
    check_mode(mode)
    check_counts(midpoints=midpoints)
    exact = patch_effects(model, clean, donor, "resid_pre", mode, layers=(layer,), steps=steps)
    work = [Experiment.from_pair(mode, *pair) for pair in pair_traces(clean, donor)]
    effect = approximate_effects(model, work, "resid_pre", (layer,), exact.steps, None, midpoints, mode)
    return replace(
        exact,
        edit_name=f"integrated gradients, {midpoints} midpoints",
        effect=effect,
        quality=assess_approximation(effect, exact.effect),
        is_exact=np.zeros(effect.shape[1:], bool),
    )


def approximate_effects(
    model: Model,
    experiments: Sequence[Experiment],
    component: Component,
    layers: Sequence[int],
    steps: Sequence[str],
    heads: tuple[int, ...] | None,
    midpoints: int,
    mode: PatchMode,
) -> Float[np.ndarray, "trace layer step"]:
    """The gradients' effects of patching each step in each layer, in logits; NaN where a trace has no such step."""
    out = np.full((len(experiments), len(layers), len(steps)), np.nan)
    ends = run_together(model, [each for w in experiments for each in w.unedited_runs])
    for t, w in enumerate(experiments):
        weights = make_attribution_weights(*ends[2 * t : 2 * t + 2])
        there = [s for s, name in enumerate(steps) if name in w.base.spans]
        names = [steps[s] for s in there]
        if midpoints == 0:
            out[t][:, there] = attribute_at_base(model, w, component, layers, names, weights, heads).numpy()
            continue
        for i, layer in enumerate(layers):
            patches = [Patch(component, name, w.source, layers=(layer,), heads=heads) for name in names]
            out[t, i, there] = integrate_gradients(model, w, patches, midpoints, weights).numpy()
    return out if mode == "denoise" else -out


def choose_cells(
    approximate: Float[np.ndarray, "trace layer step"], top: int, n_checked: int, seed: int
) -> Bool[np.ndarray, "layer step"]:
    """The `top` cells with the largest mean absolute effect over traces, and `n_checked` others drawn at random."""
    strength = np.nan_to_num(np.abs(approximate)).sum(0) / np.maximum(1, np.isfinite(approximate).sum(0))
    order = np.argsort(-strength, axis=None, kind="stable").tolist()
    rest = order[top:]
    drawn = random.Random(f"cells:{seed}").sample(rest, min(n_checked, len(rest)))
    chosen = np.zeros(strength.shape, dtype=np.bool_)
    chosen.flat[[*order[:top], *drawn]] = True
    return chosen
