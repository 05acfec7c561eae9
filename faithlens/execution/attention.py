"""The attention of a packed pass: the entry in transformers' registry that stands for a model's own attention.

1. `attend_packed` is called by the attention module of each layer, with queries, keys and values of a chunk of rows.
2. If the rows run in several chunks, keys and values go into a buffer of all rows. A layer that shares the keys of an
   earlier layer reads those of that one; rows that have joined since are copies of their originals there.
3. A bias of keys by position (ALiBi) becomes one more number of each key, which meets a one in each query: scores are
   ``scale * (q @ k + 1 * bias / scale)``. So tree attention needs to know nothing of it.
4. `tree_attention` computes the output, and adds what the capture reads to the readings.
"""

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import AttentionInterface

from faithlens.errors import ModelError
from faithlens.execution.running import CURRENT_RUN, BlockDone, PackedRun
from faithlens.kernels.tree_attention import tree_attention

ATTENTION_NAME = "faithlens_packed"
ALIGNED = 8  # numbers to whose multiple a widened key is padded: kernels load 16 bytes at once


def attend_packed(
    module: nn.Module,
    query: Float[Tensor, "batch head query d_head"],
    key: Float[Tensor, "batch kv_head key d_head"],
    value: Float[Tensor, "batch kv_head key d_value"],
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Float[Tensor, " head"] | None = None,
    **extra: object,
) -> tuple[Float[Tensor, "batch query head d_value"], None]:
    """The registry entry: tree attention of the current chunk over all rows that it can see.

    Raises:
        ModelError: the layer needs something that tree attention does not do.
    """
    unknown = [name for name in ("position_bias", "head_mask") if extra.get(name) is not None]
    if attention_mask is not None:
        unknown.append("a mask of its own")
    if value.shape[-1] > query.shape[-1]:
        unknown.append("values wider than its keys")
    if unknown:
        raise ModelError(
            f"the attention of {type(module).__name__} uses {', '.join(unknown)}, which tree attention cannot do",
            "Run this model with backend='separate' (--backend separate).",
        )
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return attend_chunk(layer, query, key, value, scale, sliding_window, softcap, s_aux), None


def attend_chunk(
    layer: int,
    query: Float[Tensor, "batch head query d_head"],
    key: Float[Tensor, "batch kv_head key d_head"],
    value: Float[Tensor, "batch kv_head key d_value"],
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
    sinks: Float[Tensor, " head"] | None = None,
    bias: Float[Tensor, "head pos"] | None = None,
) -> Float[Tensor, "batch query head d_value"]:
    """The heads' outputs of a chunk in `layer`. Scores are ``scale * q @ k``, and the bias of the key's position.

    Values narrower than keys (multi-head latent attention) are padded with zeros, which change nothing.

    Raises:
        BlockDone: the output of the block is not read.
    """
    running = CURRENT_RUN.get()
    sight, chunk, geometry, readings = (
        running.model.anatomy.sight,
        running.get_chunk(),
        running.geometry,
        running.readings,
    )
    running.layers_attended.add(layer)
    width, q = value.shape[-1], query[0]
    keys, values = gather_keys(running, layer, key[0], value[0])
    readout = readings.get_readout(layer, chunk)
    if chunk.is_silent and readout is None:
        raise BlockDone
    if bias is not None:
        depth = running.copy_to(query.device)["depth"][0, : keys.shape[1]]
        q, keys = widen_by_bias(q, keys, bias[:, depth] / scale)
    if width < q.shape[-1]:
        values = pad(values, (0, q.shape[-1] - width))
    tree = geometry.build_tree(layer)
    if tree.grafts.shape[1] and (keys.requires_grad or values.requires_grad):
        tree = geometry.build_detached_tree(layer)
        keys, values = (torch.cat([x, x.detach()], 1) for x in (keys, values))
    attended = tree_attention(
        q, keys, values, tree, scale, queries=chunk.rows, window=sight.windows[layer] if sight.windows else window,
        softcap=softcap, sinks=sinks, readout=readout, mass=readings.get_mass(layer, q) if readout else None,
    )  # fmt: skip
    out = attended.out[..., :width]
    if readout is not None and attended.flow is not None:
        out = readings.keep_flow(layer, chunk, readout, out, attended.flow[..., :width])
    if chunk.is_silent:
        raise BlockDone
    return rearrange(out, "head query d -> 1 query head d").contiguous()


def gather_keys(
    running: PackedRun,
    layer: int,
    key: Float[Tensor, "kv_head key d_head"],
    value: Float[Tensor, "kv_head key d_value"],
) -> tuple[Float[Tensor, "kv_head pos d_head"], Float[Tensor, "kv_head pos d_value"]]:
    """The keys and values of all rows of the layer, after those of the chunk are put into their places."""
    sources = running.model.anatomy.sight.sources
    if sources[layer] != layer:
        keys, values = (x.to(key.device) for x in running.shared_keys_values[sources[layer]])
        holders = running.copy_to(key.device).get(("keys", layer))
        return (keys, values) if holders is None else (keys.index_select(1, holders), values.index_select(1, holders))
    running.keep_keys_values(layer, key, value)
    is_shared = sources.count(layer) > 1
    names = (("keys", layer), ("values", layer)) if is_shared else ("keys", "values")
    keys, values = (running.store_rows(name, x, 1) for name, x in zip(names, (key, value), strict=True))
    if is_shared:
        running.shared_keys_values[layer] = keys, values
    return keys, values


def widen_by_bias(
    query: Float[Tensor, "head query d_head"],
    keys: Float[Tensor, "kv_head pos d_head"],
    bias: Float[Tensor, "head pos"],
) -> tuple[Float[Tensor, "head query d_wide"], Float[Tensor, "head pos d_wide"]]:
    """Queries with a one and keys with their bias, and zeros up to a multiple of `ALIGNED`; the keys for each head."""
    keys = repeat(keys, "kv pos d -> (kv group) pos d", group=query.shape[0] // keys.shape[0])
    zeros = -(query.shape[-1] + 1) % ALIGNED
    wide = torch.cat([keys, bias[..., None].to(keys)], -1)
    return pad(pad(query, (0, 1), value=1.0), (0, zeros)), pad(wide, (0, zeros))


AttentionInterface.register(ATTENTION_NAME, attend_packed)
