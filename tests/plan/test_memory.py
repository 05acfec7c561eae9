"""Passes are made to fit in memory, and a plan that does not fit is refused."""

import pytest
import torch

from faithlens.errors import PlanError
from faithlens.execution.execute import execute
from faithlens.model.trace import Piece
from faithlens.plan import memory
from faithlens.plan.condition import Condition
from faithlens.plan.plan import compile_plan
from tests.conftest import tiny

STEM = Piece("stem", (1, 2))
CLEAN = Condition("clean", (Piece("prompt", tuple(range(10, 40))), Piece("step 0", (3, 4, 5, 6)), STEM), ((7,), (8,)))


def test_what_does_not_fit_is_refused_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    model, plan = tiny("llama"), compile_plan([CLEAN])
    needed = memory.estimate_peak_bytes(model, plan.passes[0])
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
    most = memory.estimate_peak_bytes(model, whole.passes[0]) // 3
    cut = memory.plan_passes(model, conditions, memory=most)
    assert cut.conditions == tuple(conditions)
    assert len(cut.passes) > 2
    assert max(memory.estimate_peak_bytes(model, packed) for packed in cut.passes) <= most
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
    assert memory.estimate_peak_bytes(tiny("llama"), plan.passes[0]) == 81_900
    assert "total = 81,900" in str(memory.__doc__)
