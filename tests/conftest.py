"""Tiny random models of each architecture family, with a byte-level tokenizer, on which the tests run."""

import inspect
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch
from hypothesis import HealthCheck, settings

from tests import type_checks  # noqa: F401, before any import of faithlens

os.environ.setdefault("TRITON_INTERPRET", "1")  # kernels run on the CPU, step by step; read when Triton is imported

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AfmoeConfig,
    BloomConfig,
    CodeGenConfig,
    DbrxConfig,
    DeepseekV3Config,
    FalconConfig,
    Gemma2Config,
    Gemma3TextConfig,
    Gemma4TextConfig,
    Glm4Config,
    GPT2Config,
    GPTJConfig,
    GPTNeoConfig,
    GPTNeoXConfig,
    GptOssConfig,
    GraniteConfig,
    GraniteMoeSharedConfig,
    Llama4TextConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    MptConfig,
    Olmo2Config,
    OPTConfig,
    Phi3Config,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
    Qwen3NextConfig,
    SmolLM3Config,
    set_seed,
)
from transformers import AutoModelForCausalLM as Auto

from faithlens.measures.catalogue import Measure, registry
from faithlens.model.model import Model
from faithlens.model.structure import Structure

# No test may depend on how fast the machine is, or on what else it is doing.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# A shell starts background jobs with SIGINT ignored, and their children too; the tests that send it are to be answered.
signal.signal(signal.SIGINT, signal.default_int_handler)

torch.set_num_threads(1)  # models this small only wait for each other's threads

