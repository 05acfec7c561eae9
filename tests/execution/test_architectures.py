"""Architectures beyond those that TransformerLens runs with all edits: packed against an oracle, on every kind of edit.

Models whose attention goes through transformers' registry are compared with `oracle`. Older ones, which compute it by
themselves, are compared with TransformerLens, and their knockouts with transformers' own attention under a mask.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.tiny_models import make_tiny_model
from faithlens.errors import ModelError
from faithlens.execution.execute import execute
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition, Knockout, Patch
from faithlens.plan.packing import CHUNK_ROWS
from faithlens.plan.plan import compile_plan
from tests.conftest import OTHERS, tiny
from tests.execution import test_composed_edits as composed
from tests.execution import test_edits as single
from tests.execution.exact import NoFloat32, execute_exactly, in_float64
from tests.execution.oracle import Oracle

BY_REGISTRY = ("afmoe", "dbrx", "gemma4", "granitemoeshared", "llama4", "opt")
ALL_BY_LENS = ("bloom", "codegen", "falcon", "mpt")
CUTS_LOST = ("gpt_neo", "gptj")  # TransformerLens discards their knockouts
CLEAN, DONOR = single.CLEAN, single.DONOR
WEIGHTS = (1.0, -1.0, 0.0, 0.5)


def test_every_family_is_tested() -> None:
    assert {*BY_REGISTRY, *ALL_BY_LENS, *CUTS_LOST, "falcon_2", "falcon_alibi"} == {*OTHERS}


@pytest.mark.parametrize("chunk_rows", [None, 7])
@pytest.mark.parametrize("family", BY_REGISTRY)
def test_edits_are_those_of_the_oracle(family: str, chunk_rows: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random edits that nest, and edits that overlap; also with rows in small chunks, and in several passes."""
    if chunk_rows:
        monkeypatch.setitem(CHUNK_ROWS, "cpu", chunk_rows)
    cases = [replace(composed.CLEAN, name=name, edits=edits) for name, edits in composed.CASES.items()]
    conditions = [composed.CLEAN, *cases, *composed.draw_conditions(family, 6)]
    gaps = composed.find_gaps(family, conditions, 120 if chunk_rows else 4000, ["packed"])
    assert {name: gap for name, gap in gaps.items() if not gap < 1e-10} == {}


@pytest.mark.parametrize("family", [*ALL_BY_LENS, *CUTS_LOST])
def test_edits_are_those_of_transformer_lens(family: str) -> None:
    names = [
        name
        for name, edits in single.EDITS.items()
        if family not in CUTS_LOST or not any(has_knockout(edit) for edit in edits)
    ]
    model, plan = tiny(family), compile_plan(single.conditions(names))
    truth = execute_exactly(model, plan, single.CAPTURE, backend="separate")
    gaps = single.worst(execute_exactly(model, plan, single.CAPTURE, backend="packed"), truth)
    assert {name: gap for name, gap in gaps.items() if not gap < 1e-10} == {}


def has_knockout(edit: Any) -> bool:
    return isinstance(edit, Knockout) or any(map(has_knockout, getattr(getattr(edit, "donor", None), "edits", ())))


@pytest.mark.parametrize("family", [*CUTS_LOST, "opt", "llama4"])
def test_knockouts_that_transformer_lens_discards_are_refused(family: str) -> None:
    plan = compile_plan(single.conditions(["knockout of a layer"]))
    with pytest.raises(ModelError, match="cannot be cut"):
        execute(tiny(family), plan, backend="separate")


