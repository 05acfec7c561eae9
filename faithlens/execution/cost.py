"""What a plan takes on a given model and machine, before it runs."""

from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch

from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.memory import estimate_peak_bytes, read_free_bytes
from faithlens.plan.plan import Plan

PROBE_TOKENS = 256  # tokens of the forward that measures the speed of the machine


@dataclass(frozen=True)
class PlanCost:
    """An estimate of what `execute` takes with backend "packed".

    Attributes:
        forwards: work, in plain forwards of the longest condition.
        forwards_separately: the same if every condition is run by itself.
        peak_bytes: the most memory that a pass holds beyond the weights, in bytes.
        seconds: wall time, from the measured speed of a plain forward.
        free_bytes: memory that is free now, in bytes.
    """

    forwards: float
    forwards_separately: float
    peak_bytes: int
    seconds: float
    free_bytes: int

    def __str__(self) -> str:
        return (
            f"about {self.forwards:.1f} plain forwards of the longest condition instead of"
            f" {self.forwards_separately:.1f}, {self.seconds:.2g} s, {self.peak_bytes / 2**20:,.0f} MiB beyond the"
            f" weights ({self.free_bytes / 2**20:,.0f} MiB are free)"
        )


def estimate_cost(model: Model, plan: Plan, capture: Capture = Capture()) -> PlanCost:
    """Estimate the time and memory of a plan. Short forwards are run to measure the speed of this machine.

    Args:
        model: the model that would run.
        plan: the plan, from `fl.plan_passes`.
        capture: what is read, which is kept in memory too.

    Returns:
        Time in seconds, memory in bytes, and work in plain forwards.
    """
    blocks = sum(packed.count_row_blocks(model.n_layers) for packed in plan.passes)
    longest = max(condition.n_tokens for condition in plan.conditions)
    return PlanCost(
        forwards=count_forwards(model, plan),
        forwards_separately=plan.tokens_separately / longest,
        peak_bytes=max(estimate_peak_bytes(model, plan, packed, capture) for packed in plan.passes),
        seconds=blocks * time_row_block(model),
        free_bytes=read_free_bytes(model.device),
    )


def count_forwards(model: Model, plan: Plan) -> float:
    """The work of a plan, in plain forwards of its longest condition: rows, as often as they go through a block."""
    blocks = sum(packed.count_row_blocks(model.n_layers) for packed in plan.passes)
    return blocks / (max(condition.n_tokens for condition in plan.conditions) * model.n_layers)


@torch.inference_mode()
def time_row_block(model: Model) -> float:
    """Seconds that one row takes in one block of a plain forward: the median of three short forwards after a first."""
    ids = torch.zeros(1, min(PROBE_TOKENS, model.context_length), dtype=torch.long, device=model.device)
    seconds: list[float] = []
    for _ in range(4):
        start = perf_counter()
        model.hf_model.base_model(input_ids=ids, use_cache=False)
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        seconds.append(perf_counter() - start)
    return median(seconds[1:]) / (ids.numel() * model.n_layers)
