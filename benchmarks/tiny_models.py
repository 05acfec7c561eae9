"""A small random model of every causal text architecture of transformers.

Its windows and its scaling of positions begin within the input, so that both sides of each are run.
"""

import os
from inspect import getattr_static
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformer_lens  # noqa: F401  imported here once, not in every process
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    set_seed,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from faithlens.model.model import Model
from faithlens.model.structure import Structure

LAYERS, HEADS, WIDTH, WINDOW, TOKENS = 4, 4, 32, 16, 261
SIZES: dict[str, Any] = {
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), LAYERS),
    **dict.fromkeys(("encoder_layers", "depth"), 1),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"), HEADS),
    **dict.fromkeys(("encoder_attention_heads", "num_decoder_attention_heads", "num_encoder_attention_heads"), HEADS),
    **dict.fromkeys(("num_decoder_layers", "num_encoder_layers"), LAYERS),
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim_model", "emb_dim", "dim"), WIDTH),
    **dict.fromkeys(("intermediate_size", "n_inner", "d_inner", "ffn_dim", "decoder_ffn_dim", "dim_ff"), 2 * WIDTH),
    **dict.fromkeys(("encoder_ffn_dim", "dff", "ffn_hidden_size", "ffn_config_hidden_size"), 2 * WIDTH),
    **dict.fromkeys(("shared_intermediate_size", "moe_intermediate_size", "shared_expert_intermediate_size"), WIDTH),
    **dict.fromkeys(("sliding_window", "attention_chunk_size", "window_size", "attention_window_size"), WINDOW),
    **dict.fromkeys(("sliding_window_size", "local_attention", "keep_window_size", "index_topk"), WINDOW),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length"), 512),
    **dict.fromkeys(("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_k", "top_k_experts"), 2),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts", "first_k_dense_replace"), 1),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 16),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "head_dim"), 8),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), 8),
    "linear_num_key_heads": 2,
    "linear_num_value_heads": HEADS,
    "num_key_value_heads": 2,
    "vocab_size": TOKENS,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
    "is_decoder": True,  # models of the BERT family read both ways without it
}  # fmt: skip
LATENT = {"num_key_value_heads": HEADS, "head_dim": None}  # attention whose keys come from a latent of each token
INDEXED = {"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 16, "indexer_budget": 16,
           "indexer_compress_ratio": 4}  # fmt: skip
SLIDING_LATENT = {f"swa_{name}": size for name, size in {
    "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "q_lora_rank": 16, "kv_lora_rank": 16, "head_dim": 16,
    "qk_nope_head_dim": 8, "v_head_dim": 8}.items()}  # fmt: skip
