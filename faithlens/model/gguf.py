"""Convert GGUF files to Hugging Face folders: every stored number is kept exactly, in plain tensors without packing.

The format is described at https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The script `convert_hf_to_gguf.py`
of llama.cpp renames tensors and permutes the rotary halves of llama models; both are undone here.

Tensors kept in 16 bits stay as they are; all others become float32. A dequantised value (a 16-bit scale times a
small integer) does not fit in 16 bits: on SmolLM2-135M, 4 bits, logits of up to 38 move by 0.28 when its weights are
rounded to bfloat16 and by 0.04 in float16. The folder is twice as large and the model is the file's.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFReader, ReaderTensor, dequantize
from safetensors.torch import save_file
from tokenizers import pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    Qwen2Config,
)

from faithlens.errors import ModelError, translate_errors
from faithlens.model.guard import forbid_outside
from faithlens.progress import show_part

VERSION = 1  # of the folders written here: raise it when the same file gives another folder

_CONFIGS = {"llama": LlamaConfig, "qwen2": Qwen2Config}
_CLASS_NAMES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
_BLOCK_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP_TENSORS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
# rules by which byte-level tokenizers split text before merging
_SPLIT_RULES = ("default", "gpt-2", "smollm", "qwen2", "deepseek-r1-qwen", "llama-bpe")
_SIXTEEN_BITS = {GGMLQuantizationType.F16: torch.float16, GGMLQuantizationType.BF16: torch.bfloat16}


def convert(path: Path, folder: Path) -> None:
    """Write the model of the GGUF file `path` into the empty `folder`: config, weights, tokenizer.

    Raises:
        ModelError: not a readable GGUF file, or a file whose meaning is not certain.
    """
    fix = "Download the file again, or load the model's safetensors version."
    with translate_errors(ModelError, f"the GGUF file {path} cannot be converted", fix), forbid_outside():
        source = GgufFile(path)
        source.check_sizes()
        weights = source.read_weights()
        config = source.make_config(weights)
        source.check_complete(weights, config)
        tokenizer = source.read_tokenizer(folder)
    tokenizer.save_pretrained(folder)
    config.pad_token_id = tokenizer.pad_token_id
    config.dtype = torch.float32
    config.save_pretrained(folder)
    source.make_generation_config(config).save_pretrained(folder)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def unpermute(rows: np.ndarray, heads: int) -> np.ndarray:
    """Undo llama.cpp's interleaving of the two rotary halves of each head, in a weight or a bias."""
    return rows.reshape(heads, rows.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


class GgufFile:
    """A GGUF file, read as a model of one of the known architectures.

    Raises:
        ModelError: from any method, if the file is not exactly such a model.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.architecture = path, ""
        try:
            with show_part(f"opening {path.name}"):
                self.reader = GGUFReader(path)
        except (ValueError, IndexError, KeyError, OverflowError) as error:
            raise self.make_error(f"cannot be read as GGUF: {error}", "Download the file again.") from error
        self.architecture = str(self.read_value("general.architecture"))
        if self.architecture not in _CONFIGS:
            raise self.make_error(
                f"has the architecture {self.architecture!r}; known architectures are {', '.join(_CONFIGS)}"
            )
        self.heads = int(self.read_value("{arch}.attention.head_count"))
        self.kv_heads = int(self.read_value("{arch}.attention.head_count_kv", self.heads))

    def make_error(
        self, problem: str, fix: str = "Load the model's safetensors version, from a folder or a hub id."
    ) -> ModelError:
        """The error for a file whose meaning is not certain; `problem` continues "the GGUF file ..."."""
        return ModelError(f"the GGUF file {self.path} {problem}", fix)

    def read_value(self, key: str, default: Any = ...) -> Any:
        """A metadata value; `{arch}` in the key stands for the architecture."""
        key = key.format(arch=self.architecture)
        field = self.reader.get_field(key)
        if field is None and default is ...:
            raise self.make_error(f"has no entry {key!r}")
        return default if field is None else field.contents()

    def check_sizes(self) -> None:
        """Refuse sizes that the tensors do not have, before anything is built from them."""
        blocks = {m[1] for t in self.reader.tensors if (m := re.match(r"blk\.(\d+)\.", t.name))}
        sides = {side for t in self.reader.tensors for side in t.shape.tolist()}
        width = int(self.read_value("{arch}.embedding_length"))
        for key, value, is_possible, expected in (
            ("block_count", n := int(self.read_value("{arch}.block_count")), n == len(blocks), f"{len(blocks)}"),
            ("embedding_length", width, width in sides, "a side of its tensors"),
            ("feed_forward_length", n := int(self.read_value("{arch}.feed_forward_length")), n in sides, "such a side"),
            ("attention.head_count", self.heads, 1 <= self.heads <= width and width % self.heads == 0, "a divisor of"
             f" the width {width}"),
            ("attention.head_count_kv", self.kv_heads, self.kv_heads > 0 == self.heads % self.kv_heads, "a divisor of"
             f" the {self.heads} heads"),
        ):  # fmt: skip
            if not is_possible:
                raise self.make_error(f"says {key} = {value}; its tensors allow {expected}")

    def read_weights(self) -> dict[str, torch.Tensor]:
        """All tensors by their Hugging Face names."""
        named = {}
        with show_part(f"unpacking {self.path.name}", len(self.reader.tensors)) as advance:
            for tensor in self.reader.tensors:
                named[self.translate_name(tensor.name)] = self.unpack(tensor)
                advance(1)
        return named

    def translate_name(self, name: str) -> str:
        """The Hugging Face name of a tensor."""
        block = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name)
        if block and block[2] in _BLOCK_TENSORS:
            return f"model.layers.{block[1]}.{_BLOCK_TENSORS[block[2]]}.{block[3]}"
        if name not in _TOP_TENSORS:  # such as rope_freqs: without this tensor the model would give other numbers
            raise self.make_error(f"has the tensor {name!r}, which a plain {self.architecture} model does not have")
        return _TOP_TENSORS[name]

    def unpack(self, tensor: ReaderTensor) -> torch.Tensor:
        """One tensor's numbers, in Hugging Face's order."""
        try:
            numbers = dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError as error:
            raise self.make_error(f"has tensors of type {tensor.tensor_type.name}, which cannot be unpacked") from error
        numbers = numbers.reshape(tensor.shape.tolist()[::-1])
        if self.architecture == "llama" and (part := re.search(r"attn_([qk])\.", tensor.name)):
            heads = self.heads if part[1] == "q" else self.kv_heads
            if numbers.shape[0] % (2 * heads):
                rows = f"the tensor {tensor.name!r} of {numbers.shape[0]} rows"
                raise self.make_error(f"has {rows}, which {heads} heads cannot share in pairs")
            numbers = unpermute(numbers, heads)
        whole = torch.from_numpy(np.array(numbers, dtype=np.float32, order="C"))
        return whole.to(_SIXTEEN_BITS.get(tensor.tensor_type, torch.float32))

    def make_config(self, weights: dict[str, torch.Tensor]) -> PreTrainedConfig:
        """The Hugging Face config. Scaled or partial rotary positions are refused."""
        width = int(self.read_value("{arch}.embedding_length"))
        if self.read_value("{arch}.rope.scaling.type", "none") != "none":
            raise self.make_error("scales its rotary positions, which cannot be converted")
        if self.read_value("{arch}.rope.dimension_count", width // self.heads) != width // self.heads:
            raise self.make_error("rotates only a part of each head, which cannot be converted")
        ids = {f"{k}_token_id": self.read_value(f"tokenizer.ggml.{k}_token_id", None) for k in ("bos", "eos")}
        bias = any(name.endswith("o_proj.bias") for name in weights)
        return _CONFIGS[self.architecture](
            architectures=[_CLASS_NAMES[self.architecture]],
            vocab_size=len(weights["model.embed_tokens.weight"]),
            hidden_size=width,
            intermediate_size=int(self.read_value("{arch}.feed_forward_length")),
            num_hidden_layers=int(self.read_value("{arch}.block_count")),
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            max_position_embeddings=int(self.read_value("{arch}.context_length")),
            rms_norm_eps=float(self.read_value("{arch}.attention.layer_norm_rms_epsilon")),
            rope_parameters={
                "rope_type": "default",
                "rope_theta": float(self.read_value("{arch}.rope.freq_base", 10000.0)),
            },
            tie_word_embeddings="lm_head.weight" not in weights,
            **ids,
            **({"attention_bias": bias} if self.architecture == "llama" else {}),
        )

    def check_complete(self, weights: dict[str, torch.Tensor], config: PreTrainedConfig) -> None:
        """Check that the file holds every parameter of the model, in its shape, and nothing else."""
        with torch.device("meta"):
            expected = {name: p.shape for name, p in AutoModelForCausalLM.from_config(config).named_parameters()}
        actual = {name: w.shape for name, w in weights.items()}
        if wrong := sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name)):
            name = wrong[0]
            shapes = [str(tuple(s)) if (s := of.get(name)) is not None else "nothing" for of in (actual, expected)]
            raise self.make_error(
                f"has {len(wrong)} tensors that do not fit its own metadata: {name} is {', not '.join(shapes)}"
            )

    def read_tokenizer(self, empty: Path) -> PreTrainedTokenizerBase:
        """The tokenizer with its special tokens and chat template. An unknown rule for splitting text is refused."""
        kind, split = self.read_value("tokenizer.ggml.model", None), self.read_value("tokenizer.ggml.pre", "default")
        if kind == "gpt2" and split not in _SPLIT_RULES:
            raise self.make_error(
                f"has a tokenizer that splits text by the rule {split!r}; known rules are {', '.join(_SPLIT_RULES)}"
            )
        try:
            with show_part(f"reading the tokenizer of {self.path.name}"):
                # the absolute file name keeps files beside the GGUF from being read as its tokenizer's
                tokenizer = AutoTokenizer.from_pretrained(empty, gguf_file=str(self.path.resolve()))
        except (OSError, ValueError, KeyError) as error:
            raise self.make_error(f"has a tokenizer that cannot be converted: {error}") from error
        if split == "smollm":  # transformers does not know this rule: every digit by itself, then as GPT-2
            digits, words = (
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            )
            tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
        return tokenizer

    def make_generation_config(self, config: PreTrainedConfig) -> GenerationConfig:
        """Generation settings that stop at the end of the text and at the end of a turn."""
        settings = GenerationConfig.from_model_config(config)
        stops = {self.read_value(f"tokenizer.ggml.{k}_token_id", None) for k in ("eos", "eot")} - {None}
        if len(stops) > 1:
            settings.eos_token_id = sorted(stops)
        return settings
