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

from faithlens.bench.harness import SLACK, Agreement, Comparison, Result, check, race, ratios, rms, setting
from faithlens.bench.sweep import PROMPT, STEP, STEPS
from faithlens.bench.traces import full
from faithlens.doctor import own_drift, plain_answers
from faithlens.runtime.condition import Condition, Knockout, Patch, Splice
from faithlens.runtime.cost import plan_for
from faithlens.runtime.execute import execute
from faithlens.runtime.model import Lens

CELLS = 24  # of the other grid that are timed
ROWS = 60_000  # packed rows a pass
ALL, SOME = "faithlens, all cells", "TransformerLens, {} cells"
CUTS, TWO, SPLICED = (
    "faithlens, clean and {} knockouts",
    "faithlens, clean and donor",
    "faithlens, these and {} splices",
)
ONCE = "transformers, one forward"


def measure(lens: Lens, repeats: int) -> Result:
    """Time the grid.

    Raises:
        BenchmarkError: the two grids differ.
    """
    around = setting(lens)
    clean, donor = pair(lens)
    conditions = grid(lens, clean, donor)
    places = [(layer, step) for layer in range(lens.n_layers) for step in range(STEPS)]
    cells = random.Random(0).sample(places, min(CELLS, len(places)))
    agreements = check(agreement(lens, clean, donor, conditions, cells))
    knockouts = [clean, *(replace(clean, edits=(Knockout("stem", (f"step {i}",)),)) for i in range(STEPS))]
    splices = [clean, donor, *(replace(clean, edits=(Splice("stem", f"step {i}", donor),)) for i in range(STEPS))]
    some, cut, spliced = SOME.format(len(cells)), CUTS.format(STEPS), SPLICED.format(STEPS)
    rivals = {
        ALL: lambda: packed(lens, conditions),
        some: lambda: transformer_lens(lens, clean, donor, cells),
        cut: lambda: packed(lens, knockouts),
        TWO: lambda: packed(lens, [clean, donor]),
        spliced: lambda: packed(lens, splices),
        ONCE: lambda: plain_answers(lens, clean),
    }
    times = race(rivals, repeats)
    whole = [t * len(conditions) / len(cells) for t in times[some]]
    return Result(
        subject="grid",
        work=f"{lens.n_layers} layers x {STEPS} steps of a trace of {len(clean.ids)} tokens",
        **around,
        agreements=agreements,
        seconds=times,
        comparisons=[
            Comparison("TransformerLens / faithlens, all cells", ratios(whole, times[ALL])),
            Comparison(f"clean and {STEPS} knockouts / one forward", ratios(times[cut], times[ONCE])),
            Comparison(f"clean, donor and {STEPS} splices / one forward", ratios(times[spliced], times[ONCE])),
            Comparison(
                f"{STEPS} splices alone / one forward",
                [(a - b) / c for a, b, c in zip(times[spliced], times[TWO], times[ONCE], strict=True)],
            ),
        ],
        peak_mib={},
    )


def agreement(
    lens: Lens, clean: Condition, donor: Condition, conditions: Sequence[Condition], cells: Sequence[tuple[int, int]]
) -> list[Agreement]:
    """How far the two grids are apart on `cells`."""
    drift, _ = own_drift(lens, [clean, donor])
    ours = packed(lens, [conditions[layer * STEPS + step] for layer, step in cells])
    return [Agreement("the patch grid", rms(ours, transformer_lens(lens, clean, donor, cells)), SLACK * drift)]


def pair(lens: Lens) -> tuple[Condition, Condition]:
    """A trace, and another with the same prompt and as many tokens in every step."""
    return full(lens, PROMPT, STEPS, STEP), replace(full(lens, PROMPT, STEPS, STEP, first=32), name="donor")


def grid(lens: Lens, clean: Condition, donor: Condition) -> list[Condition]:
    """Every layer by every step."""
    return [
        replace(clean, name=f"layer {layer}, step {step}", edits=(Patch("resid_pre", f"step {step}", donor, (layer,)),))
        for layer in range(lens.n_layers)
        for step in range(STEPS)
    ]


def packed(lens: Lens, conditions: Sequence[Condition]) -> list[Tensor]:
    """faithlens: plan and run."""
    plan = plan_for(lens, conditions, budget=ROWS)
    return [record.logprobs for record in execute(lens, plan)]


def transformer_lens(lens: Lens, clean: Condition, donor: Condition, cells: Sequence[tuple[int, int]]) -> list[Tensor]:
    """`generic_activation_patch` as its documentation teaches, its setter widened from a position to a step."""
    import pandas as pd
    from transformer_lens import patching

    sweep: Any = patching.generic_activation_patch  # its annotations name types that no caller has
    tokens, options = torch.tensor([clean.ids], device=lens.device), [option[0] for option in clean.options]
    out: list[Tensor] = []

    def metric(logits: Tensor) -> Tensor:
        out.append(logits[0, -1].float().log_softmax(-1)[options].cpu())
        return out[-1][0]

    def setter(own: Tensor, index: Sequence[int], theirs: Tensor) -> Tensor:
        start, stop = clean.spans[f"step {index[1]}"]
        own[:, start:stop] = theirs[:, start:stop]
        return own

    with torch.no_grad():
        _, cache = lens.bridge.run_with_cache(
            torch.tensor([donor.ids], device=lens.device), names_filter=lambda name: name.endswith("hook_resid_pre")
        )
        sweep(
            lens.bridge,
            tokens,
            cache,
            metric,
            setter,
            "resid_pre",
            index_df=pd.DataFrame(cells, columns=["layer", "step"]),
        )
    return out
