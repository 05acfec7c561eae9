"""Tokens per second inside a packed pass, against a bare forward over one sequence of as many tokens."""

import torch

from faithlens.commands.bench.capture import BARE, run_bare
from faithlens.commands.bench.harness import (
    Agreement,
    BenchResult,
    TimeRatio,
    check_agreements,
    describe_setting,
    divide_rounds,
    race_rivals,
)
from faithlens.commands.bench.traces import make_full_trace, make_truncations, repeat_tokens
from faithlens.commands.doctor import measure_drift
from faithlens.commands.gaps import SLACK, rms
from faithlens.execution.execute import execute
from faithlens.model.model import Model
from faithlens.plan.plan import compile_plan

TOKENS = 2000
PACKED_RIVAL = "faithlens, packed pass"


def measure(model: Model, repeats: int) -> BenchResult:
    """Time a truncation sweep of 2,000 packed tokens, and one plain sequence of 2,000.

    Raises:
        BenchmarkError: the packed answers are not those of plain transformers.
    """
    around = describe_setting(model)
    cuts = make_truncations(make_full_trace(model, 160, 60, 25))
    most = min(TOKENS, model.context_length)
    while (plan := compile_plan(cuts, model.structure)).tokens > most:
        cuts = cuts[1:]
    ids = torch.tensor([repeat_tokens(model, model.decode(cuts[0].ids), plan.tokens)], device=model.device)
    drift, plain = measure_drift(model, [cuts[0], cuts[-1]])
    first, *_, last = execute(model, plan)
    gap = rms([first.logprobs, last.logprobs], plain)
    agreements = check_agreements([Agreement("the packed pass", gap, SLACK * drift)])
    times = race_rivals({PACKED_RIVAL: lambda: execute(model, plan), BARE: lambda: run_bare(model, ids)}, repeats)
    return BenchResult(
        subject="throughput",
        work=f"{plan.tokens:,} tokens: {plan.describe()}; and one sequence of as many",
        **around,
        agreements=agreements,
        seconds=times,
        comparisons=[TimeRatio("tokens a second, packed / bare", divide_rounds(times[BARE], times[PACKED_RIVAL]))],
        peak_mib={},
    )
