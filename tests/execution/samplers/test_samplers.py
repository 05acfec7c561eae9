"""The samplers by name, transformers' continuous batching against the own sampler, and vLLM by its interface."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from faithlens.errors import ConfigError, ModelError
from faithlens.execution.options import SAMPLERS, Sampling
from faithlens.execution.sample import SampleRequest, sample
from faithlens.execution.samplers.choice import make_sampler
from faithlens.execution.samplers.continuous import ContinuousSampler
from faithlens.execution.samplers.own import OWN
from faithlens.execution.samplers.sampler import Sampler, cut_tokens
from faithlens.execution.samplers.vllm import VllmSampler
from faithlens.model.structure import Structure
from tests.conftest import tiny
from tests.execution.samplers.serving import copy_model

URL = "http://localhost:8000/v1#served"
PROMPTS = [
    tuple(torch.randint(10, 250, (n,), generator=torch.Generator().manual_seed(n)).tolist()) for n in (9, 3, 30, 9, 17)
]
LIMITS = [None, 3, 20, 7, None]
GREEDY = Sampling(max_new_tokens=20)


def test_every_sampler_has_its_name() -> None:
    made = {name: make_sampler(name, URL if name == "openai" else None) for name in SAMPLERS}
    assert {name: each.name for name, each in made.items()} == {name: name for name in SAMPLERS}
    assert all(isinstance(each, Sampler) for each in made.values())
    assert made["own"] is OWN
    assert made["openai"].describe(tiny("llama")) == {
        "name": "openai", "url": "http://localhost:8000/v1", "model": "served",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "url", "words"),
    [
        ("vlm", None, "Did you mean 'vllm'"),
        ("openai", None, "needs the address of a server"),
        ("own", URL, "the sampler is 'own'"),
        ("openai", "host", "needs an http address"),
    ],
)
def test_what_names_no_sampler_is_refused(name: str, url: str | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_sampler(name, url)


def test_tokens_are_cut_where_the_own_sampler_ends() -> None:
    model = tiny("llama")
    ids = model.encode_continuation("abcdefgh")
    request = SampleRequest((9, 9), 3, 6)
    assert model.stop_ids == {1, 2}
    cut = cut_tokens(model, request, [*ids[:4], 1, *ids[4:]], logprobs=[-1.0, -2.0, -3.0, -4.0, -5.0])
    assert (cut.ids, cut.finish, cut.seed) == (ids[:4], "stop", 3)
    assert cut.logprobs == (-1.0, -2.0, -3.0, -4.0)
    assert (cut_tokens(model, request, ids).ids, cut_tokens(model, request, ids).finish) == (ids[:6], "length")
    assert cut_tokens(model, request, ids, until="cd").ids == ids[:4]
    assert cut_tokens(model, request, ids[:3], finish="length").finish == "length"
    assert cut_tokens(model, request, ids[:3]).finish == "stop"
    with pytest.raises(ModelError, match="none for token 999"):
        cut_tokens(model, request, [999])


@pytest.mark.parametrize("family", ["llama", "mistral"])
def test_continuous_batching_writes_the_greedy_tokens_of_the_own_sampler(family: str) -> None:
    model, seeds, drawn = tiny(family), range(5), []
    before = model.hf_model.config._attn_implementation
    written = ContinuousSampler().draw(model, PROMPTS, seeds, GREEDY, max_tokens=LIMITS, notify=drawn.append)
    assert written == sample(model, PROMPTS, seeds, GREEDY, max_tokens=LIMITS)
    assert sum(drawn) == sum(len(each.ids) for each in written)
    assert model.hf_model.config._attn_implementation == before
    assert sample(model, PROMPTS, seeds, GREEDY, max_tokens=LIMITS) == written  # the model is as it was


def test_continuous_batching_repeats_its_draws_and_leaves_global_state_alone() -> None:
    model, warm = tiny("llama"), Sampling(max_new_tokens=12, temperature=1.0)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    once, again, other = (ContinuousSampler().draw(model, PROMPTS, [s] * 5, warm) for s in (1, 1, 2))
    assert [each.ids for each in once] == [each.ids for each in again]
    assert [each.ids for each in once] != [each.ids for each in other]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["continuous", "vllm"])
def test_forbidden_edges_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", make_stub([]))
    model = tiny("llama", Structure((("steps", 5), ("answer", 6)), (("answer", "steps"),)))
    with pytest.raises(ModelError, match="without some attention edges"):
        make_sampler(name).draw(model, PROMPTS, range(5), GREEDY)


def make_stub(calls: list[Any]) -> ModuleType:
    """A module with the interface of vLLM, which writes what the own sampler writes. It says nothing about vLLM."""
    stub, model = ModuleType("vllm"), tiny("llama")

    class LLM:
        def __init__(self, **options: Any) -> None:
            calls.append(options)

        def generate(self, prompts: list[Any], params: list[Any], use_tqdm: bool) -> list[Any]:
            calls.append([(one["prompt_token_ids"], vars(how)) for one, how in zip(prompts, params, strict=True)])
            for one, how in zip(prompts, params, strict=True):
                [drawn] = sample(model, [one["prompt_token_ids"]], [how.seed], Sampling(how.max_tokens))
                ids = [*drawn.ids, 1] if drawn.finish == "stop" else list(drawn.ids)
                likely = [{token: SimpleNamespace(logprob=-float(i))} for i, token in enumerate(ids)]
                yield SimpleNamespace(outputs=[SimpleNamespace(token_ids=ids, logprobs=likely)])

    stub.LLM, stub.SamplingParams = LLM, SimpleNamespace  # pyright: ignore[reportAttributeAccessIssue]
    return stub


def test_vllm_gets_tokens_and_seeds_and_gives_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setitem(sys.modules, "vllm", make_stub(calls))
    model, sampler = copy_model(tiny("llama")), VllmSampler()
    with pytest.raises(ModelError, match="only in memory"):
        sampler.draw(model, PROMPTS, range(5), GREEDY)
    model.hf_model.config._name_or_path = model.hf_model.name_or_path = "/models/tiny"
    written = sampler.draw(model, PROMPTS, range(5), GREEDY, max_tokens=LIMITS)
    own = sample(model, PROMPTS, range(5), GREEDY, max_tokens=LIMITS)
    assert [(each.ids, each.finish) for each in written] == [(each.ids, each.finish) for each in own]
    assert [each.logprobs for each in written] == [tuple(-float(i) for i in range(len(each.ids))) for each in own]
    options, prompts = calls
    assert options == {
        "model": "/models/tiny", "tokenizer": "/models/tiny", "dtype": "float32", "generation_config": "vllm",
        "seed": 0,
    }  # fmt: skip
    assert prompts[1] == (
        list(PROMPTS[1]),
        {"temperature": 0.0, "top_p": 1.0, "seed": 1, "max_tokens": 3, "stop_token_ids": [1, 2], "logprobs": 0},
    )
    sampler.draw(model, PROMPTS, range(5), GREEDY)
    assert len(calls) == 3  # the engine is made once


def test_without_vllm_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ConfigError, match="vLLM, which cannot be loaded") as caught:
        VllmSampler().draw(tiny("llama"), PROMPTS, range(5), GREEDY)
    assert "pip install 'faithlens[vllm]'" in caught.value.fix
