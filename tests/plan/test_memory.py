"""Passes are made to fit in memory, and a plan that does not fit is refused."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from faithlens.errors import ModelError, PlanError
from faithlens.execution import packed
from faithlens.execution.execute import execute
from faithlens.kernels.tree_attention import blocks
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan import memory
from faithlens.plan.capture import Capture, Site
from faithlens.plan.condition import Condition, KeyValuePatch, Knockout
from faithlens.plan.packing import PackedPass
from faithlens.plan.plan import Plan, compile_plan
from tests.conftest import tiny

STEM = Piece("stem", (1, 2))
CLEAN = Condition("clean", (Piece("prompt", tuple(range(10, 40))), Piece("step 0", (3, 4, 5, 6)), STEM), ((7,), (8,)))


def test_what_does_not_fit_is_refused_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    model, plan = tiny("llama"), compile_plan([CLEAN])
    needed = memory.estimate_peak_bytes(model, plan, plan.passes[0])
    execute(model, plan)  # the checks at the first use need forwards, which are made here
    monkeypatch.setattr(memory, "read_free_bytes", lambda device: needed - 1)
    monkeypatch.setattr(model.hf_model, "forward", None)
    monkeypatch.setattr(model.hf_model.base_model, "forward", None)
    with pytest.raises(PlanError, match="plan_passes"):
        execute(model, plan)


def many(n: int) -> list[Condition]:
    """Conditions that share nothing."""
    return [Condition(f"{i}", (Piece("prompt", tuple(range(10 + i, 60 + i))), STEM), ((7,), (8,))) for i in range(n)]


def test_passes_are_made_small_enough_for_the_memory_there_is() -> None:
    model, conditions = tiny("llama"), many(16)
    whole = memory.plan_passes(model, conditions)
    assert len(whole.passes) == 1
    most = memory.estimate_peak_bytes(model, whole, whole.passes[0]) // 3
    cut = memory.plan_passes(model, conditions, memory=most)
    assert cut.conditions == tuple(conditions)
    assert len(cut.passes) > 2
    assert max(memory.estimate_peak_bytes(model, cut, one) for one in cut.passes) <= most
    for mine, theirs in zip(execute(model, cut), execute(model, whole), strict=True):
        torch.testing.assert_close(mine.logprobs, theirs.logprobs, atol=1e-5, rtol=0)


def test_a_condition_that_fits_no_memory_is_refused_with_the_numbers() -> None:
    model = tiny("llama")
    with pytest.raises(PlanError, match=r"a pass of 52 rows through tiny-llama needs .* 0 MiB may be used\s.*Shorten"):
        memory.plan_passes(model, many(3), memory=1000)


def test_a_plan_is_made_for_its_model() -> None:
    model = tiny("llama")
    long = Condition("long", (Piece("prompt", (1,) * 600), STEM), ((7,),))
    with pytest.raises(PlanError, match="reads at most 512"):
        memory.plan_passes(model, [long])


def test_the_example_of_the_module_is_right() -> None:
    """One pass of 36 rows of tiny-llama, of which the last is read."""
    plan = compile_plan([CLEAN])
    assert memory.estimate_peak_bytes(tiny("llama"), plan, plan.passes[0]) == 83_772
    assert "total = 83,772" in str(memory.__doc__)


def test_masks_are_predicted_as_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Branches of a few rows after long ones, and rows that do not see all before them."""
    model, clean = tiny("llama"), share(1, 384)
    *trunk, stem = clean.pieces
    cuts = [replace(clean, name=f"cut@{t}", pieces=(*trunk[:t], stem)) for t in range(1, 9)]
    hidden = [replace(clean, name=f"hide {i}", edits=(Knockout("stem", (f"step {i}",)),)) for i in range(8)]
    plan = compile_plan([clean, *cuts, *hidden, *many(3)])
    assert len(plan.passes[0]) < memory.CHUNK_ROWS["cpu"]
    execute(model, plan)  # the checks at the first use run passes of their own
    make_block, made = blocks.make_block, list[int]()

    def watch(*args: Any) -> blocks.Block:
        block = make_block(*args)
        assert block.mask is not None
        made.append(block.mask.nbytes if block.mask.untyped_storage().nbytes() == block.mask.nbytes else 0)
        return block

    monkeypatch.setattr(blocks, "make_block", watch)
    execute(model, plan)
    assert memory.count_mask_bytes(model, plan.passes[0]) == sum(made) > 100_000


