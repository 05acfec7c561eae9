"""Log-probabilities of chosen tokens against all logits at once, in float64."""

from typing import get_args

import pytest
import torch

from faithlens.errors import KernelError
from faithlens.kernels.answer_logprobs import answer_logprobs, streamed
from faithlens.kernels.answer_logprobs.api import Implementation

IMPLEMENTATIONS = [impl for impl in get_args(Implementation) if impl != "auto"]
HEADS = {
    "plain": {},
    "bias": {"bias": torch.linspace(-2, 2, 507, dtype=torch.float64)},
    "scale and soft cap": {"scale": 0.25, "softcap": 30.0},
}


def make_inputs(rows: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden states, some of which point at one token so that its probability is near 1, an unembedding, and tokens."""
    g = torch.Generator().manual_seed(seed)
    hidden, unembed = (torch.randn(n, 24, generator=g, dtype=torch.float64) for n in (rows, 507))
    hidden[::3] = 5 * unembed[:rows][: len(hidden[::3])]
    return hidden, unembed, torch.randint(0, 507, (rows, 5), generator=g)


def rms(x: torch.Tensor) -> float:
    return float(x.double().square().mean().sqrt())


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("rows", [1, 63, 123])
@pytest.mark.usefixtures("poisoned")
def test_closed_form(impl: str, head: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "CHUNK_LOGITS", 507 * 20)  # several chunks, and several parts of the vocabulary
    hidden, unembed, tokens = make_inputs(rows)
    options = HEADS[head]
    logits = options.get("scale", 1) * (hidden @ unembed.T + options.get("bias", 0))
    logits = options["softcap"] * (logits / options["softcap"]).tanh() if "softcap" in options else logits
    p = logits.softmax(-1)
    ours = answer_logprobs(hidden, unembed, tokens, impl=impl, **options)
    torch.testing.assert_close(ours, p.log().gather(1, tokens), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("impl", ["streamed", "triton"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_errs_no_more_than_plain_torch(dtype: torch.dtype, impl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "CHUNK_LOGITS", 507 * 20)
    hidden, unembed, tokens = make_inputs(123)
    low = hidden.to(dtype), unembed.to(dtype)
    truth = answer_logprobs(*(x.double() for x in low), tokens, impl="reference")
    plain, ours = (rms(answer_logprobs(*low, tokens, impl=name) - truth) for name in ("reference", impl))
    assert ours <= plain + torch.finfo(torch.float32).eps * rms(truth)


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_huge_logits_do_not_overflow(impl: str) -> None:
    hidden, unembed, tokens = (x.float() if x.is_floating_point() else x for x in make_inputs(63))
    ours = answer_logprobs(1000 * hidden, unembed, tokens, impl=impl)
    assert ours.isfinite().all()
    assert (ours <= 0).all()


def test_gradients_are_those_of_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "CHUNK_LOGITS", 507 * 20)
    hidden, unembed, tokens = make_inputs(63)
    gradients = []
    for impl in ("streamed", "reference"):
        leaf = hidden.clone().requires_grad_()
        scored = answer_logprobs(leaf, unembed, tokens, impl=impl, softcap=20.0)
        gradients.append(torch.autograd.grad(scored.sum(), leaf)[0])
    torch.testing.assert_close(*gradients, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_a_token_that_cannot_follow_spoils_nothing(impl: str) -> None:
    hidden, unembed, tokens = make_inputs(63)
    bias = torch.zeros(507, dtype=torch.float64)
    bias[:200] = -torch.inf
    ours = answer_logprobs(hidden, unembed, tokens, bias=bias, impl=impl)
    logprobs = torch.nn.functional.pad((hidden @ unembed[200:].T).log_softmax(-1), (200, 0), value=-torch.inf)
    torch.testing.assert_close(ours, logprobs.gather(1, tokens), atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(ours.isinf(), tokens < 200)


def test_rows_that_lie_apart() -> None:
    """Views of a wider tensor."""
    hidden, unembed, tokens = make_inputs(63)
    wide = torch.stack([hidden, torch.full_like(hidden, torch.nan)], 1).flatten(1)
    ours = answer_logprobs(wide[:, :24], unembed, tokens, impl="triton")
    torch.testing.assert_close(ours, answer_logprobs(hidden, unembed, tokens), atol=1e-10, rtol=1e-10)


def test_no_rows_and_no_tokens() -> None:
    hidden, unembed, tokens = make_inputs(63)
    assert answer_logprobs(hidden[:0], unembed, tokens[:0], impl="triton").shape == (0, 5)
    assert answer_logprobs(hidden, unembed, tokens[:, :0], impl="triton").shape == (63, 0)


def test_what_is_asked_for_by_name_runs_or_refuses() -> None:
    hidden, unembed, tokens = make_inputs(3)
    with pytest.raises(KernelError, match=r"answer_logprobs with impl='triton' .*gradient"):
        answer_logprobs(hidden.requires_grad_(), unembed, tokens, impl="triton")
