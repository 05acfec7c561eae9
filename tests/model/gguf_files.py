"""Tiny GGUF files, in the form that llama.cpp writes, from random transformers models."""

from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel, Qwen2Config, set_seed

TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġa", "ĊĊ", "at"]
MERGES = ["Ġ a", "Ċ Ċ", "a t"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": len(TOKENS),
    "max_position_embeddings": 128,
    "eos_token_id": 2,
    "bos_token_id": 1,
}
CONFIGS = {
    "llama": LlamaConfig(**SIZES, tie_word_embeddings=True),
    "qwen2": Qwen2Config(**SIZES, tie_word_embeddings=False),
}
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def random_model(arch: str) -> PreTrainedModel:
    """A model whose parameters are all random, also biases and norms, so that a lost one changes the logits."""
    set_seed(1)
    model = AutoModelForCausalLM.from_config(CONFIGS[arch], dtype=torch.float32).eval().requires_grad_(False)
    for weight in model.parameters():
        weight.copy_(torch.randn_like(weight) * 0.3)
    return model


def gguf_name(name: str) -> str:
    name, end = name.rsplit(".", 1)
    if name.startswith("model.layers."):
        _, _, block, part = name.split(".", 3)
        return f"blk.{block}.{NAMES[part]}.{end}"
    return f"{NAMES[name]}.{end}"


def interleave(rows: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's order: row i of a head's first rotary half, then row i of its second."""
    half = rows.shape[0] // heads // 2
    order = [h * 2 * half + part * half + i for h in range(heads) for i in range(half) for part in (0, 1)]
    return rows[order]


def write(
    path: Path,
    model: PreTrainedModel,
    arch: str,
    kind: GGMLQuantizationType = GGMLQuantizationType.F32,
    *,
    split: str = "gpt-2",
    named_arch: str | None = None,
    drop: str = "",
    extra: str = "",
    scaling: str = "",
) -> Path:
    """Matrices are stored as `kind`; `drop` leaves a tensor out, `extra` adds one."""
    config, writer = model.config, GGUFWriter(path, named_arch or arch)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if scaling:
        writer.add_string(f"{arch}.rope.scaling.type", scaling)
    add_tokenizer(writer, split)
    for name, weight in model.named_parameters():
        if gguf_name(name) == drop:
            continue
        rows = weight.numpy()
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):
            rows = interleave(rows, config.num_attention_heads if "q_proj" in name else config.num_key_value_heads)
        stored = kind if rows.ndim == 2 else GGMLQuantizationType.F32
        writer.add_tensor(gguf_name(name), quantize(np.ascontiguousarray(rows), stored), raw_dtype=stored)
    if extra:
        writer.add_tensor(extra, np.ones(8, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_tokenizer(writer: GGUFWriter, split: str) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] * 3 + [1] * (len(TOKENS) - 3))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_eot_token_id(0)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
