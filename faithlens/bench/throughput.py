"""Tokens a second inside a packed pass, against a bare forward over one sequence of as many tokens."""

import torch

from faithlens.bench.capture import BARE, bare
from faithlens.bench.harness import SLACK, Agreement, Comparison, Result, check, race, ratios, rms, setting
from faithlens.bench.traces import exactly, full, truncations
from faithlens.doctor import own_drift
from faithlens.runtime.execute import execute
from faithlens.runtime.model import Lens
from faithlens.runtime.plan import compile_plan

TOKENS = 2000
PACKED = "faithlens, packed pass"


def measure(lens: Lens, repeats: int) -> Result:
    """Time a truncation sweep of 2,000 packed tokens, and one plain sequence of 2,000.

    Raises:
        BenchmarkError: the packed answers are not those of plain transformers.
    """
    around = setting(lens)
    cuts = truncations(full(lens, 160, 60, 25))
    most = min(TOKENS, lens.context_length)
    while (plan := compile_plan(cuts, lens.structure)).tokens > most:
        cuts = cuts[1:]
    ids = torch.tensor([exactly(lens, lens.decode(cuts[0].ids), plan.tokens)], device=lens.device)
    drift, plain = own_drift(lens, [cuts[0], cuts[-1]])
    first, *_, last = execute(lens, plan)
    gap = rms([first.logprobs, last.logprobs], plain)
    agreements = check([Agreement("the packed pass", gap, SLACK * drift)])
    times = race({PACKED: lambda: execute(lens, plan), BARE: lambda: bare(lens, ids)}, repeats)
    return Result(
        subject="throughput",
        work=f"{plan.tokens:,} tokens: {plan.describe()}; and one sequence of as many",
        **around,
        agreements=agreements,
        seconds=times,
        comparisons=[Comparison("tokens a second, packed / bare", ratios(times[BARE], times[PACKED]))],
        peak_mib={},
    )
