"""Layer by layer, do the states of the chain of thought matter more than as many states of the question?

1. Draw a span of the chain and a span of the question of equal length: the shorter of the two parts as a whole, and as
   many neighbouring tokens of the longer one. The first token, an attention sink, is left out.
2. In each layer, patch the residual stream at the one span, and in another run at the other span.
3. The contrast of the two effects is ``max(0, chain - question) / (|chain| + |question|)``.

For example, a prompt of 4 tokens and a chain of 5, so that 3 positions are compared::

    draw_equal_spans(trace, rng)                    chain (4, 7), (5, 8) or (6, 9); question (1, 4)
    effect of the chain 1.5, of the question 0.5    contrast (1.5 - 0.5) / (1.5 + 0.5) = 0.5
    effect of the chain 0.5, of the question 1.5    contrast 0: the answer bypasses the chain

After arXiv 2602.03994, whose closed formula could not be compared with this one.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from faithlens.effects.experiment import (
    Conditions,
    Experiment,
    check_metric,
    check_mode,
    make_trace_metric,
    pair_traces,
    run_together,
    select_layers,
)
from faithlens.effects.step_effects import Metric, PatchMode
from faithlens.measures.mediation import chain_contrast
from faithlens.model.model import Model
from faithlens.model.structure import Interval
from faithlens.plan.condition import Condition, Patch


def layer_effects(
    model: Model,
    clean: Conditions,
    donor: Conditions,
    mode: PatchMode = "noise",
    *,
    layers: Sequence[int] | None = None,
    metric: Metric = "logit_difference",
    seed: int = 0,
) -> pd.DataFrame:
    """Patch the chain of thought in one layer, and as many positions of the question, and compare the effects.

    Returns a table with one row for each trace and layer: `chain` and `question`, the effects in the unit of `metric`;
    `positions`, the number of tokens patched in each; and `cmi`, the contrast (`measures.mediation.chain_contrast`), 0
    to 1, which is low where the answer bypasses the chain. Source: arXiv 2602.03994.

    The donor must have another question. If the questions are equal, their states do not differ, and the contrast
    means nothing.

    Args:
        model: the model.
        clean: the clean trace, or several.
        donor: the corrupted trace of each clean one, with the same token layout and another answer.
        mode: "noise" writes the corrupted run's states into the clean run, "denoise" the reverse.
        layers: the layers; all layers by default.
        metric: "logit_difference", "probability" or "kl", as in `patch_effects`.
        seed: the seed of the draw of the spans.

    Raises:
        PlanError: an unknown mode, metric or layer, traces of different token layout, or pairs with the same
            answer.
    """
    check_mode(mode)
    check_metric(metric)
    work = [Experiment.from_pair(mode, *pair) for pair in pair_traces(clean, donor)]
    layers = select_layers(model, layers)
    drawn = [draw_equal_spans(w.clean, random.Random(f"layers:{seed}:{t}")) for t, w in enumerate(work)]
    conditions = [each for w in work for each in w.unedited_runs]
    for w, both in zip(work, drawn, strict=True):
        conditions += [patch_layer(w, where, layer) for layer in layers for where in both]
    records = iter(run_together(model, conditions))
    trace_metrics = [make_trace_metric(metric, w, [next(records) for _ in w.unedited_runs]) for w in work]
    rows: list[tuple[int, int, int, float, float, float]] = []
    for t, (trace_metric, (where, _)) in enumerate(zip(trace_metrics, drawn, strict=True)):
        for layer in layers:
            chain, question = (trace_metric.compute_effect(next(records), mode) for _ in range(2))
            rows.append((t, layer, where[1] - where[0], chain, question, chain_contrast(chain, question)))
    return pd.DataFrame(rows, columns=["trace", "layer", "positions", "chain", "question", "cmi"])


def draw_equal_spans(trace: Condition, rng: random.Random) -> tuple[Interval, Interval]:
    """Spans of equal length in the chain and in the question, without the first token."""
    end, stem = trace.spans[trace.pieces[0].name][1], trace.spans[trace.pieces[-1].name][0]
    n = min(end - 1, stem - end)
    starts = rng.randint(end, stem - n), rng.randint(1, end - n)
    return (starts[0], starts[0] + n), (starts[1], starts[1] + n)


def patch_layer(experiment: Experiment, where: Interval, layer: int) -> Condition:
    """The base run with the other run's residual stream before `layer` at `where`."""
    edited = experiment.add_edits(Patch("resid_pre", where, experiment.source, layers=(layer,)))
    return replace(edited, name=f"layer {layer}")
