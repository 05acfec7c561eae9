"""Adapters added to their base: the merged model is the one that peft makes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from faithlens.errors import ModelError
from faithlens.model.adapter import CONFIG_FILE, WEIGHTS_FILE, merge_adapter

MODULES = ["q_proj", "v_proj", "down_proj"]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 4, "num_key_value_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=30, num_hidden_layers=2, **sizes)).save_pretrained(tmp_path / "base")
    (tmp_path / "merged").mkdir()
    return tmp_path / "base"


def save_adapter(base: Path, folder: Path, **changes: object) -> torch.nn.Module:
    """A random adapter in peft's own format, and the model that peft makes of it."""
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=3, lora_alpha=7, target_modules=MODULES, init_lora_weights=False, **changes)
    model = peft.get_peft_model(LlamaForCausalLM.from_pretrained(base), config)
    model.save_pretrained(folder)
    return model.merge_and_unload()


def test_the_merged_model_is_that_of_peft(base: Path, tmp_path: Path) -> None:
    expected = save_adapter(base, tmp_path / "adapter")
    merge_adapter(base, tmp_path / "adapter", tmp_path / "merged")
    merged = LlamaForCausalLM.from_pretrained(tmp_path / "merged")
    ids = torch.arange(12)[None]
    with torch.no_grad():
        difference = (merged(ids).logits - expected(ids).logits).abs().max()
        plain = LlamaForCausalLM.from_pretrained(base)(ids).logits
    assert difference < 1e-6
    assert (plain - merged(ids).logits).abs().max() > 1e-2


def test_one_product_by_hand(tmp_path: Path) -> None:
    for folder in ("base", "adapter", "merged"):
        (tmp_path / folder).mkdir()
    save_file({"w.weight": torch.eye(2), "norm.weight": torch.ones(2)}, tmp_path / "base" / "model.safetensors")
    pair = {"A": torch.tensor([[1.0, 0.0]]), "B": torch.tensor([[0.0], [3.0]])}
    stored = {f"base_model.model.w.lora_{side}.weight": matrix for side, matrix in pair.items()}
    save_file(stored, tmp_path / "adapter" / WEIGHTS_FILE)
    (tmp_path / "adapter" / CONFIG_FILE).write_text(json.dumps({"r": 1, "lora_alpha": 2}))
    merge_adapter(tmp_path / "base", tmp_path / "adapter", tmp_path / "merged")
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    assert merged["w.weight"].tolist() == [[1, 0], [6, 1]]
    assert merged["norm.weight"].tolist() == [1, 1]


@pytest.mark.parametrize("change", [{"use_dora": True}, {"use_rslora": True}, {"rank_pattern": {"q_proj": 2}}])
def test_other_kinds_of_adapters_are_refused(base: Path, tmp_path: Path, change: dict) -> None:
    save_adapter(base, tmp_path / "adapter", **change)
    with pytest.raises(ModelError, match=next(iter(change))):
        merge_adapter(base, tmp_path / "adapter", tmp_path / "merged")


def test_an_adapter_of_another_model_is_refused(base: Path, tmp_path: Path) -> None:
    save_adapter(base, tmp_path / "adapter")
    weights = load_file(tmp_path / "adapter" / WEIGHTS_FILE)
    other = {name.replace("layers.1", "layers.7"): weight for name, weight in weights.items()}
    save_file(other, tmp_path / "adapter" / WEIGHTS_FILE)
    with pytest.raises(ModelError, match=r"layers\.7"):
        merge_adapter(base, tmp_path / "adapter", tmp_path / "merged")
