"""Divergences a few rows at a time, from terms none of which is negative."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from faithlens.kernels.answer_logprobs import streamed
from faithlens.kernels.answer_logprobs.reference import compute_logits

CHUNK_TERMS = 1 << 18  # terms at a time: the many small steps to each stay in a processor's own memory
NEAR = 0.0625  # |log p/q| below which a term is summed from its series in it: the closed form would lose its digits


def compare(
    p: Float[Tensor, "row d_model"],
    q: Float[Tensor, "row d_model"],
    unembed: Float[Tensor, "vocab d_model"],
    bias: Float[Tensor, " vocab"] | None,
    scale: float,
    softcap: float | None,
) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"], Float[Tensor, " row"]]:
    """See `divergence`."""
    rows = max(1, streamed.CHUNK_LOGITS // (2 * unembed.shape[0]))
    few = max(1, CHUNK_TERMS // unembed.shape[0]) if p.device.type == "cpu" else rows
    parts = []
    for some in zip(p.split(rows), q.split(rows), strict=True):
        log_p, log_q = (compute_logits(x, unembed, bias, scale, softcap).log_softmax(-1) for x in some)
        parts += [sum_terms(*pair) for pair in zip(log_p.split(few), log_q.split(few), strict=True)]
    kl, js, tv = (torch.cat(part) for part in zip(*parts, strict=True))
    return kl, js, tv


def sum_terms(
    log_p: Float[Tensor, "row vocab"], log_q: Float[Tensor, "row vocab"]
) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"], Float[Tensor, " row"]]:
    """Sums over the vocabulary of terms that are positive wherever p and q differ."""
    r = torch.where(log_p == log_q, 0, log_p - log_q)
    p, q = log_p.exp(), log_q.exp()
    near = r.abs() < NEAR
    small = torch.where(near, r, 0)
    kl = torch.where(near, p * series_kl(small), p * r + (q - p))
    # p / m = 1 + t and q / m = 1 - t, for m = (p + q) / 2 and t = tanh(r / 2)
    apart = (p * (math.log(2) - softplus(-r)) + q * (math.log(2) - softplus(r))) / 2
    tanh = torch.tanh(r / 2)
    js = torch.where(near, (p + q) / 2 * series_js(torch.where(near, tanh, 0)), apart)
    return kl.sum(-1), js.sum(-1), ((p + q) * tanh.abs()).sum(-1) / 2


def series_kl(r: Float[Tensor, "row vocab"]) -> Float[Tensor, "row vocab"]:
    """``r + exp(-r) - 1`` near 0."""
    total = torch.zeros_like(r)
    for n in range(10, 2, -1):
        total = -r / n * (1 + total)
    return r * r / 2 * (1 + total)


def series_js(t: Float[Tensor, "row vocab"]) -> Float[Tensor, "row vocab"]:
    """``((1 + t) log(1 + t) + (1 - t) log(1 - t)) / 2`` near 0: the sum of t^2k / (2k (2k - 1))."""
    total = torch.zeros_like(t)
    for k in range(5, 0, -1):
        total = t * t * (1 / (2 * k * (2 * k - 1)) + total)
    return total
