"""Which architectures of transformers are exact, packed and separate? A tiny random model of each is run.

1. `make_tiny_config` makes a small config of every causal text architecture. Its windows and its scaling of positions
   begin within the input, so that both sides of each are run.
2. `compare_backends` runs a truncated chain by each backend, and by plain transformers, one forward for each option.
   Where a backend is exact, `describe_abilities` tries edits, captures and gradients (`architecture_edits`).
3. Each architecture runs in a process of its own, with a limit of time and memory.
4. The table is written to docs/architectures.md.

Run ``python -m benchmarks.architectures`` for all, or name some: ``python -m benchmarks.architectures llama gemma3``;
then the table is printed only. For example, of OPT, whose knockouts TransformerLens loses:
``| opt | exact, 0e+00 | exact, 0e+00 | yes; yes, refused: knockout | yes; yes | yes; yes |``.
"""

import multiprocessing
import os
import random
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from inspect import getattr_static
from pathlib import Path
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
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from benchmarks.architecture_edits import EXACT, describe_abilities
from faithlens.errors import FaithlensError
from faithlens.execution.execute import BACKENDS, execute
from faithlens.model.model import Model
from faithlens.model.structure import Structure
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes

PAGE = Path(__file__).parents[1] / "docs" / "architectures.md"
SECONDS, BYTES = 240, 10 << 30  # limits of one architecture
NOTHING = "-; -"

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


@dataclass(frozen=True)
class Row:
    """One row of the table: what each backend gave, in words, or why no tiny model could be made.

    Edits, captures and gradients are words for "packed", and after a semicolon those for "separate".
    """

    architecture: str
    packed: str
    separate: str
    edits: str = NOTHING
    captures: str = NOTHING
    gradients: str = NOTHING

    @property
    def cells(self) -> tuple[str, ...]:
        """All but the name."""
        return self.packed, self.separate, self.edits, self.captures, self.gradients

    @property
    def is_silently_wrong(self) -> bool:
        """Whether a backend gave numbers that are not those of plain transformers, or an error that is not ours."""
        return any("WRONG" in each or each.startswith("foreign") or ", foreign" in each for each in self.cells)

    def __str__(self) -> str:
        return f"| {self.architecture} | {' | '.join(self.cells)} |".replace("<", "&lt;")


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


def make_conditions() -> list[Condition]:
    """A chain of random tokens and its truncations: 94 to 27 tokens, with options of one and two tokens."""
    rng = random.Random(0)

    def draw(n: int) -> tuple[int, ...]:
        return tuple(rng.randrange(2, 258) for _ in range(n))

    prompt, stem, options = Piece("prompt", draw(24)), Piece("stem", draw(3)), (draw(1), draw(1), draw(2))
    steps = [Piece(f"step {i}", draw(n)) for i, n in enumerate((9, 7, 11, 40))]
    return [Condition(f"cut@{k}", (prompt, *steps[:k], stem), options) for k in (4, 3, 2, 1, 0)]


@torch.inference_mode()
def answer_plainly(model: Model, condition: Condition) -> torch.Tensor:
    """The log-probabilities of the options by transformers alone."""
    out = []
    for option in condition.options:
        ids = torch.tensor([condition.ids + option[:-1]], device=model.device)
        logits = model.hf_model(input_ids=ids, use_cache=False).logits[0, len(condition.ids) - 1 :]
        out.append(logits.float().log_softmax(-1)[range(len(option)), list(option)].sum())
    return torch.stack(out)


def compare_backends(kind: str) -> Row:
    """Run the architecture `kind` by each backend, and say how far it is from plain transformers."""
    doing = "cannot be built by transformers"
    try:
        model, conditions = make_tiny_model(kind), make_conditions()
        doing = "cannot be run by transformers"
        plain = [answer_plainly(model, condition) for condition in conditions]
    except Exception as error:  # noqa: BLE001  no model, so there is nothing to compare
        words = f"{doing}: {shorten(error)}"
        return Row(kind, words, words)
    answers = [describe_backend(model, conditions, plain, backend) for backend in BACKENDS]
    able = [
        describe_abilities(model, backend) if backend_answers.startswith("exact") else ("-",) * 3
        for backend, backend_answers in zip(BACKENDS, answers, strict=True)
    ]
    return Row(kind, *answers, *map("; ".join, zip(*able, strict=True)))


