"""Gradient-weighted flow, divergence from a reference: packed against TransformerLens, and against their own sums."""

from dataclasses import replace

import pytest
import torch

from faithlens.errors import PlanError
from faithlens.execution.execute import execute
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition
from faithlens.plan.plan import compile_plan
from tests.conftest import MORE, tiny
from tests.execution.exact import NoFloat32, execute_exactly, in_float64
from tests.execution.test_edits import CLEAN, DONOR, EDITS, conditions

METRIC = (1.0, -1.0, 0.0, 0.5)
READ = Capture(attribution=METRIC, gradient_flow=("answer", "step 2"))


@pytest.mark.parametrize("family", ["llama", "gpt2", "deepseek_v3", "gemma2", "gpt_oss", "mistral"])
def test_gradient_flow_is_that_of_transformer_lens(family: str) -> None:
    model, plan = tiny(family), compile_plan([CLEAN, DONOR])
    packed, separate = (execute_exactly(model, plan, READ, backend=b) for b in ("packed", "separate"))
    for a, b in zip(packed, separate, strict=True):
        assert set(a.gradient_flow) == set(b.gradient_flow) == {"answer", "step 2"}
        for reader, flow in a.gradient_flow.items():
            assert flow.abs().max() > 1e-4
            torch.testing.assert_close(flow, b.gradient_flow[reader], atol=1e-10, rtol=1e-8)


def test_gradient_flow_adds_up_to_gradient_times_output(model: Model) -> None:
    """Over all pieces it is the metric's slope in the length of the head's output, here by finite differences."""
    [record] = execute_exactly(model, compile_plan([CLEAN]), READ, backend="packed")
    with NoFloat32(), torch.no_grad():
        bridge = in_float64(model).bridge
        for layer, head in ((0, 1), (1, 4), (2, 2)):

            def metric(longer: float, layer: int = layer, head: int = head) -> float:
                def hook(z: torch.Tensor, hook: object) -> torch.Tensor:
                    z[:, len(CLEAN.ids) - 1, head] *= 1 + longer
                    return z

                total = 0.0
                for weight, option in zip(METRIC, CLEAN.options, strict=True):
                    ids = torch.tensor([CLEAN.ids + option[:-1]])
                    logits = bridge.run_with_hooks(ids, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", hook)])[0]
                    rows = logits[len(CLEAN.ids) - 1 :].log_softmax(-1)
                    total += weight * float(rows[range(len(option)), list(option)].sum())
                return total

            slope = (metric(1e-4) - metric(-1e-4)) / 2e-4
            assert float(record.gradient_flow["answer"][layer, head].sum()) == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_reading_gradients_changes_no_answer(model: Model) -> None:
    plain, read = (execute(model, compile_plan([CLEAN]), capture)[0] for capture in (Capture(), READ))
    torch.testing.assert_close(plain.logprobs, read.logprobs, atol=1e-5, rtol=0)


def test_gradient_flow_without_a_metric_or_under_edits_is_refused() -> None:
    model, edited = tiny("llama"), replace(CLEAN, edits=EDITS["knockout"])
    with pytest.raises(PlanError, match="needs a metric to take the gradient of"):
        execute(model, compile_plan([CLEAN]), Capture(gradient_flow=("answer",)))
    with pytest.raises(PlanError, match="it is edited"):
        execute(model, compile_plan([edited]), READ)


def test_gradient_flow_of_shared_rows_is_refused() -> None:
    cut = replace(CLEAN, name="cut", pieces=(*CLEAN.pieces[:4], replace(CLEAN.pieces[-1], ids=(9, 8))))
    with pytest.raises(PlanError, match="2 conditions share its rows"):
        execute(tiny("llama"), compile_plan([CLEAN, cut]), replace(READ, gradient_flow=("step 2",)))


def diverging(names: list[str]) -> list[Condition]:
    other = replace(DONOR, name="another trace", reference=CLEAN)
    return [*conditions(names), other, replace(CLEAN, name="itself", reference=CLEAN)]


def test_divergence_is_that_of_full_logits(model: Model) -> None:
    plan, capture = compile_plan(diverging(list(EDITS))), Capture(divergence=True)
    packed, separate = (execute_exactly(model, plan, capture, backend=b) for b in ("packed", "separate"))
    assert packed[0].kl is None
    for a, b in zip(packed[1:], separate[1:], strict=True):
        assert a.kl is not None
        assert b.kl is not None
        torch.testing.assert_close(a.kl, b.kl, atol=1e-10, rtol=1e-7, equal_nan=True)
    assert packed[-1].kl is not None
    assert packed[-1].kl.tolist() == [0.0] * 5  # exactly: the same rows


@pytest.mark.parametrize("family", sorted(MORE))
def test_divergence_on_more_families(family: str) -> None:
    plan = compile_plan(diverging(["knockout between steps", "patch resid_pre", "key-value patch"]))
    packed, separate = (
        execute_exactly(tiny(family), plan, Capture(divergence=True), backend=b) for b in ("packed", "separate")
    )
    for a, b in zip(packed[1:], separate[1:], strict=True):
        assert a.kl is not None
        torch.testing.assert_close(a.kl, b.kl, atol=1e-10, rtol=1e-7, equal_nan=True)


def test_rows_before_an_edit_do_not_diverge(model: Model) -> None:
    [_, record] = execute(model, compile_plan(conditions(["knockout between steps"])), Capture(divergence=True))
    assert record.kl is not None
    assert record.kl[:3].tolist() == [0.0, 0.0, 0.0]
    assert bool((record.kl[3:] > 1e-6).all())
