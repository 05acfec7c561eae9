"""Attribution scores under several edits: central differences of the oracle in the amount of each patch."""

from dataclasses import replace

import pytest
import torch

from faithlens.execution.execute import execute
from faithlens.execution.options import BACKENDS, Backend
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Ablation, Apply, Condition, Edit, KeyValuePatch, Knockout, Patch
from faithlens.plan.packing import CHUNK_ROWS
from faithlens.plan.plan import compile_plan
from tests.conftest import tiny
from tests.execution.exact import NoFloat32, in_float64
from tests.execution.oracle import Oracle
from tests.execution.test_composed_edits import CLEAN, DONOR, OTHER, grown, patch_in

WEIGHTS = (1.0, -1.0, 0.5, 0.25)
STEP = 1e-4  # in the amount: the error of a central difference is of the order of its square

HALF = Patch("resid_pre", "step 1", DONOR, layers=(1,), amount=0.5)
EARLY = Patch("attn_out", "step 0", DONOR, layers=(0,), amount=0.3)
NESTED = patch_in((EARLY, HALF))
SHARING = replace(CLEAN, name="first rows are shared", edits=(EARLY,))
CASES: dict[str, tuple[Edit, ...]] = {
    "one patch over another": (HALF, Patch("resid_pre", (10, 14), OTHER, layers=(1, 2), amount=0.25)),
    "a patch that is erased": (HALF, Ablation("resid_pre", (9, 11), "zero", layers=(1,))),
    "a patch after a function": (Apply("resid_pre", "step 1", grown, layers=(1,)), HALF),
    "a patch before a function": (HALF, Apply("resid_pre", (10, 14), grown, layers=(1,))),
    "the same half patch twice": (HALF, HALF),
    "all layers": (Patch("z", (8, 13), DONOR, heads=(0, 2), amount=0.4),),
    "behind a knockout": (HALF, Knockout("stem", ("step 0",)), Knockout("step 2", ("step 1",), layers=(2,))),
    "behind a splice": (HALF, KeyValuePatch("stem", "step 0", NESTED)),
    "over the border of a splice": (
        KeyValuePatch("stem", "step 0", DONOR), Patch("resid_pre", (14, 18), DONOR, layers=(1,), amount=0.5),
    ),
    "a donor with patches": (Patch("resid_pre", "step 2", NESTED, layers=(2,), amount=0.5), EARLY),
    "a donor that shares the first rows": (EARLY, Patch("resid_pre", "step 2", SHARING, layers=(2,), amount=0.5)),
    "a splice from a donor that shares the first rows": (EARLY, KeyValuePatch("stem", "step 2", SHARING), HALF),
    "behind noise": (HALF, Ablation("resid_post", "step 1", "noise", layers=(0, 1), over=(NESTED,), scale=0.5)),
}  # fmt: skip


def differentiate(oracle: Oracle, condition: Condition) -> dict[Patch, float]:
    """The derivative of the metric in the amount of each patch; equal patches move together."""

    def measure(patch: Patch, amount: float) -> float:
        moved = tuple(replace(edit, amount=amount) if edit == patch else edit for edit in condition.edits)
        return float((torch.tensor(WEIGHTS) * oracle.score(replace(condition, edits=moved))).sum())

    patches = {edit for edit in condition.edits if isinstance(edit, Patch)}
    return {p: (measure(p, p.amount + STEP) - measure(p, p.amount - STEP)) / (2 * STEP) for p in patches}


def check_gradients(family: str, plans: list[list[Condition]], backend: Backend) -> None:
    model, capture = in_float64(tiny(family)), Capture(attribution=WEIGHTS)
    with NoFloat32():
        oracle, apart = Oracle(model), dict[tuple[str, Patch], float]()
        for conditions in plans:
            for record in execute(model, compile_plan(conditions), capture, backend=backend):
                with torch.no_grad():
                    slopes = differentiate(oracle, record.condition)
                assert set(record.attribution) == set(slopes)
                for patch, slope in slopes.items():
                    score = float(record.attribution[patch].double().sum())
                    apart[record.condition.name, patch] = abs(score - slope) / max(1.0, abs(slope))
    assert {key: gap for key, gap in apart.items() if not gap < 1e-5} == {}


@pytest.mark.parametrize(
    ("family", "backend"),
    [("llama", "packed"), ("gpt2", "packed"), ("gemma2", "packed"), ("deepseek_v3", "packed"), ("llama", "separate")],
)
def test_scores_are_derivatives_in_the_amount(family: str, backend: Backend) -> None:
    check_gradients(family, [[replace(CLEAN, name=name, edits=edits)] for name, edits in CASES.items()], backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_scores_of_donors_that_are_conditions_of_the_plan(backend: Backend) -> None:
    """What other conditions take from a patched row adds nothing to the row's own score."""
    patched = replace(CLEAN, name="patched", edits=(Patch("resid_pre", "step 2", NESTED, layers=(1,), amount=0.5),))
    spliced = replace(CLEAN, name="spliced", edits=(KeyValuePatch("stem", "step 1", NESTED), HALF))
    check_gradients("llama", [[NESTED, patched], [NESTED, spliced], [CLEAN, NESTED, patched, spliced]], backend)


def test_chunks_change_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHUNK_ROWS, "cpu", 7)
    check_gradients("llama", [[replace(CLEAN, name=name, edits=edits)] for name, edits in CASES.items()], "packed")


def test_an_equal_patch_of_two_conditions_has_two_scores() -> None:
    """Only rows that conditions share are refused, not edits that they share."""
    conditions = [replace(c, name=str(i), edits=(EARLY,)) for i, c in enumerate((CLEAN, DONOR))]
    check_gradients("llama", [conditions], "packed")
