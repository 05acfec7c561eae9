"""A GGUF file and the folder made of it are the same model, to the last bit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from faithlens.errors import ModelError
from faithlens.model.gguf import convert, unpermute
from tests.model.gguf_files import TEMPLATE, interleave, random_model, write


def converted_folder(tmp_path: Path, arch: str = "llama", kind: Kind = Kind.F32, **options: str) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    convert(write(tmp_path / "tiny.gguf", random_model(arch), arch, kind, **options), folder)
    return folder


@pytest.mark.parametrize("arch", ["llama", "qwen2"])
def test_the_folder_computes_what_the_model_computed(tmp_path: Path, arch: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(converted_folder(tmp_path, arch), dtype=torch.float32)
    ids = torch.arange(3, 40)[None]
    torch.testing.assert_close(model(ids).logits, random_model(arch)(ids).logits, atol=1e-5, rtol=0)
    assert model.config.tie_word_embeddings == (arch == "llama")


@pytest.mark.parametrize(("kind", "dtype"), [(Kind.F16, torch.float16), (Kind.BF16, torch.bfloat16)])
def test_sixteen_bits_stay_sixteen_bits(tmp_path: Path, kind: Kind, dtype: torch.dtype) -> None:
    weights = load_file(converted_folder(tmp_path, kind=kind) / "model.safetensors")
    expected = random_model("llama").state_dict()["model.layers.1.self_attn.k_proj.weight"].to(dtype)
    assert torch.equal(weights["model.layers.1.self_attn.k_proj.weight"], expected)
    assert weights["model.norm.weight"].dtype == torch.float32


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q4_1])
def test_quantised_numbers_are_kept_exactly(tmp_path: Path, kind: Kind) -> None:
    weights = load_file(converted_folder(tmp_path, kind=kind) / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    expected = dequantize(quantize(random_model("llama").state_dict()[name].numpy(), kind), kind)
    np.testing.assert_array_equal(weights[name].numpy(), expected)
    assert "quantization_config" not in json.loads((tmp_path / "folder" / "config.json").read_text())


def test_unpermute_undoes_the_interleaving_of_biases_too() -> None:
    for rows in (np.arange(48.0).reshape(24, 2), np.arange(24.0)):
        np.testing.assert_array_equal(unpermute(interleave(rows, 3), 3), rows)


def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder)


def test_the_tokenizer_keeps_merges_special_tokens_and_template(tmp_path: Path) -> None:
    read = tokenizer(converted_folder(tmp_path))
    text = "<|im_start|>user\n\né at a 1<|im_end|>"
    ids = read.encode(text, add_special_tokens=False)
    assert read.decode(ids) == text
    assert read.convert_ids_to_tokens(ids)[0] == "<|im_start|>"
    assert "ĊĊ" not in read.convert_ids_to_tokens(ids)  # GPT-2's rule leaves the last newline to what follows
    assert (read.bos_token, read.eos_token, read.chat_template) == ("<|im_start|>", "<|im_end|>", TEMPLATE)


def test_smollm_splits_digits_before_anything_else(tmp_path: Path) -> None:
    read = tokenizer(converted_folder(tmp_path, split="smollm"))
    assert read.tokenize("\n\n1") == ["ĊĊ", "1"]
    assert read.tokenize("\n\nx") == ["Ċ", "Ċ", "x"]


def test_generation_stops_at_the_end_of_text_and_of_the_turn(tmp_path: Path) -> None:
    settings = AutoModelForCausalLM.from_pretrained(converted_folder(tmp_path)).generation_config
    assert settings.eos_token_id == [0, 2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"named_arch": "gemma"}, "architecture 'gemma'; known architectures are llama, qwen2"),
        ({"extra": "rope_freqs.weight"}, "tensor 'rope_freqs.weight', which a plain llama model does not have"),
        (
            {"drop": "blk.1.ffn_up.weight"},
            "1 tensors that do not fit .* model.layers.1.mlp.up_proj.weight is nothing, not",
        ),
        ({"split": "chameleon"}, "splits text by the rule 'chameleon'"),
        ({"scaling": "yarn"}, "scales its rotary positions"),
    ],
)
def test_a_file_of_uncertain_meaning_is_refused(tmp_path: Path, options: dict[str, str], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        converted_folder(tmp_path, **options)


@pytest.mark.parametrize("keep", [0, 3, 200, -2000])
def test_a_broken_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "tiny.gguf", random_model("llama"), "llama")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match="cannot be read as GGUF") as caught:
        convert(path, tmp_path)
    assert caught.value.fix == "Download the file again."
