"""What capturing costs: one sequence, all layers and heads, against the bare model and against other libraries.

All rivals run the same sequence and give the answer of its last row. The memory of a rival is the peak of a process of
its own; on a GPU, it is the peak of what is allocated there.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from importlib.util import find_spec
from pathlib import Path

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
from faithlens.commands.bench.traces import STEM, make_full_trace, split_step_ends
from faithlens.commands.doctor import measure_drift
from faithlens.commands.gaps import SLACK, rms
from faithlens.execution.execute import execute
from faithlens.model.load import load
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes

TOKENS, LONG = 1024, 4096  # of the sequence that is timed, and of the one whose memory is read
STEPS = 12
BARE = "transformers, bare forward"
HOOKED = "transformers, a torch hook a block"
ANSWERS = "faithlens, answers"
ENDS = "faithlens, pooled attention of answer and step ends"
MORE = "faithlens, the same with activation comparison and logit lens"
EVERY = "faithlens, pooled attention of every token"


def measure(model: Model, repeats: int) -> BenchResult:
    """Time captures of a sequence of 1,024 tokens, and read peak memory at 4,096, as far as the model reads.

    Raises:
        BenchmarkError: a rival's answers differ.
    """
    around = describe_setting(model)
    tokens, long = (min(n, model.context_length) for n in (TOKENS, LONG))
    agreements = check_agreements(measure_agreement(model, tokens))
    times = race_rivals(list_rivals(model, tokens), repeats)
    added = [(a - b) / c for a, b, c in zip(times[MORE], times[ENDS], times[BARE], strict=True)]
    return BenchResult(
        subject="capture",
        work=f"{tokens:,} tokens in {STEPS} steps; memory at {long:,} tokens",
        **around,
        agreements=agreements,
        seconds=times,
        comparisons=[
            *(
                TimeRatio(f"{name} / bare", divide_rounds(values, times[BARE]))
                for name, values in times.items()
                if name != BARE
            ),
            TimeRatio("activation comparison and logit lens on top / bare", added),
        ],
        peak_mib={name: measure_peak_mib(model, long, name) for name in (BARE, ENDS, EVERY)}
        if can_read_peak(model)
        else {},
    )


def make_capture_trace(model: Model, tokens: int) -> Condition:
    """One trace of `tokens` tokens in twelve steps, compared with itself; the last of each step is its own piece."""
    stem = len(model.encode_continuation(STEM))
    step = (tokens - stem) // (STEPS + 1)
    whole = split_step_ends(make_full_trace(model, tokens - stem - STEPS * step, STEPS, step))
    return replace(whole, reference=whole)


def list_rivals(model: Model, tokens: int) -> dict[str, Callable[[], object]]:
    """The implementations that are timed."""
    condition = make_capture_trace(model, tokens)
    ids = torch.tensor([condition.ids], device=model.device)
    ends = ("answer", *(f"end {i}" for i in range(STEPS)))

    def ours(capture: Capture) -> Callable[[], object]:
        own = condition if capture.compare else replace(condition, reference=None)
        plan = plan_passes(model, [own])
        return lambda: execute(model, plan, capture)

    return {
        BARE: lambda: run_bare(model, ids),
        HOOKED: lambda: run_hooked(model, ids),
        **list_transformer_lens_rivals(model, ids),
        **list_nnsight_rivals(model, ids),
        ANSWERS: ours(Capture()),
        ENDS: ours(Capture(attention=ends)),
        MORE: ours(Capture(attention=ends, logit_lens=ends, compare=True)),
        EVERY: ours(Capture(attention=tuple(condition.spans))),
    }


def measure_agreement(model: Model, tokens: int) -> list[Agreement]:
    """How far every rival's answers are from plain transformers'."""
    condition = make_capture_trace(model, tokens)
    drift, _ = measure_drift(model, [condition])
    options = [option[0] for option in condition.options]
    answers: dict[str, Tensor] = {}
    for name, run in list_rivals(model, tokens).items():
        output = run()
        if isinstance(output, list):
            answers[name] = output[0].logprobs
        else:
            logits = output[0] if isinstance(output, tuple) else output  # a cache may come with them
            assert isinstance(logits, Tensor)
            answers[name] = logits[0, -1].float().log_softmax(-1)[options]
    return [
        Agreement(f"answers of {name}", rms([output], [answers[BARE]]), SLACK * drift)
        for name, output in answers.items()
    ]


@torch.inference_mode()
def run_bare(model: Model, ids: Tensor) -> Tensor:
    """One plain forward, only the last row unembedded."""
    return model.hf_model(ids, logits_to_keep=1, use_cache=False).logits


def run_hooked(model: Model, ids: Tensor) -> Tensor:
    """One plain forward with a torch hook that keeps every block's output."""
    outputs: list[object] = []
    handles = [b.register_forward_hook(lambda m, a, out: outputs.append(out)) for b in model.anatomy.blocks]
    try:
        return run_bare(model, ids)
    finally:
        for handle in handles:
            handle.remove()


