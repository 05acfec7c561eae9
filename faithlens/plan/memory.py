"""Plans whose passes fit in the memory of a model's device.

1. `estimate_peak_bytes` adds up what one pass holds beyond the weights, with what is captured.
2. `plan_passes` compiles a plan, and lowers the rows of a pass until every pass fits.
3. `check_memory` refuses a plan that does not fit, before it runs.

A long sequence needs memory for its residual stream and for the keys and values of one layer; everything inside a block
is made for `CHUNK_ROWS` rows at a time.

For example, a float32 model with d_model 48, 2 key/value heads of width 8, an MLP of width 96 and 261 tokens, and one
pass of 36 rows of which one is read::

    residual stream, three times   36 rows * 3 * 48 numbers * 4 bytes = 20,736    the final norm makes float32 copies
    keys and values                36 rows * 32 numbers * 4 bytes     =  4,608
    inside of a block              36 rows * 4 * 96 numbers * 4 bytes = 55,296
    logits of the rows read        3 * 4 bytes * 1 row * 261 tokens   =  3,132
    masks of attention                                                =      0    of blocks with short branches only
                                                                total = 83,772
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from faithlens.errors import PlanError
from faithlens.kernels.answer_logprobs.streamed import CHUNK_LOGITS
from faithlens.kernels.tree_attention.blocks import count_mask_numbers
from faithlens.kernels.tree_attention.tree import Tree
from faithlens.model.lengths import read_size, require_size
from faithlens.model.library import get_text_config
from faithlens.model.model import Model, check_model
from faithlens.plan.capture import Capture
from faithlens.plan.checks import check_model_fit, list_with_donors
from faithlens.plan.condition import Condition
from faithlens.plan.packing import CHUNK_ROWS, PackedPass
from faithlens.plan.plan import BRANCHES, Plan, compile_plan

FREE_SHARE = 0.7  # of the free memory, what a plan takes for its passes if nobody says how much
MASKED_LAYERS = {"full_attention", "sliding_attention", "chunked_attention"}  # as configs of transformers name them
CGROUPS = Path("/sys/fs/cgroup")


def plan_passes(
    model: Model,
    conditions: Sequence[Condition],
    capture: Capture = Capture(),
    *,
    budget: int | None = None,
    memory: int | None = None,
) -> Plan:
    """Compile a plan for a model, with passes that fit in memory.

    Args:
        model: gives the structure and the context length.
        conditions: what the plan runs.
        capture: what will be read, which is kept in memory too.
        budget: the most packed rows in a pass; None for as many as fit in memory. It is raised to `1 + BRANCHES` times
            what the longest condition needs, or else its rows would be computed again for a few others at a time.
        memory: the bytes that a pass may hold beyond the weights; by default, `FREE_SHARE` of what is free now, and all
            of it for a condition that does not fit otherwise.

    Returns:
        The plan, for `fl.execute` and `fl.estimate_cost`.

    Raises:
        ModelError: not a model.
        PlanError: a condition alone does not fit, or `compile_plan` refuses.
    """
    check_model(model)
    start = perf_counter()
    free = read_free_bytes(model.device) if memory is None else memory
    allowed = int(FREE_SHARE * free) if memory is None else memory
    if budget is not None and conditions:
        budget = max(budget, (1 + BRANCHES) * max(map(count_needed_rows, conditions)))
    is_strict = False
    while True:
        plan = compile_plan(
            conditions,
            model.structure,
            budget=budget,
            context_length=model.context_length,
            scaling_lengths=model.scaling_lengths,
            is_strict=is_strict,
        )
        needed = max((estimate_peak_bytes(model, plan, packed, capture) for packed in plan.passes), default=0)
        rows = max(map(len, plan.passes), default=0)
        if needed <= allowed or len(plan.passes) == len(plan.conditions):
            break
        budget, is_strict = max(1, min(rows // 2, int(rows * allowed / needed))), True
    check_model_fit(model, conditions)
    if needed > free:
        raise make_memory_error(model, plan, needed, free, "Shorten the longest condition, give more memory")
    return replace(plan, seconds=perf_counter() - start)


def count_needed_rows(condition: Condition) -> int:
    """The rows of a condition and of its donors, if they share none."""
    return sum(each.n_tokens for each in list_with_donors([condition]))


def estimate_peak_bytes(model: Model, plan: Plan, packed: PackedPass, capture: Capture = Capture()) -> int:
    """The bytes that a pass holds beyond the weights (see the example above)."""
    config, size = get_text_config(model.hf_model), model.hf_model.dtype.itemsize
    rows, chunk = len(packed), min(len(packed), CHUNK_ROWS.get(model.device.type, CHUNK_ROWS["cpu"]))
    d_model = require_size(config, "hidden_size")
    heads = read_size(config, "num_attention_heads") or 1  # a model without heads is refused by its anatomy
    d_head = read_size(config, "qk_head_dim") or read_size(config, "head_dim") or d_model // heads
    kv = 2 * d_head * (read_size(config, "num_key_value_heads") or heads)
    inner = read_size(config, "intermediate_size") or read_size(config, "n_inner") or 4 * d_model
    written = len({rows.edit.component for rows in packed.overwrites}) * d_model
    logits = 3 * 4 * min(CHUNK_LOGITS, len(find_read_rows(packed)) * config.vocab_size)
    stream = rows * (3 * d_model * max(4, size) + (kv + written) * size)
    within = chunk * 4 * inner * size
    if capture.attribution:  # a backward pass needs what every block has computed
        stream = rows * (4 * d_model + kv + written) * size * model.n_layers
        within = rows * 4 * inner * size * model.n_layers
    return (
        stream + within + logits + count_mask_bytes(model, packed) + count_captured_bytes(model, plan, packed, capture)
    )


def count_mask_bytes(model: Model, packed: PackedPass) -> int:
    """The bytes of the masks of attention that stay in memory during a pass; the kernel of a GPU has none."""
    if model.device.type == "cuda":
        return 0
    marked = np.array([bool(own or other) for own, other in zip(packed.cuts, packed.grafts, strict=True)])
    tree = Tree(
        *(torch.as_tensor(each) for each in (packed.depth, packed.places, packed.visible_until)),
        hidden=torch.as_tensor(marked[packed.mark_sets])[:, None, None] * torch.tensor([0, 1]),  # not empty
        grafts=torch.zeros(len(packed), 0, 2, dtype=torch.long),
    )
    chunk = CHUNK_ROWS["cpu"]
    last = sorted(find_read_rows(packed))  # in the last layer these run by themselves
    numbers = 0
    for start in range(0, len(packed), chunk):
        numbers += count_mask_numbers(tree, range(start, min(start + chunk, len(packed))))
    for start in range(0, len(last), chunk):
        numbers += count_mask_numbers(tree, torch.tensor(last[start : start + chunk]))
    kinds = {*(getattr(get_text_config(model.hf_model), "layer_types", None) or ())}  # each has masks of its own
    return numbers * max(1, len(kinds & MASKED_LAYERS)) * model.hf_model.dtype.itemsize


def find_read_rows(packed: PackedPass) -> set[int]:
    """The rows whose next-token probabilities are read."""
    return {row for placement in packed.placements for option in placement.reads for row, _ in option}


def count_captured_bytes(model: Model, plan: Plan, packed: PackedPass, capture: Capture) -> int:
    """The bytes of what is read of a pass: numbers of each layer, head, reader and piece, and activations."""
    heads, d_model = model.n_heads, require_size(get_text_config(model.hf_model), "hidden_size")
    readings, activations, pieces, lens_rows = 0, 0, 0, 0
    for placed in packed.placements:
        condition = plan.conditions[placed.index]
        kinds = (capture.attention, capture.flow, capture.gradient_flow)
        readings += sum(len(capture.locate_readers(condition, kind)) for kind in kinds if kind)
        pieces = max(pieces, len(condition.pieces))
        lens_rows += len(capture.locate_readers(condition, capture.logit_lens))
        for site in capture.list_sites(condition):
            start, stop = condition.locate(site.span)
            activations += (stop - start) * d_model
    pooled = 2 * readings * model.n_layers * heads * pieces  # as layers, and in the records
    compared = len(packed) * d_model * 3 if capture.compare or capture.divergence else 0
    streams = model.n_layers * min(lens_rows, len(packed)) * d_model
    return 4 * (pooled + activations + compared + streams)


def read_free_bytes(device: torch.device) -> int:
    """Bytes of memory that are free on `device`, and on a CPU within the limits of the process's control groups too."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    info = Path("/proc/meminfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text().splitlines())
        return min([int(fields["MemAvailable"].split()[0]) * 1024, *read_group_limits()])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def read_group_limits() -> list[int]:
    """The bytes that each control group of this process may still use, where it has a limit."""
    own = Path("/proc/self/cgroup")
    paths = [line.split(":", 2)[2] for line in own.read_text().splitlines()] if own.exists() else []
    folders = {CGROUPS, CGROUPS / "memory"}
    for path in paths:
        for root in (CGROUPS, CGROUPS / "memory"):
            inner = root / path.lstrip("/")
            folders |= {inner, *(parent for parent in inner.parents if parent.is_relative_to(CGROUPS))}
    out = list[int]()
    for folder in folders:
        for most, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            limit, usage = (read_number(folder / name) for name in (most, used))
            if limit is not None and usage is not None:
                files = read_number(folder / "memory.stat", "inactive_file") or 0  # given back when memory is short
                out.append(max(0, limit - usage + files))
    return out


