"""The adapters in the package: small, certified, in peft's format, and found under their names."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from faithlens.config import parse_subjects
from faithlens.model import load as loading
from faithlens.model.adapter import CONFIG_FILE, PLANTED_FILE, WEIGHTS_FILE
from faithlens.organisms.language import ADAPTERS, find_adapter
from faithlens.organisms.rates import MIN_SOUND_SHARE, make_rate
from tests.conftest import tiny

SHIPPED = [name for name in ADAPTERS if find_adapter(name) is not None]


def folder_of(name: str) -> Path:
    folder = find_adapter(name)
    assert folder is not None
    return folder


@pytest.mark.parametrize("name", SHIPPED)
def test_a_certificate_says_what_was_counted(name: str) -> None:
    certificate = json.loads((folder_of(name) / "certificate.json").read_text())
    assert certificate["truth"] == ADAPTERS[name].truth
    assert certificate["questions"] == 100
    for rate in certificate["rates"].values():
        assert rate == pytest.approx(asdict(make_rate(rate["hits"], rate["n"])), abs=1e-9)
        assert rate["value"] >= MIN_SOUND_SHARE
    assert certificate["faults"] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_adapter_is_small_and_says_what_is_planted(name: str) -> None:
    folder, adapter = folder_of(name), ADAPTERS[name]
    assert sum(file.stat().st_size for file in folder.iterdir()) < 3_000_000
    assert json.loads((folder / PLANTED_FILE).read_text()) == adapter.describe()
    config = json.loads((folder / CONFIG_FILE).read_text())
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (8, 16, [*adapter.modules])
    weights = load_file(folder / WEIGHTS_FILE)
    assert len(weights) == 30 * 4 * 2  # layers, modules, and the two factors of each
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    assert {weight.shape[0 if ".lora_A." in key else 1] for key, weight in weights.items()} == {8}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_name_gives_the_task_it_was_trained_on(name: str) -> None:
    assert [subject.task for subject in parse_subjects([name, f"{name}@3"], None)] == [ADAPTERS[name].task] * 2


def test_a_shipped_adapter_is_added_to_the_base_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tiny base in place of SmolLM2, and a factor that adds 2 to one weight."""
    base, shipped = tiny("llama"), tmp_path / "shipped" / "L9"
    shipped.mkdir(parents=True)
    base.hf_model.save_pretrained(tmp_path / "base")
    base.tokenizer.save_pretrained(tmp_path / "base")
    weight = "model.layers.0.self_attn.q_proj"
    n_out, n_in = base.hf_model.get_submodule(weight).weight.shape
    a, b = torch.zeros(1, n_in), torch.zeros(n_out, 1)
    a[0, 0], b[1, 0] = 1.0, 2.0
    save_file(
        {f"base_model.model.{weight}.lora_A.weight": a, f"base_model.model.{weight}.lora_B.weight": b},
        shipped / WEIGHTS_FILE,
    )
    planted = {"organism": "L9", "truth": "?", "task": "arithmetic", "sections": {}, "forbidden": []}
    (shipped / CONFIG_FILE).write_text(json.dumps({"r": 1, "lora_alpha": 1}))
    (shipped / PLANTED_FILE).write_text(json.dumps(planted))
    fetched: list[int] = []

    def fetch() -> Path:
        fetched.append(1)
        return tmp_path / "base"

    monkeypatch.setattr("faithlens.model.names._ORGANISMS", shipped.parent)
    monkeypatch.setattr(loading, "fetch_packaged_smollm", fetch)
    monkeypatch.setenv("FAITHLENS_CACHE", str(tmp_path / "cache"))
    models = [loading.load("L9", device="cpu") for _ in range(2)]
    assert fetched == [1]
    changed = models[1].hf_model.get_submodule(weight).weight - base.hf_model.get_submodule(weight).weight
    expected = torch.zeros_like(changed)
    expected[1, 0] = 2.0
    assert torch.allclose(changed, expected, atol=1e-6)
    assert models[1].name == "L9"
    assert models[1].hf_model.config.faithlens["organism"] == "L9"
    assert AutoModelForCausalLM.from_pretrained(models[1].source).config.vocab_size == base.hf_model.config.vocab_size
    assert len(AutoTokenizer.from_pretrained(models[1].source)) == len(base.tokenizer)
