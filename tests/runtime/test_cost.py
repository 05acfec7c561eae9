"""Estimates of time and memory, and the refusal that rests on them."""

import pytest

from faithlens.errors import PlanError
from faithlens.runtime import cost as costs
from faithlens.runtime.condition import Condition, Patch
from faithlens.runtime.execute import execute
from faithlens.runtime.plan import compile_plan
from faithlens.runtime.trace import Piece
from tests.conftest import tiny

STEM = Piece("stem", (1, 2))
CLEAN = Condition("clean", (Piece("prompt", tuple(range(10, 40))), Piece("step 0", (3, 4, 5, 6)), STEM), ((7,), (8,)))
DONOR = Condition("donor", (Piece("prompt", tuple(range(10, 40))), Piece("step 0", (5, 6, 7, 8)), STEM), ((7,), (8,)))


def test_work_is_counted_in_forwards() -> None:
    """Of three layers: a clean and a donor row, and six rows that join in the last."""
    lens = tiny("llama")
    patched = Condition("patched", CLEAN.pieces, CLEAN.options, (Patch("resid_pre", "step 0", DONOR, layers=(2,)),))
    assert costs.cost(lens, compile_plan([CLEAN])).forwards == 1
    rows = 36 * 3 + 6 * 3 + 6 * 1  # the donor shares the prompt
    assert costs.cost(lens, compile_plan([CLEAN, patched])).forwards == pytest.approx(rows / (36 * 3))


def test_what_does_not_fit_is_refused_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    lens, plan = tiny("llama"), compile_plan([CLEAN])
    needed = costs.peak(lens, plan.passes[0])
    monkeypatch.setattr(costs, "free", lambda device: needed - 1)
    assert len(lens.anatomy.blocks) == 3  # found on a forward of its own
    monkeypatch.setattr(lens.model, "forward", None)
    monkeypatch.setattr(lens.model.base_model, "forward", None)
    with pytest.raises(PlanError, match="smaller budget"):
        execute(lens, plan)


def test_the_estimate_reads_well() -> None:
    told = str(costs.Cost(1.5, 3 * 2**20, 0.25, 2**30))
    assert (
        told
        == "about 1.5 plain forwards of the longest condition, 0.2 s, 3 MiB beyond the weights (1,024 MiB are free)"
    )
