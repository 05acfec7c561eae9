"""Drawing on the device of the logits: the same tokens as row by row on the host, and almost nothing moved there."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.overrides import TorchFunctionMode

from faithlens.errors import ModelError
from faithlens.execution import sample as sampling
from faithlens.execution.sample import NOT_FINITE, Sampling, choose_tokens, sample
from tests.conftest import tiny

PROMPTS = [
    tuple(torch.randint(10, 250, (n,), generator=torch.Generator().manual_seed(n)).tolist()) for n in (9, 3, 30, 9, 17)
]
WARM = Sampling(max_new_tokens=12, temperature=1.0)


def draw_row_by_row(
    logits: Tensor, temperature: float, top_p: float, generators: Sequence[torch.Generator]
) -> list[int]:
    """Each row alone: the shortest start of the sorted probabilities that holds `top_p`, then one uniform number."""
    out = []
    for row, generator in zip(logits / temperature, generators, strict=True):
        share, tokens = row.softmax(-1), torch.arange(len(row))
        if top_p < 1:
            share, tokens = share.sort(descending=True, stable=True)
        upto = share.double().cumsum(0)
        size = int((upto - share < top_p).sum())
        drawn = torch.rand((), generator=generator, dtype=torch.float64) * upto[size - 1]
        out.append(int(tokens[min(int(torch.searchsorted(upto, drawn, right=True)), size - 1)]))
    return out


def make_generators(n: int, seed: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + i) for i in range(n)]


@given(
    rows=st.integers(1, 6),
    vocabulary=st.sampled_from([2, 61, 261, 1500]),
    spread=st.sampled_from([0.01, 1.0, 5.0, 30.0]),
    temperature=st.sampled_from([0.3, 1.0, 2.0]),
    top_p=st.sampled_from([1e-9, 0.3, 0.5, 0.95, 1.0]),
    seed=st.integers(0, 2**40),
)
def test_a_batch_draws_what_each_row_draws_alone(
    rows: int, vocabulary: int, spread: float, temperature: float, top_p: float, seed: int
) -> None:
    logits = spread * torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed))
    together = choose_tokens(logits, Sampling(1, temperature, top_p), make_generators(rows, seed))
    assert together == draw_row_by_row(logits, temperature, top_p, make_generators(rows, seed))


def test_barred_tokens_are_never_drawn() -> None:
    logits = torch.zeros(400, 10)
    logits[:, ::2] = -torch.inf
    for top_p in (1.0, 0.9):
        drawn = choose_tokens(logits, Sampling(1, 1.0, top_p), make_generators(400, 0))
        assert set(drawn) == {1, 3, 5, 7, 9}


@pytest.mark.parametrize("how", [Sampling(1), Sampling(1, 1.0), Sampling(1, 1.0, 0.5)])
def test_logits_that_are_not_finite_are_marked(how: Sampling) -> None:
    logits = torch.zeros(4, 10)
    logits[1, 3], logits[2, 2], logits[3, :] = torch.nan, torch.inf, -torch.inf
    first, *others = choose_tokens(logits, how, make_generators(4, 0))
    assert 0 <= first < 10
    assert others == [NOT_FINITE] * 3


HOST_CALLS = {
    Tensor.cpu, Tensor.tolist, Tensor.item, Tensor.numpy, Tensor.__bool__, Tensor.__int__, Tensor.__float__,
    Tensor.__index__, Tensor.__array__,
}  # fmt: skip


class HostMoves(TorchFunctionMode):
    """Keeps the shape and the bytes of every tensor whose numbers are asked for on the host."""

    def __init__(self) -> None:
        self.moved: list[tuple[tuple[int, ...], int]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # `.to(model.device)` moves the other way; here both devices are the CPU
        is_moved = func in HOST_CALLS or (
            func is Tensor.to and "cpu" in [each for each in args if isinstance(each, str)]
        )
        if is_moved:
            self.moved.append((tuple(args[0].shape), args[0].nbytes))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("how", [Sampling(12), WARM, Sampling(12, 1.0, 0.9)])
def test_a_step_moves_one_number_for_each_sequence_to_the_host(how: Sampling) -> None:
    """The vocabulary stays on the device: what is moved in a step are the tokens, and a few truth values."""
    model, steps = tiny("llama"), []

    def end_step(drawn: int) -> None:
        steps.append(list(host.moved))
        host.moved.clear()

    with HostMoves() as host:
        sample(model, PROMPTS, range(5), how, notify=end_step)
    assert len(steps) == 12
    for moved in steps[1:]:  # the first step reads the prompts too
        [(rows,)] = [shape for shape, _ in moved if shape]
        assert rows <= len(PROMPTS)
        assert sum(nbytes for _, nbytes in moved) <= 8 * rows + 8


def test_memory_that_runs_out_halves_the_batch_and_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tried = tiny("llama"), []
    whole = sample(model, PROMPTS, range(5), WARM)
    draw = sampling.draw_batch

    def draw_in_little_memory(model: Any, requests: list[Any], *more: Any) -> Any:
        tried.append(len(requests))
        if len(requests) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return draw(model, requests, *more)

    monkeypatch.setattr(sampling, "draw_batch", draw_in_little_memory)
    assert sample(model, PROMPTS, range(5), WARM) == whole
    assert tried == [5, 2, 3, 1, 2]


def test_one_sequence_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(sampling, "draw_batch", run_out)
    with pytest.raises(ModelError, match="out of memory"):
        sample(tiny("llama"), PROMPTS, range(5), WARM)


def test_another_fault_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def fail(model: Any, requests: list[Any], *_: Any) -> Any:
        tried.append(len(requests))
        raise RuntimeError("a shape is wrong")

    monkeypatch.setattr(sampling, "draw_batch", fail)
    with pytest.raises(ModelError, match="a shape is wrong"):
        sample(tiny("llama"), PROMPTS, range(5), WARM)
    assert tried == [5]
