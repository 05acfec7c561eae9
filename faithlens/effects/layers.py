"""Layer by layer, do the states of the chain of thought matter more than as many states of the question?"""

import random
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from faithlens.effects.experiment import Conditions, Experiment, make_trace_metric, pair_traces, run_together
from faithlens.effects.step_effects import Direction, Metric
from faithlens.effects.steps import add_edit
from faithlens.measures.mediation import chain_contrast
from faithlens.model.model import Model
from faithlens.model.structure import Interval
from faithlens.plan.condition import Condition, Patch


def layer_effects(
    model: Model,
    clean: Conditions,
    donor: Conditions,
    direction: Direction = "noise",
    *,
    layers: Sequence[int] | None = None,
    metric: Metric = "logit_difference",
    seed: int = 0,
) -> pd.DataFrame:
    """Patches of the chain of thought in one layer against those of as many positions of the question (M15).

    A row a trace and layer: `chain` and `question`, the effects; `positions`, how many of each; `cmi`, their contrast
    (see `measures.mediation.contrast`), which is low where the answer bypasses the chain. After arXiv 2602.03994, whose
    own closed formula could not be checked. Of the longer, a stretch as long as the other is drawn, by `seed`. Donors
    ask another question: where question and donor's are one, its states do not differ, and the contrast says nothing.

    Raises:
        PlanError: the traces do not match in tokens, or answer alike.
    """
    work = [Experiment.from_pair(direction, *pair) for pair in pair_traces(clean, donor)]
    chosen = tuple(range(model.n_layers) if layers is None else layers)
    drawn = [draw_equal_spans(w.clean, random.Random(f"layers:{seed}:{t}")) for t, w in enumerate(work)]
    asked = [each for w in work for each in w.unedited_runs]
    for w, both in zip(work, drawn, strict=True):
        asked += [patch_layer(w, where, layer) for layer in chosen for where in both]
    records = iter(run_together(model, asked))
    sticks = [make_trace_metric(metric, w, [next(records) for _ in w.unedited_runs]) for w in work]
    rows = []
    for t, (stick, (where, _)) in enumerate(zip(sticks, drawn, strict=True)):
        for layer in chosen:
            chain, question = (stick.compute_effect(next(records), direction) for _ in range(2))
            rows.append((t, layer, where[1] - where[0], chain, question, chain_contrast(chain, question)))
    return pd.DataFrame(rows, columns=["trace", "layer", "positions", "chain", "question", "cmi"])


def draw_equal_spans(trace: Condition, rng: random.Random) -> tuple[Interval, Interval]:
    """A stretch of the chain as long as one of the question, whose first token, an attention sink, is left out."""
    end, stem = trace.spans[trace.pieces[0].name][1], trace.spans[trace.pieces[-1].name][0]
    n = min(end - 1, stem - end)
    starts = rng.randint(end, stem - n), rng.randint(1, end - n)
    return (starts[0], starts[0] + n), (starts[1], starts[1] + n)


def patch_layer(experiment: Experiment, where: Interval, layer: int) -> Condition:
    """A run with the other's residual stream before `layer` at `where`."""
    return add_edit(
        replace(experiment.base, name=f"layer {layer}"), Patch("resid_pre", where, experiment.source, layers=(layer,))
    )
