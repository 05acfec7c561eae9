"""Estimates of the time and memory of a plan."""

import pytest

from faithlens.execution.cost import PlanCost, estimate_cost
from faithlens.model.trace import Piece
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
    assert estimate_cost(model, compile_plan([CLEAN])).forwards == 1
    rows = 36 * 3 + 6 * 3 + 6 * 1  # the donor shares the prompt
    assert estimate_cost(model, compile_plan([CLEAN, patched])).forwards == pytest.approx(rows / (36 * 3))


def test_the_estimate_reads_well() -> None:
    text = str(PlanCost(1.5, 4.0, 3 * 2**20, 0.25, 2**30))
    assert text == (
        "about 1.5 plain forwards of the longest condition instead of 4.0, 0.25 s, 3 MiB beyond the weights"
        " (1,024 MiB are free)"
    )


def test_the_estimate_stands_beside_the_description() -> None:
    model, plan = tiny("llama"), compile_plan([CLEAN, DONOR])
    assert plan.describe() == "2 conditions in 1 pass: 42 tokens instead of 72 (42% saved)"
    assert str(estimate_cost(model, plan)).startswith("about 1.2 plain forwards of the longest condition")