def describe_backend(model: Model, conditions: list[Condition], plain: list[torch.Tensor], backend: Any) -> str:
    """What a backend gives, in words."""
    try:
        records = execute(model, plan_passes(model, conditions), backend=backend)
    except FaithlensError as error:
        return f"refused: {error.problem}"
    except Exception as error:  # noqa: BLE001  what must not reach a user
        return f"foreign {shorten(error)}"
    gap = max(float((r.logprobs - p).abs().max()) for r, p in zip(records, plain, strict=True))
    return f"{'exact' if gap < EXACT else 'WRONG'}, {gap:.0e}"


def shorten(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"


def run_architecture(kind: str) -> Row:
    """`compare_backends` in a process of its own, within the limits of time and memory."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        logging.set_verbosity_error()
        torch.set_num_threads(1)
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  the process ends
        queue.put(compare_backends(kind))

    process = context.Process(target=work)
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
    if queue.empty():
        words = f"not run: the process ended or took more than {SECONDS} s"
        return Row(kind, words, words)
    return queue.get()


def run_architectures(kinds: list[str]) -> Iterator[Row]:
    """Run architectures one after the other, printing each row."""
    for kind in kinds:
        row = run_architecture(kind)
        print(row, flush=True)
        yield row


def write_page(rows: list[Row]) -> str:
    """The page docs/architectures.md."""
    either = sum("exact" in row.packed + row.separate for row in rows)
    words = [
        f"{count(rows, 'packed', 'exact')} of {len(rows)} architectures are exact packed,"
        f" {count(rows, 'separate', 'exact')} separate, and {either} by one of the two.",
        f"{sum(row.is_silently_wrong for row in rows)} give wrong numbers or an error that is not of faithlens.",
        f"{count(rows, 'packed', 'cannot')} cannot be built or run by transformers itself, which says why;"
        f" {count(rows, 'packed', 'not run')} were not run.",
    ]
    return "\n".join(
        [
            "# Architectures",
            "",
            "Every causal text architecture of transformers, as a tiny random model in float32: a chain of thought and",
            "its truncations of 27 to 94 tokens, beyond its windows. *Exact*: no log-probability",
            f"differs from plain transformers by {EXACT:g} nats or more; the largest difference follows. *Refused*:",
            "faithlens raises an error of its own, which says why. Before its first numbers on a model, and on lengths",
            "beyond each window and scaling length, faithlens makes this comparison itself (`faithlens doctor MODEL`).",
            "",
            "Where a backend is exact, its edits, captures and gradients are compared with forwards of transformers",
            "that have no edit: a patched chain must answer as its donor, and a step that nothing sees must not",
            'matter. Each cell is for packed, and after the semicolon for separate; "not compared" where transformers',
            "itself returns no attention.",
            "",
            *words,
            "",
            f"Written by `python -m benchmarks.architectures`, with transformers {version('transformers')}, torch"
            f" {version('torch')}, transformer-lens {version('transformer-lens')}.",
            "",
            "| architecture | packed | separate | edits | capture | gradients |",
            "|---|---|---|---|---|---|",
            *map(str, rows),
            "",
        ]
    )


def count(rows: list[Row], backend: str, start: str) -> int:
    """The number of rows in which the words about a backend begin with `start`."""
    return sum(getattr(row, backend).startswith(start) for row in rows)


if __name__ == "__main__":
    named = sys.argv[1:]
    rows = list(run_architectures(named or sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)))
    if not named:
        PAGE.write_text(write_page(rows), encoding="utf-8")
    sys.exit(any(row.is_silently_wrong for row in rows))