def list_transformer_lens_rivals(model: Model, ids: Tensor) -> dict[str, Callable[[], object]]:
    """TransformerLens without hooks, caching attention patterns, and caching everything."""

    @torch.inference_mode()
    def run_with_cache(names_filter: Callable[[str], bool] | None) -> object:
        return model.bridge.run_with_cache(ids, names_filter=names_filter, logits_to_keep=1)

    @torch.inference_mode()
    def plain() -> object:
        return model.bridge(ids, logits_to_keep=1)

    return {
        "TransformerLens": plain,
        "TransformerLens, pattern cache": lambda: run_with_cache(lambda name: name.endswith("hook_pattern")),
        "TransformerLens, full cache": lambda: run_with_cache(None),
    }


def list_nnsight_rivals(model: Model, ids: Tensor) -> dict[str, Callable[[], object]]:
    """nnsight, where it is installed, saving every block's output."""
    if find_spec("nnsight") is None:
        return {}
    from nnsight import NNsight, save  # type: ignore[import-not-found]

    wrapped, first = NNsight(model.hf_model), model.anatomy.blocks[0]
    path = next(name for name, module in model.hf_model.named_modules() if module is first).split(".")[:-1]
    blocks = reduce(getattr, path, wrapped)

    @torch.inference_mode()
    def run_trace() -> Tensor:
        with wrapped.trace(ids, logits_to_keep=1, use_cache=False):
            outputs = save([])
            for block in blocks:
                outputs.append(block.output)
            logits = wrapped.output.logits.save()
        return logits

    return {"nnsight, every block's output": run_trace}


def can_read_peak(model: Model) -> bool:
    """Whether peak memory can be read: on a GPU, or where the system tells a process its own."""
    return model.device.type == "cuda" or Path("/proc/self/clear_refs").exists()


def measure_peak_mib(model: Model, tokens: int, name: str) -> float:
    """The peak beyond the loaded model, in MiB, of one rival."""
    if model.device.type == "cuda":
        run = list_rivals(model, tokens)[name]
        torch.cuda.reset_peak_memory_stats(model.device)
        before = torch.cuda.memory_allocated(model.device)
        run()
        return (torch.cuda.max_memory_allocated(model.device) - before) / 2**20
    dtype = str(model.hf_model.dtype).removeprefix("torch.")
    words = [sys.executable, "-m", "faithlens.commands.bench.capture", model.source, dtype, str(tokens), name]
    process = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(json.loads(process.stdout.splitlines()[-1]))


def print_peak(source: str, dtype: str, tokens: int, name: str) -> None:
    """Run one rival in this process and print how far its peak rose above where loading had left it."""
    model = load(source, device="cpu", dtype=dtype, trust_remote_code=True)  # as the process that asks has loaded it
    model.anatomy  # noqa: B018  found before the baseline is read
    run = list_rivals(model, tokens)[name]
    before = read_process_status("VmRSS")
    with open("/proc/self/clear_refs", "w") as reset:  # forget the peak that loading had
        reset.write("5")
    run()
    sys.stdout.write(json.dumps((read_process_status("VmHWM") - before) / 1024) + "\n")


def read_process_status(field: str) -> int:
    """A line of the process's own accounting, in KiB."""
    with open("/proc/self/status") as lines:
        return int(next(line for line in lines if line.startswith(field)).split()[1])


if __name__ == "__main__":
    print_peak(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
