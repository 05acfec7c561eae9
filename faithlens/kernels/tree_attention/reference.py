"""The meaning of tree attention, in plain torch: a dense masked softmax. Slow, quadratic in memory, obvious."""

import torch
from einops import einsum, repeat
from jaxtyping import Float
from torch import Tensor

from faithlens.kernels.tree_attention.tree import Readout, Tree


def attend(
    q: Float[Tensor, "head pos d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    v: Float[Tensor, "kv_head pos d_head"],
    tree: Tree,
    scale: float,
    window: int | None = None,
    readout: Readout | None = None,
) -> tuple[Float[Tensor, "head pos d_head"], Float[Tensor, "head row span"] | None]:
    """See `tree_attention`."""
    group = q.shape[0] // k.shape[0]
    k, v = (repeat(x, "kv pos d -> (kv group) pos d", group=group) for x in (k, v))
    everywhere = torch.arange(len(tree), device=q.device)
    scores = einsum(q, k, "h q d, h k d -> h q k") * scale
    pattern = scores.masked_fill(~tree.visible(everywhere, everywhere, window), -torch.inf).softmax(-1)
    out = einsum(pattern, v, "h q k, h k d -> h q d")
    if readout is None:
        return out, None
    start, stop = readout.spans.unbind(-1)
    inside = (start[..., None] <= tree.depth) & (tree.depth < stop[..., None])
    return out, einsum(pattern[:, readout.rows], inside.to(pattern), "h r k, r s k -> h r s")
