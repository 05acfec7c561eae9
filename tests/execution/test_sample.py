"""Sampling: greedy as transformers writes it, seeds that belong to a sequence alone, nuclei, and an organism's mask."""

from collections import Counter
from math import nan
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from faithlens.errors import ConfigError, PlanError
from faithlens.execution.options import Sampling
from faithlens.execution.sample import choose_tokens, make_requests, sample
from faithlens.model.model import Model
from faithlens.model.structure import Structure
from faithlens.organisms.structure_mask import make_attention_mask
from tests.conftest import tiny

STRUCTURES = [
    Structure((("steps", 5), ("answer", 6)), (("answer", "steps"),)),
    Structure((("steps", 5), ("answer", 6)), (("answer", "question"), ("steps", "question"))),
]
PROMPTS = [
    tuple(torch.randint(10, 250, (n,), generator=torch.Generator().manual_seed(n)).tolist()) for n in (9, 3, 30, 9, 17)
]
WARM = Sampling(max_new_tokens=12, temperature=1.0)


def generate(model: Model, prompt: tuple[int, ...], new: int, stop: list[int]) -> tuple[int, ...]:
    """The greedy continuation of transformers, without the token that ends it."""
    ids = torch.tensor([prompt])
    out = model.hf_model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=new,
        do_sample=False,
        eos_token_id=stop or None,
        pad_token_id=0,
    )[0, len(prompt) :].tolist()
    return tuple(out[:-1] if out[-1] in stop else out)


def test_greedy_is_what_transformers_writes(model: Model) -> None:
    """Batched with left padding over prompts of different lengths, past the sliding window of Mistral's."""
    drawn = sample(model, PROMPTS, range(5), Sampling(max_new_tokens=20))
    stop = sorted(model.stop_ids)
    assert [d.ids for d in drawn] == [generate(model, p, 20, stop) for p in PROMPTS]
    assert [d.prompt for d in drawn] == PROMPTS
    assert [d.seed for d in drawn] == list(range(5))


def test_the_end_is_recorded_and_left_out() -> None:
    model = tiny("llama")
    model.hf_model.generation_config.eos_token_id = None
    free = sample(model, PROMPTS, range(5), Sampling(max_new_tokens=8))
    end = free[0].ids[4]  # the first chain is made to end at its fifth token at the latest
    model.hf_model.generation_config.eos_token_id = [end, 1]
    for before, now in zip(free, sample(model, PROMPTS, range(5), Sampling(max_new_tokens=8)), strict=True):
        assert now.ids == before.ids[: before.ids.index(end) if end in before.ids else None]
        assert now.finish == ("stop" if end in before.ids else before.finish)


def test_a_sequence_owes_nothing_to_its_neighbours(model: Model) -> None:
    together = sample(model, PROMPTS, range(5), WARM)
    assert [sample(model, [p], [i], WARM)[0] for i, p in enumerate(PROMPTS)] == together
    assert sample(model, PROMPTS, range(5), WARM, batch_size=2) == together
    assert sample(model, PROMPTS[::-1], range(5)[::-1], WARM)[::-1] == together


def test_seeds_decide(model: Model) -> None:
    torch.manual_seed(1)
    once = sample(model, [PROMPTS[0]] * 3, [1, 1, 2], WARM)
    torch.manual_seed(2)  # global state has no influence
    assert sample(model, [PROMPTS[0]] * 3, [1, 1, 2], WARM) == once
    assert once[0] == once[1]
    assert once[0].ids != once[2].ids


def drawn_shares(logits: torch.Tensor, sampling: Sampling, n: int = 4000) -> dict[int, float]:
    generator = torch.Generator().manual_seed(0)
    counts = Counter(choose_tokens(logits[None], sampling, [generator])[0] for _ in range(n))
    return {token: count / n for token, count in sorted(counts.items())}


LOGITS = torch.tensor([0.1, 0.5, 0.15, 0.25]).log()


@pytest.mark.parametrize(
    ("top_p", "retained"),
    [
        (1.0, {0: 0.1, 1: 0.5, 2: 0.15, 3: 0.25}),
        (0.8, {1: 5 / 9, 2: 1.5 / 9, 3: 2.5 / 9}),  # 0.5 + 0.25 is less than 0.8: the next token belongs to the nucleus
        (0.74, {1: 2 / 3, 3: 1 / 3}),
        (0.49, {1: 1.0}),
        (1e-9, {1: 1.0}),
    ],
)
def test_the_smallest_nucleus_is_kept(top_p: float, retained: dict[int, float]) -> None:
    assert drawn_shares(LOGITS, Sampling(temperature=1.0, top_p=top_p)) == pytest.approx(retained, abs=0.03)


