"""What capturing costs: one sequence, all layers and heads, against the bare model and against TransformerLens.

`python -m benchmarks.capture` times, on any model, a plain transformers
forward, the same with raw torch hooks on every block, TransformerLens without and with its caches, and faithlens with
more and more to read. Memory is the process's own peak, each rival in a process of its own.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable

import torch

import faithlens as fl
from benchmarks import harness
from benchmarks.truncation_sweep import OPTIONS, STEM, STORY, THOUGHT, exactly

SUBJECT = "capture"
STEPS = 12
BARE = "transformers, sdpa"
BARS = {"faithlens, pooled attention of answer and step ends": 1.10, "faithlens, pooled attention of every token": 1.30}
MEMORY_BAR = 1.10  # of the bare forward's peak beyond the loaded model, at the longer length


def trace(lens: fl.Lens, tokens: int) -> fl.Condition:
    """One trace of `tokens` tokens in twelve steps, whose last tokens are pieces of their own."""
    stem = lens.encode_continuation(STEM)
    step = (tokens - len(stem)) // (STEPS + 1)
    prompt = tokens - len(stem) - STEPS * step
    pieces = [fl.Piece("prompt", exactly(lens, STORY, prompt))]
    for i in range(STEPS):
        ids = exactly(lens, THOUGHT.format(i=i + 1, a=17 + i, b=5 + i, c=22 + 2 * i), step)
        pieces += [fl.Piece(f"step {i}", ids[:-1]), fl.Piece(f"end {i}", ids[-1:])]
    options = tuple(lens.encode_continuation(option) for option in OPTIONS)
    return fl.Condition("full", (*pieces, fl.Piece("stem", stem)), options)


def rivals(lens: fl.Lens, tokens: int) -> dict[str, Callable[[], object]]:
    """Who is timed: the same sequence, the same last row answered."""
    condition = trace(lens, tokens)
    ids = torch.tensor([condition.ids], device=lens.device)
    ends = ("answer", *(f"end {i}" for i in range(STEPS)))
    every = tuple(condition.spans)
    plan = fl.compile_plan([condition], lens.structure, context=lens.context, budget=tokens + 8)

    @torch.inference_mode()
    def bare() -> object:
        return lens.model(ids, logits_to_keep=1, use_cache=False).logits

    @torch.inference_mode()
    def hooked() -> object:
        kept: list[torch.Tensor] = []
        handles = [b.register_forward_hook(lambda m, a, out: kept.append(out)) for b in lens.anatomy.blocks]
        try:
            return bare()
        finally:
            for handle in handles:
                handle.remove()

    @torch.inference_mode()
    def bridge() -> object:
        return lens.bridge(ids, logits_to_keep=1)

    @torch.inference_mode()
    def patterns() -> object:
        return lens.bridge.run_with_cache(ids, names_filter=lambda n: n.endswith("hook_pattern"), logits_to_keep=1)

    @torch.inference_mode()
    def everything() -> object:
        return lens.bridge.run_with_cache(ids, logits_to_keep=1)

    def ours(capture: fl.Capture) -> Callable[[], object]:
        return lambda: fl.execute(lens, plan, capture)

    return {
        BARE: bare,
        "transformers, a torch hook a block": hooked,
        "TransformerLens": bridge,
        "TransformerLens, pattern cache": patterns,
        "TransformerLens, full cache": everything,
        "faithlens, answers": ours(fl.Capture()),
        "faithlens, pooled attention of answer and step ends": ours(fl.Capture(attention=ends)),
        "faithlens, the same and the logit lens": ours(fl.Capture(attention=ends, lens=ends)),
        "faithlens, pooled attention of every token": ours(fl.Capture(attention=every)),
    }


def peak_mib(model: str, tokens: int, name: str) -> float:
    """The process's peak beyond the loaded model, in MiB, of one rival in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.capture", "--model", model, "--tokens", str(tokens), "--peak-of", name],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def print_peak(model: str, tokens: int, name: str) -> None:
    """Run one rival and print how far the process's peak rose above where loading had left it."""
    lens = fl.load(model, device="cpu")
    lens.anatomy  # noqa: B018  found before the baseline is read
    run = rivals(lens, tokens)[name]
    before = status("VmRSS")
    with open("/proc/self/clear_refs", "w") as reset:  # forget the peak that loading had
        reset.write("5")
    run()
    print(json.dumps((status("VmHWM") - before) / 1024))


