"""Sequences that enter and leave while others go on: the same tokens as alone, fewer steps, and no idle memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from benchmarks.tiny_models import make_tiny_model
from faithlens.errors import ModelError
from faithlens.execution import growing
from faithlens.execution.growing import GrowingBatch, GrowingSequence
from faithlens.execution.options import Sampling
from faithlens.execution.sample import sample
from faithlens.model.model import Model
from faithlens.model.structure import Structure
from tests.conftest import FAMILIES, MORE, tiny

WARM, GREEDY = Sampling(14, temperature=1.0), Sampling(14)
LENGTHS = (3, 4, 5, 7, 9, 11, 30, 41)
PROMPTS = [tuple(torch.randint(10, 250, (n,), generator=torch.Generator().manual_seed(n)).tolist()) for n in LENGTHS]
LIMITS = (14, 2, 3, 9, 1, 5, 14, 2)


def check_as_alone(model: Model, sampling: Sampling, size: int, limits: tuple[int, ...] = LIMITS) -> None:
    prompts = PROMPTS[: len(limits)]
    seeds = range(len(limits))
    together = sample(model, prompts, seeds, sampling, max_tokens=limits, batch_size=size)
    alone = [
        sample(model, [prompt], [seed], sampling, max_tokens=[limit])[0]
        for prompt, seed, limit in zip(prompts, seeds, limits, strict=True)
    ]
    assert together == alone
    assert [len(each.ids) for each in together] == [*limits]  # none ends itself, so that others enter at known steps


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "stop_ids", frozenset())


@pytest.mark.parametrize(
    ("family", "sampling"), [*((family, WARM) for family in (*FAMILIES, *MORE)), ("mistral", GREEDY)]
)
def test_each_sequence_is_as_alone(family: str, sampling: Sampling, endless: None) -> None:
    """Also past sliding windows, whose layers keep their last columns only."""
    check_as_alone(tiny(family), sampling, 3)


@pytest.mark.parametrize("kind", ["bamba", "falcon_h1", "lfm2_moe", "mamba", "mamba2"])
def test_recurrent_states_enter_and_leave(kind: str, endless: None) -> None:
    check_as_alone(make_tiny_model(kind), WARM, 2, (5, 2, 1, 3))


@pytest.mark.parametrize(
    "kind", ["falcon_mamba", "jamba", "kimi_linear", "mamba", "mamba2", "recurrent_gemma", "zamba"]
)
def test_a_state_goes_on_as_if_all_tokens_were_read(kind: str, endless: None) -> None:
    """Models without attention name their state in another way, and take a mask of the new tokens only."""
    model = make_tiny_model(kind)
    for each, prompt in zip(sample(model, PROMPTS[:5], range(5), GREEDY, batch_size=5), PROMPTS, strict=False):
        ids = [*prompt]
        for token in each.ids:
            assert token == int(model.hf_model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
            ids.append(token)


def test_a_model_without_a_known_state_does_not_begin_anew() -> None:
    with pytest.raises(ModelError, match="RwkvForCausalLM cannot go on from a state"):
        sample(make_tiny_model("rwkv"), PROMPTS[:1], [0], GREEDY)


def test_a_state_outside_of_the_cache_stays_that_of_its_batch(endless: None) -> None:
    """RecurrentGemma keeps it in its modules, where sequences can neither enter nor leave."""
    model = make_tiny_model("recurrent_gemma")
    check_as_alone(model, WARM, 1, (5, 2))
    with pytest.raises(ModelError, match="keeps its state outside of the cache"):
        sample(model, PROMPTS[:2], range(2), WARM, max_tokens=(5, 2))


def test_prompts_that_the_model_reads_itself(monkeypatch: pytest.MonkeyPatch, endless: None) -> None:
    monkeypatch.setattr(growing, "can_prefill", lambda model, longest: False)
    check_as_alone(tiny("mistral"), WARM, 2)


def test_missing_edges_stay_missing(endless: None) -> None:
    structure = Structure((("steps", 5), ("answer", 6)), (("answer", "steps"),))
    model, prompts = tiny("llama", structure), [(*p, 5, *p[:3], 6, *p[:2]) for p in PROMPTS]
    together = sample(model, prompts, range(8), WARM, max_tokens=LIMITS, batch_size=3)
    assert together == [
        sample(model, [p], [i], WARM, max_tokens=[limit])[0]
        for i, (p, limit) in enumerate(zip(prompts, LIMITS, strict=True))
    ]


def test_greedy_is_what_transformers_writes(endless: None) -> None:
    model = tiny("qwen2")
    together = sample(model, PROMPTS, range(8), GREEDY, max_tokens=LIMITS, batch_size=2)
    for each, prompt, limit in zip(together, PROMPTS, LIMITS, strict=True):
        ids = torch.tensor([prompt])
        out = model.hf_model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=limit, do_sample=False, eos_token_id=None,
            pad_token_id=0,
        )  # fmt: skip
        assert each.ids == tuple(out[0, len(prompt) :].tolist())


@contextmanager
def watch_steps() -> Iterator[list[list[GrowingSequence]]]:
    """The sequences of each decoding step; checks that the cache has no column that nobody needs."""
    steps: list[list[GrowingSequence]] = []
    advance = GrowingBatch.advance

    def watch(batch: GrowingBatch) -> None:
        if batch.live:
            steps.append(batch.live)
            advance(batch)
            assert batch.width == max(len(each.ids) for each in batch.live)
            for layer in batch._cache.layers:
                window = getattr(layer, "sliding_window", batch.width + 1)
                assert layer.keys is not None
                assert layer.keys.shape[0] == len(batch.live)
                assert layer.keys.shape[2] == min(batch.width, window - 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GrowingBatch, "advance", watch)
        yield steps


@pytest.mark.parametrize("family", ["llama", "mistral"])
def test_a_long_sequence_holds_nobody_up(family: str, endless: None) -> None:
    """Two at a time: while the first writes 14 tokens, seven others write two each beside it."""
    limits = [14, *[2] * 7]
    with watch_steps() as steps:
        sample(tiny(family), PROMPTS, range(8), WARM, max_tokens=limits, batch_size=2)
    assert len(steps) == 13  # of the long one; batches that end together take 13 + 3
    assert sum(map(len, steps)) == sum(limits) - 8  # no step of a sequence is wasted


def test_steps_are_those_of_a_list_schedule(endless: None) -> None:
    """The prompts in their order, each to the place that is free first."""
    for size in (2, 3, 5):
        free = [0] * size
        for limit in LIMITS:  # a place draws one token at each step
            free.sort()
            free[0] += limit
        drawn: list[int] = []
        with watch_steps():
            sample(tiny("llama"), PROMPTS, range(8), WARM, max_tokens=LIMITS, batch_size=size, notify=drawn.append)
        assert len(drawn) == max(free)
        assert sum(drawn) == sum(LIMITS)


def test_columns_of_a_long_prompt_leave_with_it(endless: None) -> None:
    """And of prompts that are longer than what is there, when they enter."""
    model = tiny("llama")
    prompts = [PROMPTS[-1], *[PROMPTS[0]] * 3]
    sequences = [GrowingSequence(i, p, torch.Generator()) for i, p in enumerate(prompts)]
    batch = GrowingBatch(model)
    batch.enter(sequences[1:3])
    assert batch.width == 3
    batch.enter(sequences[:1])
    assert batch.width == 41
    for each in batch.live:
        each.written.append(9)
    batch.keep(batch.live[:2])
    batch.advance()
    assert batch.width == 4
    batch.keep([])
    assert (batch.width, batch.live, len(batch._cache.layers)) == (0, [], 0)


def test_no_prompt_enters_a_cache_of_unknown_layers(monkeypatch: pytest.MonkeyPatch, endless: None) -> None:
    monkeypatch.setattr(growing, "JOINED_LAYERS", set())
    with watch_steps() as steps:
        check_as_alone(tiny("llama"), WARM, 2)
    numbers = [tuple(each.number for each in step) for step in steps[: sum(LIMITS)]]
    assert (0, 2) not in numbers
    assert (2, 3) in numbers
