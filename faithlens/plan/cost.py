"""What a plan will take on a given model and machine, before anything runs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import torch

from faithlens.errors import PlanError
from faithlens.execution.geometry import CHUNK_ROWS
from faithlens.kernels.answer_logprobs.streamed import CHUNK_LOGITS
from faithlens.model.model import Model
from faithlens.plan.condition import Condition
from faithlens.plan.packing import PackedPass
from faithlens.plan.plan import BUDGET, Plan, compile_plan

PROBE_TOKENS = 256  # tokens of the forward that the machine's speed is read off


@dataclass(frozen=True)
class PlanCost:
    """An estimate of what `execute` takes with backend "packed".

    Attributes:
        forwards: work, in plain forwards of the longest condition.
        forwards_separately: the same of running the conditions one by one.
        peak_bytes: the most memory a pass holds beyond the weights.
        seconds: wall time, from the speed of a plain forward just measured.
        free_bytes: memory that is free now, in bytes.
    """

    forwards: float
    forwards_separately: float
    peak_bytes: int
    seconds: float
    free_bytes: int

    def __str__(self) -> str:
        return (
            f"about {self.forwards:.1f} plain forwards of the longest condition instead of {self.forwards_separately:.1f},"
            f" {self.seconds:.2g} s, {self.peak_bytes / 2**20:,.0f} MiB beyond the weights"
            f" ({self.free_bytes / 2**20:,.0f} MiB are free)"
        )


def estimate_cost(model: Model, plan: Plan) -> PlanCost:
    """Estimate time and memory. A short forward is run to see how fast this machine is."""
    blocks = sum(packed.count_row_blocks(model.n_layers) for packed in plan.passes)
    longest = max(len(condition.ids) for condition in plan.conditions)
    return PlanCost(
        forwards=blocks / (longest * model.n_layers),
        forwards_separately=plan.tokens_separately / longest,
        peak_bytes=max(estimate_peak_bytes(model, packed) for packed in plan.passes),
        seconds=blocks * time_row_block(model),
        free_bytes=read_free_bytes(model.device),
    )


def plan_passes(
    model: Model, conditions: Sequence[Condition], *, budget: int = BUDGET, memory: int | None = None
) -> Plan:
    """Compile a plan for a model: its structure and context, at most `budget` rows a pass, and no more than `memory`.

    `memory` counts bytes beyond the weights; by default, what is free now. Passes are made smaller until they fit.

    Raises:
        PlanError: a condition alone does not fit, or `compile_plan` refuses.
    """
    most = read_free_bytes(model.device) if memory is None else memory
    while True:
        plan = compile_plan(conditions, model.structure, budget=budget, context_length=model.context_length)
        needed = max((estimate_peak_bytes(model, packed) for packed in plan.passes), default=0)
        if needed <= most or len(plan.passes) == len(plan.conditions):
            break
        budget = max(len(packed.ids) for packed in plan.passes) // 2
    if needed > most:
        raise make_memory_error(model, plan, needed, most, "shorten the longest condition, give more memory")
    return plan


def estimate_peak_bytes(model: Model, packed: PackedPass) -> int:
    """Bytes a pass holds: the residual stream twice, one layer's keys and values, a chunk's insides, masks, logits."""
    config, size = model.hf_model.config.get_text_config(), model.hf_model.dtype.itemsize
    rows, chunk = len(packed.ids), min(len(packed.ids), CHUNK_ROWS.get(model.device.type, CHUNK_ROWS["cpu"]))
    heads = getattr(config, "num_attention_heads", None) or 1  # a model that has none is refused by its anatomy
    d_head = getattr(config, "qk_head_dim", None) or getattr(config, "head_dim", None) or config.hidden_size // heads
    kv = 2 * d_head * (getattr(config, "num_key_value_heads", None) or heads)
    inner = getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None) or 4 * config.hidden_size
    written = len({writing.edit.component for writing in packed.overwrites}) * config.hidden_size
    logits = (
        3
        * 4
        * min(CHUNK_LOGITS, len({row for p in packed.placements for o in p.reads for row, _ in o}) * config.vocab_size)
    )
    masks = 4 * rows * max(packed.depth)
    return rows * (2 * config.hidden_size + kv + written) * size + chunk * 4 * inner * size + logits + masks


@torch.inference_mode()
def time_row_block(model: Model) -> float:
    """Seconds one row takes in one block of a plain forward: the median of three short ones, after a first."""
    ids = torch.zeros(1, min(PROBE_TOKENS, model.context_length), dtype=torch.long, device=model.device)
    taken = []
    for _ in range(4):
        start = perf_counter()
        model.hf_model.base_model(input_ids=ids, use_cache=False)
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        taken.append(perf_counter() - start)
    return median(taken[1:]) / (ids.numel() * model.n_layers)


def read_free_bytes(device: torch.device) -> int:
    """Bytes of memory that are free on `device`."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    info = Path("/proc/meminfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(model: Model, plan: Plan) -> None:
    """Refuse a plan before it runs out of memory.

    Raises:
        PlanError: some pass needs more than is free.
    """
    needed, available = (
        max((estimate_peak_bytes(model, packed) for packed in plan.passes), default=0),
        read_free_bytes(model.device),
    )
    if needed > available:
        raise make_memory_error(
            model, plan, needed, available, "compile it with `plan_for`, which makes passes that fit"
        )


def make_memory_error(model: Model, plan: Plan, needed: int, free_bytes: int, fix: str) -> PlanError:
    """The error that says how much is missing, and what helps."""
    return PlanError(
        f"a pass of {max(len(p.ids) for p in plan.passes):,} rows through {model.name}",
        f"it needs about {needed / 2**20:,.0f} MiB beyond the weights, where {free_bytes / 2**20:,.0f} MiB may be used",
        f"{fix}, or load the model with dtype='bfloat16'",
    )
