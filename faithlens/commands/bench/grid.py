"""An exact residual patch grid, every layer by every step: the packed wavefront against TransformerLens' own sweep.

Each forward of the other sweep costs the same whatever layer and step it patches, so it is timed on a sample of the
grid's cells, and counted for all. Knockouts and key/value splices of all steps are timed beside it.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from faithlens.commands.bench.harness import (
    Agreement,
    BenchResult,
    TimeRatio,
    check_agreements,
    describe_setting,
    divide_rounds,
    race_rivals,
)
from faithlens.commands.bench.sweep import PROMPT, STEP, STEPS
from faithlens.commands.bench.traces import make_full_trace
from faithlens.commands.doctor import measure_drift
from faithlens.commands.gaps import SLACK, rms
from faithlens.execution.execute import execute
from faithlens.execution.plain import answer_plainly
from faithlens.model.model import Model
from faithlens.plan.condition import Condition, KeyValuePatch, Knockout, Patch
from faithlens.plan.memory import plan_passes

CELLS = 24  # of the other grid that are timed
ROWS = 60_000  # packed rows a pass
ALL, SOME = "faithlens, all cells", "TransformerLens, {} cells"
CUTS, TWO, SPLICED = (
    "faithlens, clean and {} knockouts",
    "faithlens, clean and donor",
    "faithlens, these and {} splices",
)
ONCE = "transformers, one forward"


def measure(model: Model, repeats: int) -> BenchResult:
    """Time the grid.

    Raises:
        BenchmarkError: the two grids differ.
    """
    around = describe_setting(model)
    clean, donor = make_pair(model)
    conditions = make_grid(model, clean, donor)
    places = [(layer, step) for layer in range(model.n_layers) for step in range(STEPS)]
    cells = random.Random(0).sample(places, min(CELLS, len(places)))
    agreements = check_agreements(measure_agreement(model, clean, donor, conditions, cells))
    knockouts = [clean, *(replace(clean, edits=(Knockout("answer", (f"step {i}",)),)) for i in range(STEPS))]
    splices = [
        clean,
        donor,
        *(replace(clean, edits=(KeyValuePatch("answer", f"step {i}", donor),)) for i in range(STEPS)),
    ]
    some, cut, spliced = SOME.format(len(cells)), CUTS.format(STEPS), SPLICED.format(STEPS)
    rivals = {
        ALL: lambda: run_packed(model, conditions),
        some: lambda: run_transformer_lens(model, clean, donor, cells),
        cut: lambda: run_packed(model, knockouts),
        TWO: lambda: run_packed(model, [clean, donor]),
        spliced: lambda: run_packed(model, splices),
        ONCE: lambda: answer_plainly(model, clean),
    }
    times = race_rivals(rivals, repeats)
    whole = [t * len(conditions) / len(cells) for t in times[some]]
    return BenchResult(
        subject="grid",
        work=f"{model.n_layers} layers x {STEPS} steps of a trace of {len(clean.ids)} tokens",
        **around,
        agreements=agreements,
        seconds=times,
        comparisons=[
            TimeRatio("TransformerLens / faithlens, all cells", divide_rounds(whole, times[ALL])),
            TimeRatio(f"clean and {STEPS} knockouts / one forward", divide_rounds(times[cut], times[ONCE])),
            TimeRatio(f"clean, donor and {STEPS} splices / one forward", divide_rounds(times[spliced], times[ONCE])),
            TimeRatio(
                f"{STEPS} splices alone / one forward",
                [(a - b) / c for a, b, c in zip(times[spliced], times[TWO], times[ONCE], strict=True)],
            ),
        ],
        peak_mib={},
    )


def measure_agreement(
    model: Model, clean: Condition, donor: Condition, conditions: Sequence[Condition], cells: Sequence[tuple[int, int]]
) -> list[Agreement]:
    """How far the two grids are apart on `cells`."""
    drift, _ = measure_drift(model, [clean, donor])
    ours = run_packed(model, [conditions[layer * STEPS + step] for layer, step in cells])
    return [Agreement("the patch grid", rms(ours, run_transformer_lens(model, clean, donor, cells)), SLACK * drift)]


def make_pair(model: Model) -> tuple[Condition, Condition]:
    """A trace, and another with the same prompt and as many tokens in every step."""
    donor = replace(make_full_trace(model, PROMPT, STEPS, STEP, first=32), name="donor")
    return make_full_trace(model, PROMPT, STEPS, STEP), donor


def make_grid(model: Model, clean: Condition, donor: Condition) -> list[Condition]:
    """Every layer by every step."""
    return [
        replace(clean, name=f"layer {layer}, step {step}", edits=(Patch("resid_pre", f"step {step}", donor, (layer,)),))
        for layer in range(model.n_layers)
        for step in range(STEPS)
    ]


def run_packed(model: Model, conditions: Sequence[Condition]) -> list[Tensor]:
    """faithlens: plan and run."""
    plan = plan_passes(model, conditions, budget=ROWS)
    return [record.logprobs for record in execute(model, plan)]


def run_transformer_lens(
    model: Model, clean: Condition, donor: Condition, cells: Sequence[tuple[int, int]]
) -> list[Tensor]:
    """`generic_activation_patch` as its documentation teaches, its setter widened from a position to a step."""
    import pandas as pd
    from transformer_lens import patching

    sweep: Any = patching.generic_activation_patch  # its annotations name types that no caller has
    tokens, options = torch.tensor([clean.ids], device=model.device), [option[0] for option in clean.options]
    out: list[Tensor] = []

    def metric(logits: Tensor) -> Tensor:
        out.append(logits[0, -1].float().log_softmax(-1)[options].cpu())
        return out[-1][0]

    def setter(own: Tensor, index: Sequence[int], theirs: Tensor) -> Tensor:
        start, stop = clean.spans[f"step {index[1]}"]
        own[:, start:stop] = theirs[:, start:stop]
        return own

    with torch.no_grad():
        _, cache = model.bridge.run_with_cache(
            torch.tensor([donor.ids], device=model.device), names_filter=lambda name: name.endswith("hook_resid_pre")
        )
        sweep(
            model.bridge,
            tokens,
            cache,
            metric,
            setter,
            "resid_pre",
            index_df=pd.DataFrame(cells, columns=["layer", "step"]),
        )
    return out