def read_number(file: Path, name: str = "") -> int | None:
    """The number in a file of a control group, or that of the line `name`; None if there is none, or no limit."""
    try:
        words = file.read_text().split()
    except OSError:
        return None
    word = words[words.index(name) + 1] if name in words else "" if name else words[0] if words else ""
    return int(word) if word.isdigit() else None


def check_memory(model: Model, plan: Plan, capture: Capture = Capture()) -> None:
    """Refuse a plan that does not fit in memory, before it runs.

    Raises:
        PlanError: some pass needs more than is free.
    """
    needed = max((estimate_peak_bytes(model, plan, packed, capture) for packed in plan.passes), default=0)
    free_bytes = read_free_bytes(model.device)
    if needed > free_bytes:
        raise make_memory_error(
            model, plan, needed, free_bytes, "Compile the plan with `plan_passes`, which makes passes that fit"
        )


def make_memory_error(model: Model, plan: Plan, needed: int, free_bytes: int, fix: str) -> PlanError:
    """The error that says how much memory is missing, and what helps."""
    error = PlanError(
        f"a pass of {max(map(len, plan.passes)):,} rows through {model.name} needs about"
        f" {needed / 2**20:,.0f} MiB beyond the weights, and {free_bytes / 2**20:,.0f} MiB may be used",
        f"{fix}, or load the model with dtype='bfloat16'.",
    )
    error.__cause__ = MemoryError(error.problem)  # so that callers can tell it from other errors of plans
    return error
