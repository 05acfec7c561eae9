"""An exact residual patch grid, every layer by every step: the packed wavefront against TransformerLens' own sweep.

`python -m benchmarks.patch_grid` also times knockouts and key/value splices of all steps. TransformerLens is timed on a
sample of its grid's cells, since each of them is a full forward whatever layer and step it patches; both give the same
numbers on the sampled cells, or nothing is timed.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor
from transformer_lens import patching

import faithlens as fl
from benchmarks import harness
from benchmarks.truncation_sweep import STEP, STEPS, THOUGHT, exactly, sweep

SUBJECT = "patch_grid"
BAR = 10.0  # TransformerLens' sweep takes at least this many times as long
CHEAP = 1.5  # forwards that knockouts, or splices, of all steps may take
CELLS = 24  # of TransformerLens' grid that are timed
CLOSE = 2e-3  # nats: both run in float32, on sums in another order


def pair(lens: fl.Lens) -> tuple[fl.Condition, fl.Condition]:
    """A trace, and another with as many tokens in every piece."""
    clean = sweep(lens)[0]
    numbers = ((i, 31 + 2 * i, 9 + i) for i in range(STEPS))
    steps = [exactly(lens, THOUGHT.format(i=i + 1, a=a, b=b, c=a + b), STEP) for i, a, b in numbers]
    other = (clean.pieces[0], *(fl.Piece(f"step {i}", ids) for i, ids in enumerate(steps)), clean.pieces[-1])
    return clean, replace(clean, name="donor", pieces=other)


def grid(lens: fl.Lens, clean: fl.Condition, donor: fl.Condition) -> list[fl.Condition]:
    """Every layer by every step."""
    return [
        replace(
            clean, name=f"layer {layer}, step {step}", edits=(fl.Patch("resid_pre", f"step {step}", donor, (layer,)),)
        )
        for layer in range(lens.n_layers)
        for step in range(STEPS)
    ]


def packed(lens: fl.Lens, conditions: Sequence[fl.Condition]) -> Tensor:
    """faithlens: plan and run."""
    plan = fl.compile_plan(conditions, lens.structure, context=lens.context, budget=60_000)
    return torch.stack([record.logprobs for record in fl.execute(lens, plan)])


def transformer_lens(
    lens: fl.Lens, clean: fl.Condition, donor: fl.Condition, cells: Sequence[tuple[int, int]]
) -> Tensor:
    """`generic_activation_patch` as its documentation teaches, its setter widened from a position to a step."""
    tokens, options = torch.tensor([clean.ids]), [option[0] for option in clean.options]
    _, cache = lens.bridge.run_with_cache(
        torch.tensor([donor.ids]), names_filter=lambda name: name.endswith("hook_resid_pre")
    )
    out: list[Tensor] = []

    def metric(logits: Tensor) -> Tensor:
        out.append(logits[0, -1].float().log_softmax(-1)[options])
        return out[-1][0]

    def setter(own: Tensor, index: Sequence[int], theirs: Tensor) -> Tensor:
        start, stop = clean.spans[f"step {index[1]}"]
        own[:, start:stop] = theirs[:, start:stop]
        return own

    with torch.no_grad():
        patching.generic_activation_patch(
            lens.bridge,
            tokens,
            cache,
            metric,
            setter,
            "resid_pre",
            index_df=pd.DataFrame(cells, columns=["layer", "step"]),
        )
    return torch.stack(out)


@torch.inference_mode()
def bare(lens: fl.Lens, condition: fl.Condition) -> Tensor:
    """One plain forward, only the last row unembedded."""
    return lens.model(torch.tensor([condition.ids]), logits_to_keep=1, use_cache=False).logits


def main(model: str, repeats: int) -> None:
    lens = fl.load(model, device="cpu")
    around = harness.environment(lens.device)
    clean, donor = pair(lens)
    conditions = grid(lens, clean, donor)
    cells = random.Random(0).sample([(layer, step) for layer in range(lens.n_layers) for step in range(STEPS)], CELLS)
    ours = packed(lens, conditions)[[layer * STEPS + step for layer, step in cells]]
    gap = float((ours - transformer_lens(lens, clean, donor, cells)).abs().max())
    if not gap < CLOSE:
        raise SystemExit(f"not timed: the two grids differ by {gap} nats")
    knockouts = [clean, *(knockout(clean, i) for i in range(STEPS))]
    splices = [clean, *(replace(clean, edits=(fl.Splice("stem", f"step {i}", donor),)) for i in range(STEPS))]
    rivals = {
        "faithlens, all cells": lambda: packed(lens, conditions),
        f"TransformerLens, {CELLS} cells": lambda: transformer_lens(lens, clean, donor, cells),
        "faithlens, clean and 12 knockouts": lambda: packed(lens, knockouts),
        "faithlens, clean, donor and 12 splices": lambda: packed(lens, splices),
        "transformers, one forward": lambda: bare(lens, clean),
    }
    times = harness.race(rivals, repeats)
    mine, theirs, cut, spliced, one = times.values()
    whole = len(conditions) / CELLS
    result = {
        "subject": SUBJECT,
        "model": model,
        "work": {"layers": lens.n_layers, "steps": STEPS, "tokens": len(clean.ids), "cells_timed": CELLS},
        "environment": around,
        "largest_difference_nats": gap,
        "repeats": repeats,
        "seconds": {name: harness.spread(values) | {"all": values} for name, values in times.items()},
        "ratio": harness.spread([whole * b / a for a, b in zip(mine, theirs, strict=True)]),
        "bar": BAR,
        "knockouts_in_forwards": harness.spread([a / b for a, b in zip(cut, one, strict=True)]),
        # the donor has to be run too, and shares only the prompt
        "splices_in_forwards": harness.spread([a / b for a, b in zip(spliced, one, strict=True)]),
        "forwards_bar": CHEAP,
    }
    print(table(result))
    harness.keep(SUBJECT, result, table(result))


def knockout(clean: fl.Condition, step: int) -> fl.Condition:
    return replace(clean, name=f"knockout {step}", edits=(fl.Knockout("stem", (f"step {step}",)),))


def table(result: dict) -> str:
    """The result for a reader, in Markdown."""
    lines = ["| | seconds, median | quartiles |", "|---|---|---|"]
    for name, s in result["seconds"].items():
        lines.append(f"| {name} | {s['median']:.2f} | {s['q1']:.2f} to {s['q3']:.2f} |")
    r, e, w = result["ratio"], result["environment"], result["work"]
    met = "met" if r["median"] >= result["bar"] else "missed"
    cheap = [result[f"{what}_in_forwards"]["median"] for what in ("knockouts", "splices")]
    where = ", ".join(f"{name} {e[name]}" for name in harness.LIBRARIES)
    return "\n".join([
        *lines,
        "",
        f"Grid of {w['layers']} layers x {w['steps']} steps on {w['tokens']} tokens. TransformerLens / faithlens,"
        f" all cells, {result['repeats']} pairs: median {r['median']:.1f}, within {r['min']:.1f} to {r['max']:.1f};"
        f" the bar of {result['bar']:g} is {met}. Clean and {w['steps']} knockouts take {cheap[0]:.2f} plain forwards,"
        f" clean, donor and {w['steps']} splices {cheap[1]:.2f}, of which the donor's own are about two thirds of one"
        f" (bar {result['forwards_bar']:g} without it).",
        "",
        f"{result['model']}, float32, {e['cpu']}, {e['threads']} threads, {where}, {e['date']};"
        f" load average before the start {e['load_average']:.1f} on {e['cores']} cores.",
    ])  # fmt: skip


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--model", default="smollm2-135m")
    asked.add_argument("--repeats", type=int, default=3)
    main(**vars(asked.parse_args()))
