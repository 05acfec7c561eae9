"""The meaning of tree attention, in plain torch: a dense masked softmax. Slow, quadratic in memory, obvious."""

import torch
from einops import einsum, repeat
from jaxtyping import Float, Int
from torch import Tensor

from faithlens.kernels.tree_attention.tree import (
    AttentionOutput,
    Readout,
    Tree,
    find_queries,
    list_rows,
    pool_readers,
)


def attend(
    q: Float[Tensor, "head query d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    v: Float[Tensor, "kv_head pos d_head"],
    tree: Tree,
    scale: float,
    queries: range | Int[Tensor, " query"],
    window: int | None,
    softcap: float | None,
    sinks: Float[Tensor, " head"] | None,
    readout: Readout | None,
    mass: Float[Tensor, "head reader span"] | None,
) -> AttentionOutput:
    """See `tree_attention`."""
    group = q.shape[0] // k.shape[0]
    seen = tree.compute_visible(list_rows(queries), torch.arange(k.shape[1]), window).to(q.device)
    unseen = ~seen.any(0)[:, None]  # an unseen key may hold NaN, and zero times NaN is not zero
    k, v = (repeat(x.masked_fill(unseen, 0), "kv pos d -> (kv group) pos d", group=group) for x in (k, v))
    scores = einsum(q, k, "h q d, h k d -> h q k") * scale
    scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
    scores = scores.masked_fill(~seen, -torch.inf)
    if sinks is not None:
        sink = sinks.to(scores)[:, None, None].expand(-1, q.shape[1], 1)
        pattern = torch.cat([scores, sink], -1).softmax(-1)[..., :-1]
    else:
        pattern = scores.softmax(-1).masked_fill(~seen.any(1)[:, None], 0)
    out = einsum(pattern, v, "h q k, h k d -> h q d")
    if readout is None:
        return AttentionOutput(out)
    start, stop = readout.spans[readout.readers].unbind(-1)
    depth = tree.depth[: k.shape[1]]
    inside = ((start[..., None] <= depth) & (depth < stop[..., None])).to(pattern)
    read = pattern[:, find_queries(queries, readout.rows).to(q.device)]
    shares = einsum(read, inside, "h r k, r s k -> h r s")
    flow = einsum(read, inside, v, "h r k, r s k, h k d -> h r s d") if readout.reads_flow else None
    return AttentionOutput(out, pool_readers(shares, readout, mass), flow)