def status(field: str) -> int:
    """A line of the process's own accounting, in KiB."""
    with open("/proc/self/status") as lines:
        return int(next(line for line in lines if line.startswith(field)).split()[1])


def main(model: str, tokens: int, long: int, repeats: int) -> None:
    lens = fl.load(model, device="cpu")
    around = harness.environment(lens.device)
    runs = rivals(lens, tokens)
    gap = float(
        (fl.execute(lens, fl.compile_plan([trace(lens, tokens)]))[0].logprobs - plain(lens, tokens)).abs().max()
    )
    if not gap < 1e-3:
        raise SystemExit(f"not timed: faithlens is {gap} nats from plain transformers")
    times = harness.race(runs, repeats)
    memory = {name: peak_mib(model, long, name) for name in (BARE, *BARS)}
    result = {
        "subject": SUBJECT,
        "model": model,
        "work": {"tokens": tokens, "tokens_of_memory": long},
        "environment": around,
        "largest_difference_nats": gap,
        "repeats": repeats,
        "seconds": {name: harness.spread(values) | {"all": values} for name, values in times.items()},
        "ratio": {name: harness.ratios(times, name, BARE) for name in times},
        "bars": BARS,
        "peak_mib": memory,
        "memory_bar": MEMORY_BAR,
    }
    print(table(result))
    harness.keep(SUBJECT, result, table(result))


def plain(lens: fl.Lens, tokens: int) -> torch.Tensor:
    """The options' log-probabilities by transformers alone."""
    condition = trace(lens, tokens)
    with torch.inference_mode():
        logits = lens.model(torch.tensor([condition.ids]), logits_to_keep=1, use_cache=False).logits[0, -1]
    return logits.float().log_softmax(-1)[[option[0] for option in condition.options]]


def table(result: dict) -> str:
    """The result for a reader, in Markdown."""
    lines = ["| | seconds, median | against the bare forward | bar |", "|---|---|---|---|"]
    for name, s in result["seconds"].items():
        r, bar = result["ratio"][name], result["bars"].get(name)
        judged = "" if bar is None else f"{bar:.2f}, {'met' if r['median'] <= bar else 'missed'}"
        lines.append(f"| {name} | {s['median']:.3f} | {r['median']:.2f} ({r['q1']:.2f} to {r['q3']:.2f}) | {judged} |")
    e, w, m = result["environment"], result["work"], result["peak_mib"]
    where = ", ".join(f"{name} {e[name]}" for name in harness.LIBRARIES)
    peaks = "; ".join(f"{name}: {mib:,.0f} MiB" for name, mib in m.items())
    return "\n".join([
        *lines,
        "",
        f"{w['tokens']} tokens, {result['repeats']} rounds. Peak memory beyond the loaded model at"
        f" {w['tokens_of_memory']} tokens: {peaks} (bar {result['memory_bar']:.2f} times the bare forward).",
        "",
        f"{result['model']}, float32, {e['cpu']}, {e['threads']} threads, {where}, {e['date']};"
        f" load average before the start {e['load_average']:.1f} on {e['cores']} cores.",
    ])  # fmt: skip


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--model", default="smollm2-135m")
    asked.add_argument("--tokens", type=int, default=1024)
    asked.add_argument("--long", type=int, default=4096)
    asked.add_argument("--repeats", type=int, default=7)
    asked.add_argument("--peak-of")
    given = asked.parse_args()
    if given.peak_of:
        print_peak(given.model, given.tokens, given.peak_of)
    else:
        main(given.model, given.tokens, given.long, given.repeats)
