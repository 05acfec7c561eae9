"""The divergence of next-token distributions, against known divergences and against all logits."""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import strategies as st
from torch import Tensor

from faithlens.errors import KernelError
from faithlens.kernels.answer_logprobs import streamed as answer_streamed
from faithlens.kernels.answer_logprobs.reference import compute_logits
from faithlens.kernels.divergence import divergence
from faithlens.kernels.divergence.api import Implementation

IMPLEMENTATIONS = [impl for impl in get_args(Implementation) if impl != "auto"]
STREAMS = ["streamed", "triton"]
HEADS = {
    "plain": {},
    "bias": {"bias": torch.linspace(-2, 2, 507, dtype=torch.float64)},
    "scale and soft cap": {"scale": 0.25, "softcap": 30.0},
}


def make_inputs(rows: int, apart: float = 0.3) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states of p and q, some of which point at one token, and an unembedding."""
    g = torch.Generator().manual_seed(rows)
    p, other, unembed = (torch.randn(n, 24, generator=g, dtype=torch.float64) for n in (rows, rows, 507))
    p[::3] = 5 * unembed[:rows][: len(p[::3])]
    return p, p + apart * other, unembed


def textbook(p: Tensor, q: Tensor) -> Tensor:
    """By the definition, of probabilities."""
    return (p * (p / q).log()).sum(-1)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("rows", [1, 63, 123])
def test_closed_form(impl: str, head: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_streamed, "CHUNK_LOGITS", 507 * 40)  # several chunks
    p, q, unembed = make_inputs(rows)
    ours = divergence(p, q, unembed, impl=impl, **HEADS[head])
    full = {"bias": None, "scale": 1.0, "softcap": None} | HEADS[head]
    truth = textbook(*(compute_logits(x, unembed, **full).softmax(-1) for x in (p, q)))
    torch.testing.assert_close(ours, truth, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_two_tokens(impl: str) -> None:
    """Hidden states whose distributions over two tokens are known: (.5, .5) against (.9, .1) and (1, 0)."""
    unembed = torch.eye(2, dtype=torch.float64)
    p = torch.tensor([[0.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    q = torch.tensor([[math.log(9), 0.0], [2000.0, 0.0]], dtype=torch.float64)
    ours = divergence(p, q, unembed, impl=impl)
    assert ours.tolist() == pytest.approx([0.5 * math.log(0.25 / 0.09), 1000 - math.log(2)])


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_certain_and_opposed(impl: str) -> None:
    unembed = torch.eye(507, dtype=torch.float32)
    p, q = 500 * unembed[:63], 500 * unembed[1:64]
    ours = divergence(p, q, unembed, impl=impl)
    torch.testing.assert_close(ours, torch.full((63,), 500.0))


@pytest.mark.parametrize("impl", STREAMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_equal_rows_are_exactly_equal(impl: str, dtype: torch.dtype) -> None:
    p, _, unembed = (x.to(dtype) for x in make_inputs(63))
    assert (divergence(p, p.clone(), unembed, impl=impl) == 0).all()


@pytest.mark.parametrize("impl", STREAMS)
@pytest.mark.parametrize("apart", [1e-1, 1e-3, 1e-5])
def test_errs_no_more_than_plain_torch_and_keeps_the_digits_of_small_divergences(impl: str, apart: float) -> None:
    """Plain torch sums over d_model in nine orders, which are equal but for rounding."""
    p, q, unembed = (x.float() for x in make_inputs(123, apart))
    truth = divergence(p.double(), q.double(), unembed.double(), impl="streamed")
    orders = [torch.arange(24), *(torch.randperm(24, generator=torch.Generator().manual_seed(i)) for i in range(8))]
    plain = [divergence(p[:, o], q[:, o], unembed[:, o], impl="reference") for o in orders]
    ours = divergence(p, q, unembed, impl=impl)
    error, *plain_errors = ((each - truth).square().mean().sqrt() for each in (ours, *plain))
    assert error <= max(plain_errors)
    assert (ours >= 0).all()


@pytest.mark.parametrize("impl", STREAMS)
def test_half_precision_errs_no_more_than_plain_torch(impl: str) -> None:
    p, q, unembed = (x.bfloat16() for x in make_inputs(123))
    truth = divergence(p.double(), q.double(), unembed.double(), impl="reference")
    plain, ours = (divergence(p, q, unembed, impl=name) for name in ("reference", impl))
    assert (ours - truth).square().mean() <= 1.001 * (plain - truth).square().mean()


@drawn(st.integers(0, 2**31), st.floats(1e-6, 30))
def test_algebra(seed: int, apart: float) -> None:
    """It is not negative, it bounds the total variation (Pinsker), and ignores a constant added to all logits."""
    g = torch.Generator().manual_seed(seed)
    p, q, unembed = (torch.randn(n, 8, generator=g, dtype=torch.float64) for n in (5, 5, 40))
    q = p + apart * q
    kl = divergence(p, q, unembed)
    total_variation = ((p @ unembed.T).softmax(-1) - (q @ unembed.T).softmax(-1)).abs().sum(-1) / 2
    assert (kl >= 0).all()
    assert (total_variation <= (kl / 2).sqrt() * (1 + 1e-9) + 1e-15).all()
    shifted = divergence(p, q, unembed, bias=torch.full((40,), 3.0, dtype=torch.float64))
    torch.testing.assert_close(shifted, kl, rtol=1e-8, atol=1e-12)


def test_gradients_are_those_of_the_reference() -> None:
    gradients = []
    for impl in ("streamed", "reference"):
        p, q, unembed = make_inputs(63)
        scored = divergence(p, q.requires_grad_(), unembed, impl=impl, softcap=20.0)
        gradients.append(torch.autograd.grad(scored.sum(), q)[0])
    torch.testing.assert_close(*gradients, atol=1e-10, rtol=1e-8)


def test_what_is_asked_for_by_name_runs_or_refuses() -> None:
    p, q, unembed = make_inputs(3)
    with pytest.raises(KernelError, match=r"divergence with impl='triton' .*gradient"):
        divergence(p, q.requires_grad_(), unembed, impl="triton")
