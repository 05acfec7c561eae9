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
from faithlens.execution.growing import GrowingBatch, GrowingSequence
from faithlens.execution.options import Sampling
from faithlens.execution.sample import NOT_FINITE, choose_tokens, sample
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


def check_moves(moved: list[tuple[tuple[int, ...], int]], most: int) -> None:
    *others, (shape, nbytes) = moved
    assert others in ([], [((), 1)])
    assert shape[0] <= most
    assert nbytes == 8 * shape[0]


@pytest.mark.parametrize("how", [Sampling(12), WARM, Sampling(12, 1.0, 0.9)])
def test_a_step_moves_one_number_for_each_sequence_to_the_host(how: Sampling) -> None:
    """The vocabulary stays on the device: the host waits for the drawn tokens, once.

    Transformers itself asks for one truth value more: whether the batch has padding.
    """
    model, steps = tiny("llama"), []

    def end_step(drawn: int) -> None:
        steps.append(list(host.moved))
        host.moved.clear()

    with HostMoves() as host:
        sample(model, PROMPTS, range(5), how, notify=end_step)
    assert len(steps) == 12
    for moved in steps[1:]:  # the first step reads the prompts too
        check_moves(moved, len(PROMPTS))


def test_a_wide_nucleus_is_drawn_in_a_second_move() -> None:
    """Beside a peaked sequence: the tokens of both, and then the token of the flat one."""
    logits = 0.01 * torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    logits[1, 7] = 100
    how = Sampling(1, 1.0, 0.5)
    with HostMoves() as host:
        wide, peaked = choose_tokens(logits, how, make_generators(2, 0))
    assert [shape for shape, _ in host.moved] == [(2,), (1,)]
    assert [wide, peaked] == draw_row_by_row(logits, 1.0, 0.5, make_generators(2, 0))
    assert peaked == 7


def test_prompts_that_enter_add_nothing_to_the_moves_of_other_steps() -> None:
    """Two at a time: only the steps in which a prompt is read move more than the drawn tokens."""
    model, steps, read = tiny("llama"), list[list[tuple[tuple[int, ...], int]]](), list[int]()
    enter = GrowingBatch.enter

    def count(batch: GrowingBatch, new: list[GrowingSequence]) -> None:
        read.append(len(steps))
        enter(batch, new)

    def end_step(drawn: int) -> None:
        steps.append(list(host.moved))
        host.moved.clear()

    with pytest.MonkeyPatch.context() as patch, HostMoves() as host:
        patch.setattr(GrowingBatch, "enter", count)
        sample(model, PROMPTS, range(5), WARM, max_tokens=[12, 2, 3, 2, 4], batch_size=2, notify=end_step)
    assert len(read) > 2
    for number, moved in enumerate(steps):
        if number not in read:
            check_moves(moved, 2)


def let_memory_run_out(monkeypatch: pytest.MonkeyPatch, most: int, after: int = 0) -> list[int]:
    """After so many readings, more than `most` sequences do not fit. Gives the numbers of those that were tried."""
    tried: list[int] = []
    enter = GrowingBatch.enter

    def enter_in_little_memory(batch: GrowingBatch, new: list[GrowingSequence]) -> None:
        enter(batch, new)
        tried.append(len(batch.live))
        if len(batch.live) > most and len(tried) > after:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(GrowingBatch, "enter", enter_in_little_memory)
    return tried


def test_memory_that_runs_out_halves_the_batch_and_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, limits = tiny("llama"), [12, 12, 2, 3, 12]
    whole = sample(model, PROMPTS, range(5), WARM, max_tokens=limits)
    tried = let_memory_run_out(monkeypatch, 2)
    assert sample(model, PROMPTS, range(5), WARM, max_tokens=limits) == whole
    assert tried[:2] == [5, 2]
    assert max(tried[1:]) == 2


def test_memory_that_runs_out_later_keeps_what_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three at a time; when the fourth enters, memory holds one. The two that have ended are not drawn again."""
    model, limits = tiny("llama"), [2, 2, 12, 12, 12]
    prompts = [PROMPTS[0]] * 5
    whole = sample(model, prompts, range(5), WARM, max_tokens=limits)
    tried, drawn = let_memory_run_out(monkeypatch, 1, after=1), list[int]()
    assert sample(model, prompts, range(5), WARM, max_tokens=limits, batch_size=3, notify=drawn.append) == whole
    assert tried == [3, 3, 1, 1, 1]
    assert sum(drawn) == sum(len(each.ids) for each in whole) + 2  # of the third, which began before memory ran out


def test_one_sequence_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    let_memory_run_out(monkeypatch, 0)
    with pytest.raises(ModelError, match="out of memory"):
        sample(tiny("llama"), PROMPTS, range(5), WARM)


def test_another_fault_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def fail(batch: GrowingBatch, new: list[GrowingSequence]) -> None:
        tried.append(len(new))
        raise RuntimeError("a shape is wrong")

    monkeypatch.setattr(GrowingBatch, "enter", fail)
    with pytest.raises(ModelError, match="a shape is wrong"):
        sample(tiny("llama"), PROMPTS, range(5), WARM)
    assert tried == [5]
