"""A model whose layers are on several devices, as accelerate splits it, gives the results of the whole model."""

import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module, remove_hook_from_module

from faithlens.execution.execute import execute
from faithlens.plan.capture import Capture
from faithlens.plan.plan import compile_plan
from tests.conftest import tiny
from tests.execution.devices import Devices
from tests.execution.test_edits import CAPTURE, EDITS, conditions, worst

FIRST, SECOND = torch.device("mtia:0"), torch.device("mtia:1")  # named, never used: neither is here


@pytest.mark.parametrize("captured", [True, False])
def test_layers_on_two_devices(captured: bool) -> None:
    model = tiny("llama")
    plan = compile_plan(conditions(list(EDITS)))
    capture = CAPTURE if captured else Capture()
    whole = execute(model, plan, capture)
    body, split = model.hf_model.model, Devices()
    places = {body.embed_tokens: FIRST, body.rotary_emb: FIRST, body.layers[0]: FIRST, body.layers[1]: SECOND}
    places |= {body.layers[2]: FIRST, body.norm: SECOND, model.hf_model.lm_head: SECOND}
    with split:
        for module, device in places.items():
            add_hook_to_module(module, AlignDevicesHook(execution_device=device))
            split.put(module, device)
        records = execute(model, plan, capture)
    for module in places:
        remove_hook_from_module(module)
    assert {FIRST, SECOND} <= split.met
    assert set(worst(records, whole).values()) == {0.0}


def test_mixing_devices_is_seen() -> None:
    with Devices(), pytest.raises(AssertionError, match="mtia"):
        torch.ones(3) + torch.ones(3).to("mtia:1")
