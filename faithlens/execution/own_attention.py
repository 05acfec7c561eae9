"""Models whose attention a packed pass cannot take over by transformers' registry alone.

Older models compute their attention themselves. Each has one function here, which computes queries, keys and values by
the modules of the model as the model does, and leaves the rest to `attend_chunk`. `exactness` compares the result with
the model's own before the first numbers, so a new version of a model that this module does not know is refused.

1. GPT-J, CodeGen, GPT-Neo and GPT-NeoX-Japanese: their `_attn` is replaced, which gets queries, keys and values.
2. BLOOM, Falcon, MPT and XGLM: the forward of their attention is replaced. ALiBi is a bias of keys by their position,
   up to a constant of the query, which a softmax does not see. The model makes the biases for the positions from 0 on,
   and a row of a packed pass takes the one of its own position.
3. Llama 4 scales its queries by their place in the row in layers without rotations. This is switched off, and the scale
   of a row's own position is applied.

For example, BLOOM with the slope 0.5: a query at position 3 adds 0, 0.5, 1, 1.5 to its scores, which is the same as
-1.5, -1, -0.5, 0.
"""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from faithlens.execution.attention import attend_chunk
from faithlens.execution.running import CURRENT_RUN

Heads = Float[Tensor, "batch head query d_head"]


def list_own_attention(hf_model: PreTrainedModel) -> dict[nn.Module, Callable]:
    """For each module with an attention of its own, what is called in place of its forward (`replace_forwards`)."""
    return {
        module: partial(ADAPTERS[type(module).__name__], module)
        for module in hf_model.modules()
        if type(module).__name__ in ADAPTERS
    }


def make_own_arguments(body: nn.Module, position_ids: Int[Tensor, "batch pos"]) -> dict[str, Tensor]:
    """The arguments by which `body` gets its positions; MPT has none, and needs some mask, which is ignored."""
    if type(body).__name__ == "MptModel":
        return {"attention_mask": torch.zeros(1, 1, 1, 1, device=position_ids.device)}
    return {"position_ids": position_ids} if "position_ids" in signature(body.forward).parameters else {}


def call_with_attn(module: Any, forward: Callable, *args: object, **kwargs: object) -> object:
    """The module's own forward, in which its `_attn` is tree attention."""
    layer = module.layer_id if hasattr(module, "layer_id") else module.layer_idx
    is_local = getattr(module, "attention_type", None) == "local"
    window = module.config.window_size if is_local else None
    norm = getattr(module, "scale_attn", None) or getattr(module, "norm_factor", None) or 1.0

    def attend(query: Heads, key: Heads, value: Heads, attention_mask: Tensor | None = None) -> tuple[Heads, None]:
        query, key = query.to(value.dtype), key.to(value.dtype)
        return attend_chunk(layer, query, key, value, 1 / float(norm), window).transpose(1, 2), None

    module._attn = attend
    try:
        return forward(*args, **kwargs)
    finally:
        del module._attn


def forward_bloom(
    module: Any, forward: Callable, hidden_states: Tensor, residual: Tensor, alibi: Tensor, **others: object
) -> tuple[Tensor, None]:
    """The forward of `BloomAttention`, which adds the residual stream."""
    query, key, value = module._reshape(module.query_key_value(hidden_states))
    bias = alibi[:, 0]  # [batch * head, 1, position], and there is one batch
    z = attend_chunk(module.layer_idx, query, key, value, module.inv_norm_factor, bias=bias)
    return module.dense(z.flatten(2)) + residual, None


def forward_falcon(
    module: Any,
    forward: Callable,
    hidden_states: Tensor,
    alibi: Tensor | None = None,
    position_embeddings: tuple[Tensor, Tensor] | None = None,
    **others: object,
) -> tuple[Tensor, None]:
    """The forward of `FalconAttention`; its biases have the scale of scores without their scaling."""
    split = module._split_heads(module.query_key_value(hidden_states))
    query, key, value = (x.transpose(1, 2) for x in split)
    if alibi is None:
        from transformers.models.falcon.modeling_falcon import apply_rotary_pos_emb as rotate_falcon  # only for Falcon

        assert position_embeddings is not None
        query, key = rotate_falcon(query, key, *position_embeddings)
    scale = module.inv_norm_factor
    bias = None if alibi is None else scale * rearrange(alibi, "... one position -> (...) (one position)")
    z = attend_chunk(module.layer_idx, query, key, value, scale, bias=bias)
    return module.dense(z.flatten(2)), None


def forward_mpt(
    module: Any, forward: Callable, hidden_states: Tensor, position_bias: Tensor, **others: object
) -> tuple[Tensor, None]:
    """The forward of `MptAttention`; its biases are those of its longest sequence, and the last ones are used."""
    mixed = module.Wqkv(hidden_states)
    if module.clip_qkv:
        mixed = mixed.clamp(-module.clip_qkv, module.clip_qkv)
    query, key, value = (rearrange(x, "b q (h d) -> b h q d", h=module.n_heads) for x in mixed.chunk(3, dim=2))
    longest = 1 + int(CURRENT_RUN.get().packed.depth.max())
    bias = position_bias[:, 0, -longest:].to(query)
    z = attend_chunk(module.layer_idx, query, key, value, module.softmax_scale, bias=bias)
    return module.out_proj(z.flatten(2)), None


def forward_xglm(module: Any, forward: Callable, hidden_states: Tensor, **others: object) -> tuple[Tensor, None]:
    """The forward of `XGLMAttention`, without an encoder."""
    query, key, value = (
        rearrange(project(hidden_states), "b q (h d) -> b h q d", h=module.num_heads)
        for project in (module.q_proj, module.k_proj, module.v_proj)
    )
    z = attend_chunk(module.layer_idx, query, key, value, module.scaling)
    return module.out_proj(z.flatten(2)), None


def forward_llama4(module: Any, forward: Callable, *args: object, **kwargs: object) -> object:
    """The forward of `Llama4TextAttention`, with the temperature of each row's own position."""
    if not module.attn_temperature_tuning or module.use_rope:
        return forward(*args, **kwargs)
    running = CURRENT_RUN.get()
    positions = running.take_chunk(running.copy_to(module.q_proj.weight.device)["depth"], 1)[0]
    scales = torch.log1p(torch.floor((positions.float() + 1.0) / module.floor_scale)) * module.attn_scale + 1.0

    def scale_queries(project: nn.Module, args: tuple, out: Tensor) -> Tensor:
        return (out * scales[:, None]).to(out.dtype)

    handle = module.q_proj.register_forward_hook(scale_queries)
    module.attn_temperature_tuning = False
    try:
        return forward(*args, **kwargs)
    finally:
        module.attn_temperature_tuning = True
        handle.remove()


ADAPTERS: dict[str, Callable] = {
    **dict.fromkeys(("GPTJAttention", "CodeGenAttention", "GPTNeoSelfAttention"), call_with_attn),
    "GPTNeoXJapaneseAttention": call_with_attn,
    "BloomAttention": forward_bloom,
    "FalconAttention": forward_falcon,
    "MptAttention": forward_mpt,
    "XGLMAttention": forward_xglm,
    "Llama4TextAttention": forward_llama4,
}
