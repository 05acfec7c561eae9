"""Prompts read in one packed pass: the cache from which the model continues, and its cost, for all families."""

import pytest
import torch

from faithlens.execution import growing
from faithlens.execution.options import Sampling
from faithlens.execution.prefill import can_prefill, prefill_prompts
from faithlens.execution.sample import sample
from faithlens.model.model import Model
from tests.conftest import FAMILIES, MORE, OTHERS, tiny

TRUNK = tuple(torch.randint(10, 250, (40,), generator=torch.Generator().manual_seed(1)).tolist())
BRANCHES = [TRUNK, (*TRUNK[:12], 99, 98), (*TRUNK[:30], 77), (5, 6, 7), TRUNK]


@pytest.mark.parametrize("family", [*FAMILIES, *MORE, *OTHERS])
def test_the_model_goes_on_as_if_it_had_read_each_prompt_itself(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also beyond sliding windows, with experts, latent attention and learnt positions: the same twelve tokens."""
    # the temperature of Llama 4 goes by places in the cache, so transformers itself is exact without padding only
    branches = [TRUNK, TRUNK] if family == "llama4" else BRANCHES
    model, seeds = tiny(family), range(len(branches))
    together = sample(model, branches, seeds, Sampling(max_new_tokens=12))
    monkeypatch.setattr(growing, "can_prefill", lambda model, longest: False)
    assert together == [sample(model, [b], [i], Sampling(max_new_tokens=12))[0] for i, b in enumerate(branches)]


def test_logits_are_those_of_a_plain_forward(model: Model) -> None:
    _, logits = prefill_prompts(model, BRANCHES)
    plain = [model.hf_model(input_ids=torch.tensor([branch])).logits[0, -1] for branch in BRANCHES]
    torch.testing.assert_close(logits, torch.stack(plain), atol=1e-5, rtol=1e-5)


def test_what_branches_share_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, read = tiny("llama"), []
    model.hf_model.model.embed_tokens.register_forward_hook(lambda module, args, out: read.append(args[0].numel()))
    assert can_prefill(model, 40)
    read.clear()
    prefill_prompts(model, BRANCHES)
    assert read == [40 + 2 + 1 + 3]
