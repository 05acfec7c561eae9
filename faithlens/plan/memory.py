"""Plans whose passes fit in the memory of a model's device.

1. `estimate_peak_bytes` adds up what one pass holds beyond the weights.
2. `plan_passes` compiles a plan, and halves the rows of a pass until every pass fits.
3. `check_memory` refuses a plan that does not fit, before it runs.

For example, a float32 model with d_model 48, 2 key/value heads of width 8, an MLP of width 96 and 261 tokens, and one
pass of 36 rows of which one is read::

    residual stream, twice     36 rows * 2 * 48 numbers * 4 bytes = 13,824
    keys and values            36 rows * 32 numbers * 4 bytes     =  4,608
    inside of a block          36 rows * 4 * 96 numbers * 4 bytes = 55,296
    logits of the rows read    3 * 4 bytes * 1 row * 261 tokens   =  3,132
    mask of attention          4 bytes * 36 rows * 35 positions   =  5,040
                                                            total = 81,900
"""

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from faithlens.errors import PlanError
from faithlens.kernels.answer_logprobs.streamed import CHUNK_LOGITS
from faithlens.model.lengths import read_size
from faithlens.model.library import get_text_config
from faithlens.model.model import Model
from faithlens.plan.checks import check_model_fit
from faithlens.plan.condition import Condition
from faithlens.plan.packing import CHUNK_ROWS, PackedPass
from faithlens.plan.plan import BUDGET, Plan, compile_plan


def plan_passes(
    model: Model, conditions: Sequence[Condition], *, budget: int = BUDGET, memory: int | None = None
) -> Plan:
    """Compile a plan for a model, with passes that fit in memory.

    Args:
        model: gives the structure and the context length.
        conditions: what the plan runs.
        budget: the most packed rows in a pass.
        memory: the bytes that a pass may hold beyond the weights; by default, what is free now.

    Returns:
        The plan, for `fl.execute` and `fl.estimate_cost`.

    Raises:
        PlanError: a condition alone does not fit, or `compile_plan` refuses.
    """
    allowed = read_free_bytes(model.device) if memory is None else memory
    while True:
        plan = compile_plan(
            conditions,
            model.structure,
            budget=budget,
            context_length=model.context_length,
            scaling_lengths=model.scaling_lengths,
        )
        needed = max((estimate_peak_bytes(model, packed) for packed in plan.passes), default=0)
        if needed <= allowed or len(plan.passes) == len(plan.conditions):
            break
        budget = max(map(len, plan.passes)) // 2
    check_model_fit(model, conditions)
    if needed > allowed:
        raise make_memory_error(model, plan, needed, allowed, "Shorten the longest condition, give more memory")
    return plan


def estimate_peak_bytes(model: Model, packed: PackedPass) -> int:
    """The bytes that a pass holds beyond the weights (see the example above)."""
    config, size = get_text_config(model.hf_model), model.hf_model.dtype.itemsize
    rows, chunk = len(packed), min(len(packed), CHUNK_ROWS.get(model.device.type, CHUNK_ROWS["cpu"]))
    heads = read_size(config, "num_attention_heads") or 1  # a model without heads is refused by its anatomy
    d_head = read_size(config, "qk_head_dim") or read_size(config, "head_dim") or config.hidden_size // heads
    kv = 2 * d_head * (read_size(config, "num_key_value_heads") or heads)
    inner = read_size(config, "intermediate_size") or read_size(config, "n_inner") or 4 * config.hidden_size
    written = len({rows.edit.component for rows in packed.overwrites}) * config.hidden_size
    read_rows = len({row for placement in packed.placements for option in placement.reads for row, _ in option})
    logits = 3 * 4 * min(CHUNK_LOGITS, read_rows * config.vocab_size)
    masks = 4 * rows * int(packed.depth.max())
    return rows * (2 * config.hidden_size + kv + written) * size + chunk * 4 * inner * size + logits + masks


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
    """Refuse a plan that does not fit in memory, before it runs.

    Raises:
        PlanError: some pass needs more than is free.
    """
    needed = max((estimate_peak_bytes(model, packed) for packed in plan.passes), default=0)
    free_bytes = read_free_bytes(model.device)
    if needed > free_bytes:
        raise make_memory_error(
            model, plan, needed, free_bytes, "Compile the plan with `plan_passes`, which makes passes that fit"
        )


def make_memory_error(model: Model, plan: Plan, needed: int, free_bytes: int, fix: str) -> PlanError:
    """The error that says how much memory is missing, and what helps."""
    return PlanError(
        f"a pass of {max(map(len, plan.passes)):,} rows through {model.name} needs about"
        f" {needed / 2**20:,.0f} MiB beyond the weights, and {free_bytes / 2**20:,.0f} MiB may be used",
        f"{fix}, or load the model with dtype='bfloat16'.",
    )