SIZES = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "vocab_size": 261,
}
FAMILIES = {
    "llama": LlamaConfig(**SIZES, num_key_value_heads=2, max_position_embeddings=512),
    "qwen2": Qwen2Config(**SIZES, num_key_value_heads=3, max_position_embeddings=512),
    "gpt_neox": GPTNeoXConfig(**SIZES, max_position_embeddings=512),
    "mistral": MistralConfig(**SIZES, num_key_value_heads=2, max_position_embeddings=512, sliding_window=12),
}
# One test checks that these are packed exactly too. GPT-2 learns its positions, SmolLM3 has none in some layers, OLMo 2
# norms after each block, GLM-4 before and after each, Granite multiplies what blocks add, Gemma 3 mixes windowed and
# full layers, Gemma 2 soft-caps scores and logits, gpt-oss has attention sinks, Mixtral, Qwen3-MoE and gpt-oss choose
# experts token by token, and DeepSeek has values that are narrower than its keys.
MULTIPLIERS = {
    "residual_multiplier": 0.22, "embedding_multiplier": 12.0, "logits_scaling": 8.0, "attention_multiplier": 0.3,
}  # fmt: skip
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
MORE = {
    "deepseek_v3": DeepseekV3Config(
        **SIZES, num_key_value_heads=6, max_position_embeddings=512, n_routed_experts=4, num_experts_per_tok=2,
        n_group=1, topk_group=1, moe_intermediate_size=32, q_lora_rank=16, kv_lora_rank=16, qk_rope_head_dim=8,
        qk_nope_head_dim=8, v_head_dim=6, first_k_dense_replace=1,
    ),
    "gemma2": Gemma2Config(
        **SIZES, num_key_value_heads=2, head_dim=8, max_position_embeddings=512, sliding_window=12,
        attn_logit_softcapping=2.0, final_logit_softcapping=5.0,
    ),
    "gemma3": Gemma3TextConfig(
        **SIZES, num_key_value_heads=2, head_dim=8, max_position_embeddings=512, sliding_window=12
    ),
    "glm4": Glm4Config(**SIZES, num_key_value_heads=2, head_dim=8, max_position_embeddings=512, pad_token_id=0),
    "gpt2": GPT2Config(n_embd=48, n_layer=3, n_head=6, vocab_size=261, n_positions=512),
    "gpt_oss": GptOssConfig(
        **SIZES, **EXPERTS, num_key_value_heads=2, head_dim=8, max_position_embeddings=512, sliding_window=12
    ),
    "granite": GraniteConfig(**SIZES, **MULTIPLIERS, num_key_value_heads=2, max_position_embeddings=512),
    "mixtral": MixtralConfig(**SIZES, **EXPERTS, num_key_value_heads=2, max_position_embeddings=512),
    "olmo2": Olmo2Config(**SIZES, num_key_value_heads=2, max_position_embeddings=512),
    "phi3": Phi3Config(**SIZES, num_key_value_heads=2, max_position_embeddings=512, pad_token_id=0),
    "qwen3": Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=8, max_position_embeddings=512),
    "qwen3_moe": Qwen3MoeConfig(
        **SIZES, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, num_key_value_heads=2, head_dim=8,
        max_position_embeddings=512,
    ),
    "smollm3": SmolLM3Config(
        **SIZES, num_key_value_heads=2, max_position_embeddings=512, pad_token_id=0, no_rope_layer_interval=2
    ),
}  # fmt: skip
# These are packed exactly too, but TransformerLens does not run them or not all edits of them. Own names beside model
# types: Falcon in its second architecture, and Falcon with ALiBi.
OTHERS = {
    "afmoe": AfmoeConfig(
        **SIZES, num_key_value_heads=2, head_dim=8, max_position_embeddings=512, num_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=32, sliding_window=12, num_dense_layers=1, n_group=1, topk_group=1, num_shared_experts=1,
    ),
    "bloom": BloomConfig(hidden_size=48, n_layer=3, n_head=6, vocab_size=261),
    "codegen": CodeGenConfig(n_embd=48, n_layer=3, n_head=8, rotary_dim=4, vocab_size=261, n_positions=512, n_ctx=512),
    "dbrx": DbrxConfig(
        d_model=48, n_heads=6, n_layers=3, max_seq_len=512, vocab_size=261,
        attn_config={"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
        ffn_config={"ffn_hidden_size": 32, "moe_num_experts": 4, "moe_top_k": 2},
    ),
    "falcon": FalconConfig(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=6, vocab_size=261, max_position_embeddings=512,
    ),
    "falcon_2": FalconConfig(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=6, vocab_size=261, max_position_embeddings=512,
        new_decoder_architecture=True, num_kv_heads=2,
    ),
    "falcon_alibi": FalconConfig(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=6, vocab_size=261, max_position_embeddings=512,
        multi_query=False, parallel_attn=False, alibi=True, bias=True,
    ),
    "gemma4": Gemma4TextConfig(
        **SIZES, num_key_value_heads=2, head_dim=8, global_head_dim=16, max_position_embeddings=512, sliding_window=12,
        hidden_size_per_layer_input=8, vocab_size_per_layer_input=261, num_kv_shared_layers=1,
        layer_types=["sliding_attention", "full_attention", "full_attention"],
    ),
    "gpt_neo": GPTNeoConfig(
        hidden_size=48, num_layers=3, num_heads=6, vocab_size=261, max_position_embeddings=512, window_size=12,
        attention_types=[[["global", "local", "global"], 1]],
    ),
    "gptj": GPTJConfig(n_embd=48, n_layer=3, n_head=6, rotary_dim=4, vocab_size=261, n_positions=512),
    "granitemoeshared": GraniteMoeSharedConfig(
        **SIZES, **EXPERTS, **MULTIPLIERS, num_key_value_heads=2, max_position_embeddings=512,
        shared_intermediate_size=32,
    ),
    "llama4": Llama4TextConfig(
        **SIZES, num_local_experts=4, num_experts_per_tok=1, num_key_value_heads=2, head_dim=8,
        intermediate_size_mlp=64, max_position_embeddings=512, attention_chunk_size=12,
        no_rope_layers=[1, 0, 1], floor_scale=4, attn_scale=0.7,
        interleave_moe_layer_step=2, pad_token_id=0,
    ),
    "mpt": MptConfig(d_model=48, n_layers=3, n_heads=6, vocab_size=261, max_seq_len=512),
    "opt": OPTConfig(
        hidden_size=48, ffn_dim=96, num_hidden_layers=3, num_attention_heads=6, vocab_size=261,
        word_embed_proj_dim=48, max_position_embeddings=512,
    ),
}  # fmt: skip
# These are refused by name: they have recurrent state, or linear attention in some layers.
REFUSED = {
    "mamba": MambaConfig(hidden_size=48, num_hidden_layers=2, vocab_size=261),
    "qwen3_next": Qwen3NextConfig(
        **SIZES, num_experts=4, num_experts_per_tok=2, num_key_value_heads=2, head_dim=8, max_position_embeddings=512,
        layer_types=["linear_attention", "full_attention", "linear_attention"], linear_num_key_heads=2,
        linear_num_value_heads=2, linear_key_head_dim=8, linear_value_head_dim=8, moe_intermediate_size=32,
        shared_expert_intermediate_size=32,
    ),
}  # fmt: skip


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each byte: every text round-trips, and characters beyond ASCII span several tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {"<s>": 0, "</s>": 1} | {c: i + 2 for i, c in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", clean_up_tokenization_spaces=False
    )


def tiny(family: str, structure: Structure = Structure()) -> Model:
    """A random model of a family. Its weights are scaled up, so that attention is peaked and edits matter."""
    set_seed(0)
    config = (FAMILIES | MORE | OTHERS | REFUSED)[family]
    model = Auto.from_config(config, dtype=torch.float32).eval().requires_grad_(False)
    model.config.architectures = [type(model).__name__]
    for name, weight in model.named_parameters():
        if weight.ndim == 2 and "embed" not in name:
            weight.mul_(4)
    return Model(f"tiny-{family}", model, byte_tokenizer(), structure)


def call_unchecked(function: Callable[..., Any], /, *args: object, **kwargs: object) -> Any:
    """Call a function or class without beartype's checks, which only tests have, to see the errors of faithlens."""
    if not isinstance(function, type):
        return inspect.unwrap(function)(*args, **kwargs)
    made = object.__new__(function)
    inspect.unwrap(function.__init__)(made, *args, **kwargs)
    return made


# Files that take minutes come first, so that no process is left with one of them at the end.
SLOWEST = ["test_notebooks.py", "test_shipped.py", "test_compile.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: SLOWEST.index(item.path.name) if item.path.name in SLOWEST else len(SLOWEST))


@pytest.fixture
def register_measure() -> Iterator[Callable[..., Measure]]:
    """Register measures of a test's own, by the fields of `Measure`; they are forgotten after the test."""
    names: list[str] = []

    def add(**fields: object) -> Measure:
        names.append(str(fields["name"]))
        return registry.register_measure(Measure(**fields))  # pyright: ignore[reportArgumentType]

    yield add
    for name in names:
        registry._CATALOGUE.pop(name, None)


@pytest.fixture(scope="session", params=sorted(FAMILIES))
def model(request: pytest.FixtureRequest) -> Model:
    return tiny(request.param)
