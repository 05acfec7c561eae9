"""Estimates of time and memory, and the refusal that rests on them."""

import pytest
import torch

from faithlens.errors import PlanError
from faithlens.execution.execute import execute
from faithlens.model.trace import Piece
from faithlens.plan import cost as costs
from faithlens.plan.condition import Condition, Patch
from faithlens.plan.plan import compile_plan
from tests.conftest import tiny

STEM = Piece("stem", (1, 2))
CLEAN = Condition("clean", (Piece("prompt", tuple(range(10, 40))), Piece("step 0", (3, 4, 5, 6)), STEM), ((7,), (8,)))
DONOR = Condition("donor", (Piece("prompt", tuple(range(10, 40))), Piece("step 0", (5, 6, 7, 8)), STEM), ((7,), (8,)))


def test_work_is_counted_in_forwards() -> None:
    """Of three layers: a clean and a donor row, and six rows that join in the last."""
    model = tiny("llama")
    patched = Condition("patched", CLEAN.pieces, CLEAN.options, (Patch("resid_pre", "step 0", DONOR, layers=(2,)),))
    assert costs.estimate_cost(model, compile_plan([CLEAN])).forwards == 1
    rows = 36 * 3 + 6 * 3 + 6 * 1  # the donor shares the prompt
    assert costs.estimate_cost(model, compile_plan([CLEAN, patched])).forwards == pytest.approx(rows / (36 * 3))


def test_what_does_not_fit_is_refused_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    model, plan = tiny("llama"), compile_plan([CLEAN])
    needed = costs.estimate_peak_bytes(model, plan.passes[0])
    monkeypatch.setattr(costs, "free", lambda device: needed - 1)
    assert len(model.anatomy.blocks) == 3  # found on a forward of its own
    monkeypatch.setattr(model.hf_model, "forward", None)
    monkeypatch.setattr(model.hf_model.base_model, "forward", None)
    with pytest.raises(PlanError, match="plan_for"):
        execute(model, plan)


def many(n: int) -> list[Condition]:
    """Conditions that share nothing."""
    return [Condition(f"{i}", (Piece("prompt", tuple(range(10 + i, 60 + i))), STEM), ((7,), (8,))) for i in range(n)]


def test_passes_are_made_small_enough_for_the_memory_there_is() -> None:
    model, conditions = tiny("llama"), many(16)
    whole = costs.plan_passes(model, conditions)
    assert len(whole.passes) == 1
    most = costs.estimate_peak_bytes(model, whole.passes[0]) // 3
    cut = costs.plan_passes(model, conditions, memory=most)
    assert cut.conditions == tuple(conditions)
    assert len(cut.passes) > 2
    assert max(costs.estimate_peak_bytes(model, packed) for packed in cut.passes) <= most
    for mine, theirs in zip(execute(model, cut), execute(model, whole), strict=True):
        torch.testing.assert_close(mine.logprobs, theirs.logprobs, atol=1e-5, rtol=0)


def test_a_condition_that_fits_no_memory_is_refused_with_the_numbers() -> None:
    model = tiny("llama")
    with pytest.raises(PlanError, match=r"a pass of 52 rows through tiny-llama\s.*0 MiB may be used\s.*shorten"):
        costs.plan_passes(model, many(3), memory=1000)


def test_a_plan_is_made_for_its_model() -> None:
    model = tiny("llama")
    long = Condition("long", (Piece("prompt", (1,) * 600), STEM), ((7,),))
    with pytest.raises(PlanError, match="reads at most 512"):
        costs.plan_passes(model, [long])


def test_the_estimate_reads_well() -> None:
    told = str(costs.PlanCost(1.5, 4.0, 3 * 2**20, 0.25, 2**30))
    assert told == (
        "about 1.5 plain forwards of the longest condition instead of 4.0, 0.25 s, 3 MiB beyond the weights"
        " (1,024 MiB are free)"
    )


def test_a_plan_tells_what_it_takes() -> None:
    model, plan = tiny("llama"), compile_plan([CLEAN, DONOR])
    assert plan.describe() == "2 conditions in 1 pass: 42 tokens instead of 72 (42% saved)"
    assert plan.describe(model).startswith(plan.describe() + "; about 1.2 plain forwards of the longest condition")
