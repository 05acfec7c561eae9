"""Tokens a second inside a packed pass, against a bare forward over one sequence of as many tokens."""

import torch

from faithlens.bench.capture import BARE, run_bare
from faithlens.bench.harness import SLACK, Agreement, TimeRatio, BenchResult, check_agreements, race_rivals, divide_rounds, rms, describe_setting
from faithlens.bench.traces import repeat_tokens, make_full_trace, make_truncations
from faithlens.doctor import measure_drift
from faithlens.runtime.execute import run_plan
from faithlens.runtime.model import Model
from faithlens.runtime.plan import compile_plan

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
    first, *_, last = run_plan(model, plan)
    gap = rms([first.logprobs, last.logprobs], plain)
    agreements = check_agreements([Agreement("the packed pass", gap, SLACK * drift)])
    times = race_rivals({PACKED_RIVAL: lambda: run_plan(model, plan), BARE: lambda: run_bare(model, ids)}, repeats)
    return BenchResult(
        subject="throughput",
        work=f"{plan.tokens:,} tokens: {plan.describe()}; and one sequence of as many",
        **around,
        agreements=agreements,
        seconds=times,
        comparisons=[TimeRatio("tokens a second, packed / bare", divide_rounds(times[BARE], times[PACKED_RIVAL]))],
        peak_mib={},
    )