def test_the_final_norm_of_a_16_bit_model_computes_in_float32() -> None:
    """So its copies of the residual stream take as much as in a float32 model; keys, values and blocks take half."""
    model, plan = tiny("llama"), compile_plan([CLEAN])
    half = replace(model, hf_model=copy.deepcopy(model.hf_model).to(torch.bfloat16))
    assert memory.estimate_peak_bytes(half, plan, plan.passes[0]) == 83_772 - (4_608 + 55_296) // 2


def share(first: int, n: int) -> Condition:
    """A chain of `n` tokens, after a first token that no other chain has."""
    steps = tuple(Piece(f"step {i}", tuple(range(10 + i, 10 + i + n // 8))) for i in range(8))
    return Condition(f"full {first}", (Piece("prompt", (first,)), *steps, STEM), ((7,), (8,)))


def test_rows_grow_with_the_length_of_a_chain_at_every_length() -> None:
    """Truncations, knockouts and key-value patches of a chain cost the chain, its donor and a few rows each."""
    for n in (48, 96, 104, 192, 384):
        clean, donor = share(1, n), share(2, n)
        *trunk, stem = clean.pieces
        cuts = [replace(clean, name=f"cut@{t}", pieces=(*trunk[:t], stem)) for t in range(1, 9)]
        hidden = [replace(clean, name=f"hide {i}", edits=(Knockout("stem", (f"step {i}",)),)) for i in range(8)]
        patched = [
            replace(clean, name=f"exchange {i}", edits=(KeyValuePatch("stem", f"step {i}", donor),)) for i in range(8)
        ]
        conditions = [clean, *cuts, *hidden, donor, *patched]
        for plan in (compile_plan(conditions), memory.plan_passes(tiny("llama"), conditions, budget=100)):
            assert len(plan.passes) == 1
            assert plan.tokens == len(clean.ids) + len(donor.ids) + (8 + 8 + 8) * len(STEM.ids)
        if n > 100:
            assert len(compile_plan([clean, *cuts, *hidden], budget=100).passes) == 1


def test_a_pass_that_runs_out_of_memory_is_run_in_smaller_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    model, conditions = tiny("llama"), many(7)
    plan, run_pass, rows = memory.plan_passes(model, conditions), packed.run_pass, list[int]()
    whole = execute(model, plan)

    def run_short(model: Model, plan: Plan, one: PackedPass, capture: Capture) -> dict:
        rows.append(len(one))
        if len(one) > 120:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run_pass(model, plan, one, capture)

    monkeypatch.setattr(packed, "run_pass", run_short)
    for mine, theirs in zip(execute(model, plan), whole, strict=True):
        assert mine.condition is theirs.condition
        torch.testing.assert_close(mine.logprobs, theirs.logprobs, atol=1e-5, rtol=0)
    assert rows[0] == len(plan.passes[0]) > 120 >= max(rows[-3:])

    def never(*args: object) -> dict:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(packed, "run_pass", never)
    with pytest.raises(ModelError, match=r"condition '0' alone, a pass of 52 rows .* needs more memory than there is"):
        execute(model, plan)


def test_the_limit_of_a_control_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("5000\n")
    assert memory.read_group_limits() == []
    (tmp_path / "memory.max").write_text("9000\n")
    (tmp_path / "memory.stat").write_text("anon 10\ninactive_file 1000\n")
    assert memory.read_group_limits() == [5000]
    assert memory.read_free_bytes(torch.device("cpu")) == 5000


def test_what_is_captured_counts() -> None:
    model, plan = tiny("llama"), compile_plan([CLEAN])
    bare = memory.estimate_peak_bytes(model, plan, plan.passes[0])
    pooled = memory.estimate_peak_bytes(model, plan, plan.passes[0], Capture(attention=("answer",)))
    captured = memory.estimate_peak_bytes(model, plan, plan.passes[0], Capture(activations=(Site("z", 0, "step 0"),)))
    assert pooled - bare == 4 * 2 * 3 * 6 * 3  # twice 3 layers, 6 heads and 3 pieces
    assert captured - bare == 4 * 4 * 48  # 4 tokens