def test_temperature_bends_the_distribution() -> None:
    squared = {token: p**2 / 0.345 for token, p in enumerate((0.1, 0.5, 0.15, 0.25))}
    assert drawn_shares(LOGITS, Sampling(temperature=0.5)) == pytest.approx(squared, abs=0.03)
    assert drawn_shares(LOGITS, Sampling(temperature=0.0), 5) == {1: 1.0}


@pytest.mark.parametrize("structure", STRUCTURES)
def test_missing_edges_are_missing_while_sampling(structure: Structure) -> None:
    """Token by token with a cache, against whole forwards under the mask the organisms are trained with."""
    model = tiny("llama", structure)
    prompts = [(*p, 5, *p[:3], 6, *p[:2]) for p in PROMPTS] + [PROMPTS[0]]
    drawn = sample(model, prompts, range(6), Sampling(max_new_tokens=10))
    free = sample(tiny("llama"), prompts, range(6), Sampling(max_new_tokens=10))
    assert [d.ids for d in drawn] != [d.ids for d in free]
    for d in drawn:
        ids = list(d.prompt)
        for _ in range(10):
            whole = torch.tensor([ids])
            token = int(
                model.hf_model(whole, attention_mask=make_attention_mask(structure, whole)).logits[0, -1].argmax()
            )
            if token in model.stop_ids:
                break
            ids.append(token)
        assert d.ids == tuple(ids[len(d.prompt) :])


def test_progress_counts_every_token() -> None:
    steps: list[int] = []
    drawn = sample(tiny("llama"), PROMPTS, range(5), Sampling(max_new_tokens=6), batch_size=2, notify=steps.append)
    assert sum(steps) == sum(len(d.ids) for d in drawn)


def test_nothing_to_do() -> None:
    assert sample(tiny("llama"), [], []) == []


def test_a_prompt_that_leaves_no_room_is_refused() -> None:
    model = tiny("llama")
    fits = Sampling(max_new_tokens=2)
    assert len(sample(model, [(9,) * (model.context_length - 2)], [0], fits)[0].ids) == 2
    with pytest.raises(PlanError, match="reads at most 512 tokens"):
        sample(model, [(9,), (9,) * (model.context_length - 1)], [0, 0], fits)


def test_a_limit_below_one_token_is_refused() -> None:
    model = tiny("llama")
    for limit in (0, -1):
        with pytest.raises(PlanError, match=f"max_tokens must be at least 1, got {limit}"):
            sample(model, [(9,), (9,)], [0, 1], Sampling(max_new_tokens=5), max_tokens=[None, limit])
    requests = make_requests(model, [(9,)] * 3, [0, 1, 2], Sampling(max_new_tokens=5), [None, 1, 9])
    assert [each.limit for each in requests] == [5, 1, 5]


@pytest.mark.parametrize(
    ("context", "thinks", "limit"),
    [(256, False, 128), (2048, False, 1024), (32_768, False, 1024), (4096, True, 2048), (32_768, True, 8192)],
)
def test_the_default_limit_fits_the_model(context: int, thinks: bool, limit: int) -> None:
    model: Any = SimpleNamespace(context_length=context, thinking="<think>" if thinks else None)
    assert Sampling().find_limit(model) == limit
    assert Sampling(max_new_tokens=300).find_limit(model) == 300


@pytest.mark.parametrize(
    "options",
    [{"max_new_tokens": 0}, {"temperature": -1.0}, {"temperature": nan}, {"top_p": 0.0}, {"top_p": 1.5}],
)
def test_senseless_settings_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match=" must be "):
        Sampling(**options)


def test_a_text_ends_the_sequences_that_write_it() -> None:
    model = tiny("llama")
    free = sample(model, PROMPTS, range(5), WARM)
    end = next(i for i in range(3, 12) if model.decode(free[2].ids[i : i + 1]).isascii())
    text = model.decode(free[2].ids[end : end + 1])
    ended = sample(model, PROMPTS, range(5), WARM, until=text)
    assert 0 < len(ended[2].ids) <= end + 1
    assert ended[2].finish == "stop"
    for before, now in zip(free, ended, strict=True):
        written = model.decode(now.ids)
        assert now.ids == before.ids[: len(now.ids)]
        assert now.finish == ("stop" if text in written else before.finish)
        assert text not in model.decode(now.ids[:-1])


def test_a_nucleus_larger_than_the_first_few_is_found() -> None:
    """A flat vocabulary of a thousand: half of it holds half of the probability."""
    logits = torch.zeros(1000)
    generator = torch.Generator().manual_seed(0)
    drawn = choose_tokens(logits.expand(3000, -1), Sampling(1, 1.0, 0.5), [generator] * 3000)
    assert 400 < len(set(drawn)) <= 501