def answer_under_mask(
    model: Model, condition: Condition, read: range, reader: range, layers: tuple[int, ...]
) -> Tensor:
    """The log-probabilities of the options of one token, by transformers' own attention with a mask in some layers."""
    hf_model, handles = model.hf_model, []
    cut = torch.zeros(len(condition.ids), len(condition.ids))
    cut[reader.start :, read.start : read.stop] = -1e30

    def add_cut(module: Any, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        mask = kwargs["attention_mask"]
        if mask.dtype == torch.bool:  # MPT marks the keys that are hidden, Falcon those that are seen
            is_cut = cut < 0
            cut_mask = mask | is_cut if type(hf_model).__name__ == "MptForCausalLM" else mask & ~is_cut
        else:
            cut_mask = mask + cut.to(mask)
        return args, kwargs | {"attention_mask": cut_mask}

    try:
        for layer in layers:
            attention = model.anatomy.blocks[layer].get_submodule(ATTENTION[type(hf_model).__name__])
            handles.append(attention.register_forward_pre_hook(add_cut, with_kwargs=True))
        logits = hf_model(torch.tensor([condition.ids]), use_cache=False).logits[0, -1]
    finally:
        for handle in handles:
            handle.remove()
    return logits.log_softmax(-1)[[option[0] for option in condition.options if len(option) == 1]]


ATTENTION = {
    "BloomForCausalLM": "self_attention",
    "CodeGenForCausalLM": "attn",
    "FalconForCausalLM": "self_attention",
    "GPTJForCausalLM": "attn",
    "GPTNeoForCausalLM": "attn.attention",
    "MptForCausalLM": "attn",
}


@pytest.mark.parametrize("family", [*ALL_BY_LENS, *CUTS_LOST, "falcon_2", "falcon_alibi"])
def test_knockouts_are_those_of_a_mask(family: str) -> None:
    model, spans = in_float64(tiny(family)), CLEAN.spans
    for layers in ((0, 1, 2), (1,)):
        read, reader = range(*spans["step 1"]), range(*spans["stem"])
        knocked = replace(CLEAN, edits=(Knockout("stem", ("step 1",), layers=layers),))
        with NoFloat32(), torch.inference_mode():
            clean, cut = execute(model, compile_plan([CLEAN, knocked]))
            for record, where in ((clean, ()), (cut, layers)):
                truth = answer_under_mask(model, CLEAN, read, reader, where)
                torch.testing.assert_close(record.logprobs[:2], truth, atol=1e-10, rtol=0)
        assert not torch.allclose(clean.logprobs, cut.logprobs, atol=1e-3)


@pytest.mark.parametrize("component", ["resid_pre", "z", "attn_out", "mlp_out", "resid_post"])
@pytest.mark.parametrize("family", [*BY_REGISTRY, *ALL_BY_LENS, *CUTS_LOST])
def test_gradients_are_slopes(family: str, component: Any) -> None:
    """Gradient times step of a patch, summed over its rows, is the slope of the metric along the patch's amount."""
    model, capture = in_float64(tiny(family)), Capture(attribution=WEIGHTS)

    def patch(amount: float) -> Condition:
        edit = Patch(component, "step 1", DONOR, layers=(0,), amount=amount)
        return replace(CLEAN, name=str(amount), edits=(edit,))

    with NoFloat32():
        [record] = execute(model, compile_plan([patch(0.3)]), capture)
        ends = [patch(0.3 + h) for h in (1e-5, -1e-5)]
        if family in BY_REGISTRY:
            with torch.no_grad():
                high, low = (Oracle(model).score(end) for end in ends)
        else:
            high, low = (record.logprobs for record in execute(model, compile_plan(ends), backend="separate"))
    [score] = record.attribution.values()
    slope = float((torch.tensor(WEIGHTS) * (high - low)).sum()) / 2e-5
    assert abs(slope) > 1e-6
    assert float(score.sum()) == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("kind", ["gemma3", "gemma4", "llama4"])
def test_the_text_side_of_a_model_with_a_tower_is_packed(kind: str) -> None:
    model = make_tiny_model(kind)
    knocked = replace(CLEAN, name="cut", edits=(Knockout("stem", ("step 1",)), Patch("z", "step 0", DONOR, (1,))))
    packed, separate = (execute(model, compile_plan([CLEAN, DONOR]), backend=b) for b in ("packed", "separate"))
    for a, b in zip(packed, separate, strict=True):
        torch.testing.assert_close(a.logprobs, b.logprobs, atol=2e-4, rtol=0)
    first, second = execute(model, compile_plan([CLEAN, knocked]))
    assert not torch.allclose(first.logprobs, second.logprobs, atol=1e-3)