SCANNED = {"mamba_n_heads": HEADS, "mamba_d_head": 16, "mamba_d_ssm": 64, "mamba_d_state": 16}
WITHOUT_LAYER_INPUTS = {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}
OWN_SIZES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("axk1", "axk2", "bailing_hybrid", "deepseek_v2", "deepseek_v3", "deepseek_v32"), LATENT),
    **dict.fromkeys(("glm4_moe_lite", "glm_moe_dsa", "minicpm3", "youtu"), LATENT),
    "blt": {
        "local_attention_window_len": WINDOW,
        "encoder_hash_byte_group_vocab": 64,
        "encoder_config": {"hidden_size_global": WIDTH},
        "decoder_config": {"hidden_size_global": WIDTH},
    },
    "dots3_note": {
        "text_config": LATENT | SLIDING_LATENT,
        "vision_config": {
            "mlp_layer_types": ["dense", "sparse"] * 2,
            "adapter_in_dim": WIDTH,
            "adapter_out_dim": WIDTH,
        },
        "audio_config": {"adapter_input_size": WIDTH, "adapter_out_dim": WIDTH},
    },
    "dots3_note_text": LATENT | SLIDING_LATENT,
    "kimi_linear": LATENT | {"linear_head_dim": 8, "linear_num_heads": HEADS},
    "minimax_m3_vl_text": {
        "index_n_heads": 2,
        "index_head_dim": 8,
        "index_block_size": 8,
        "index_topk_blocks": 2,
        "layer_types": ["full_attention", "minimax_m3_sparse"] * 2,
    },
    "musicgen": {"decoder": {"num_codebooks": 1}},
    "musicgen_melody": {"decoder": {"num_codebooks": 1}},
    "codegen": {"rotary_dim": 8},
    "gptj": {"rotary_dim": 8},
    "dbrx": {"attn_config": {"rope_theta": 1e4, "kv_n_heads": 2, "clip_qkv": 8.0}},
    "gemma3n": {"text_config": {"num_kv_shared_layers": 0}},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "gemma4_assistant": {
        "default": {"text_config": {"model_type": "gemma4_text", **WITHOUT_LAYER_INPUTS}},
        "text_config": WITHOUT_LAYER_INPUTS | {"num_kv_shared_layers": LAYERS},
    },
    "longcat_flash": LATENT | {"head_dim": 8},
    "mamba2": {"num_heads": HEADS, "head_dim": 16, "n_groups": 1},
    "nemotron_h": {"mamba_num_heads": HEADS, "mamba_head_dim": 16, "n_groups": 1, "ssm_state_size": 16},
    "reformer": {"axial_pos_embds_dim": [16, 16], "axial_pos_shape": [16, 32]},
    "xmod": {"default_language": "en_XX"},
    "zamba2": {"layer_types": None, "layers_block_type": ["mamba", "hybrid"] * 2, "num_mem_blocks": 1},
    "qwen4_exp": {"text_config": INDEXED},
    "qwen4_exp_text": INDEXED,
    "cohere_compass_text": {
        "layer_types": ["full_attention"] * LAYERS,
        "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}},
    },
    "bamba": SCANNED | {"mamba_d_ssm": None, "attn_layer_indices": [1, 3]},
    "falcon_h1": SCANNED,
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": SCANNED | {"mamba_d_ssm": None, "layer_types": ["mamba", "attention"] * 2},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "use_mamba_kernels": False},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "zaya": {"num_experts_per_tok": 1},
}


def make_tiny_config(kind: str) -> PreTrainedConfig:
    """A config of a few small layers, one of each kind that the architecture has."""
    return shrink_config(CONFIG_MAPPING[kind], OWN_SIZES.get(kind, {}))


def shrink_config(cls: type[PreTrainedConfig], own: dict[str, Any]) -> PreTrainedConfig:
    """A small config of class `cls`; `own` are the sizes that it needs in place of those in `SIZES`, None for none."""
    default = cls(**own.get("default", {}))
    parts = {
        name: shrink_config(type(part), own.get(name, {}))
        for name in getattr(cls, "sub_configs", {})
        if isinstance(part := getattr(default, name, None), PreTrainedConfig)
    }
    known = {*default.to_dict(), *cls.attribute_map}
    sizes = {name: value for name, value in SIZES.items() if name in known}
    for alias, name in cls.attribute_map.items():  # two names of one size
        if alias in sizes and name in sizes:
            del sizes[alias]
    kinds = getattr(default, "layer_types", None)
    stored = getattr_static(cls, cls.attribute_map.get("layer_types", "layer_types"), None)
    if isinstance(kinds, list) and not isinstance(stored, property):
        distinct = list(dict.fromkeys(kinds))
        sizes["layer_types"] = [distinct[i % len(distinct)] for i in range(LAYERS)]
    sizes |= parts | {name: value for name, value in own.items() if name not in (*parts, "default")}
    return cls(**{name: value for name, value in sizes.items() if value is not None})


def make_tiny_model(kind: str) -> Model:
    """A random model whose weights are scaled up, so that attention is peaked and a wrong key changes the answer."""
    set_seed(0)
    config = make_tiny_config(kind)
    if kind.startswith("musicgen"):  # the class that transformers gives for the whole config takes that of the decoder
        made = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)](config.decoder)
    else:
        made = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    hf_model = made.eval().requires_grad_(False)
    hf_model.config.architectures = [type(hf_model).__name__]
    for name, weight in hf_model.named_parameters():
        if weight.ndim == 2 and "embed" not in name and "wte" not in name:
            weight.mul_(3)
    return Model(f"tiny {kind}", hf_model, make_byte_tokenizer(), Structure())


def make_byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={"<s>": 0, "</s>": 1} | {c: i + 2 for i, c in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")
