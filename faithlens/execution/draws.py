"""Draw the next token of several sequences on the device of the logits; the host gets one number for each sequence.

1. Each sequence has a generator of its own on the host, which gives one uniform number u for each token.
2. Probabilities are sorted and summed up. The nucleus is the shortest start of the list that holds `top_p`.
3. The token is the one at which the running sum passes u times the sum of the nucleus.

For example, with the probabilities .1 .5 .15 .25 and top_p .7, the sorted list is .5 .25 .15 .1, its running sums are
.5 .75 .9 1, and the nucleus holds the first two. With u = .8, the running sum passes .8 * .75 = .6 at the second of the
list, which is the last token.
"""

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

FEW_TOKENS = 256  # the nucleus is searched among this many of the likeliest tokens first


WIDE_NUCLEUS = -2  # stands for the token of a sequence whose nucleus is larger


def draw_tokens(
    logits: Float[Tensor, "batch vocab"], top_p: float, uniform: Float64[Tensor, " batch"]
) -> Int[Tensor, " batch"]:
    """One token for each sequence, given its uniform number; `WIDE_NUCLEUS` where `draw_from_all` must draw it.

    Larger nuclei are rare, and sorting a whole vocabulary is slow. The mark goes to the host with the tokens, so that
    the host waits for the device only once.
    """
    if top_p == 1:
        return find_places(logits.softmax(-1), top_p, uniform)
    few = logits.topk(min(FEW_TOKENS, logits.shape[-1]))
    shares = (few.values - logits.logsumexp(-1, keepdim=True)).exp()
    tokens = few.indices.gather(-1, find_places(shares, top_p, uniform)[:, None])[:, 0]
    is_wide = (shares.sum(-1) < top_p) & (shares.shape[-1] < logits.shape[-1])
    return tokens.masked_fill(is_wide, WIDE_NUCLEUS)


def draw_from_all(
    logits: Float[Tensor, "batch vocab"], top_p: float, uniform: Float64[Tensor, " batch"]
) -> Int[Tensor, " batch"]:
    """The same from nuclei of any size."""
    whole = logits.softmax(-1).sort(descending=True)
    return whole.indices.gather(-1, find_places(whole.values, top_p, uniform)[:, None])[:, 0]


def find_places(
    shares: Float[Tensor, "batch vocab"], top_p: float, uniform: Float64[Tensor, " batch"]
) -> Int[Tensor, " batch"]:
    """Where the running sum of `shares` passes `uniform` times the sum of the nucleus."""
    upto = shares.double().cumsum(-1)
    # the token that reaches top_p belongs to the nucleus; NaN compares as false
    last = (upto - shares < top_p).sum(-1, keepdim=True).clamp(min=1) - 1
    places = torch.searchsorted(upto, uniform[:, None] * upto.gather(-1, last), right=True)
    return torch.minimum(places, last)[:, 0]


def move_to_host(tokens: Int[Tensor, " batch"]) -> list[int]:
    """Tokens as numbers on the host: eight bytes each."""
    return tokens.tolist()
