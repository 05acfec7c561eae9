"""Of a model's folder, only safetensors, JSON and text files inside of it are read."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from faithlens.errors import ModelError
from faithlens.model.load import load
from faithlens.organisms.certification import certify
from tests.conftest import byte_tokenizer
from tests.model.gguf_files import random_model

INDEX = "model.safetensors.index.json"


class Trap:
    """An object whose pickle writes a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random_model("llama").save_pretrained(tmp_path / "model")
    byte_tokenizer().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pickle that leaves `sprung` when it is opened, outside the folder; torch.load is never called either."""
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was opened"))
    path = tmp_path / "trap.bin"
    path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    return path


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(str(folder))
    assert not (folder.parent / "sprung").exists()
    return str(caught.value)


def write_index(folder: Path, shard: str, index: str = INDEX) -> None:
    names = load_file(folder / "model.safetensors")
    (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, shard)}))
    (folder / "model.safetensors").rename(folder / "unused.safetensors")


def edit(file: Path, **entries: object) -> None:
    file.write_text(json.dumps((json.loads(file.read_text()) if file.exists() else {}) | entries))


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth", ".pkl", ".ckpt", ".pickle", ".safetensors.bin", ""])
def test_an_index_that_names_a_pickle_is_refused(folder: Path, trap: Path, suffix: str) -> None:
    shutil.copy(trap, folder / f"weights{suffix}")
    write_index(folder, f"weights{suffix}")
    assert f"names 'weights{suffix}', which is not a .safetensors file" in refusal(folder)


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pkl"])
def test_a_folder_of_pickles_is_refused(folder: Path, trap: Path, suffix: str) -> None:
    (folder / "model.safetensors").unlink()
    shutil.copy(trap, folder / f"pytorch_model{suffix}")
    assert "pickles can run code" in refusal(folder)


def test_a_pickle_called_safetensors_is_refused(folder: Path, trap: Path) -> None:
    shutil.copy(trap, folder / "model.safetensors")
    refusal(folder)


def test_an_index_that_leads_out_of_the_folder_is_refused(folder: Path) -> None:
    shutil.copy(folder / "model.safetensors", folder.parent / "outside.safetensors")
    write_index(folder, "../outside.safetensors")
    assert "'../outside.safetensors', which lies outside" in refusal(folder)
    edit(folder / INDEX, weight_map={"x": str(folder.parent / "outside.safetensors")})
    assert "outside.safetensors', which lies outside" in refusal(folder)


def test_another_index_named_in_the_config_is_held_to_the_same(folder: Path) -> None:
    shutil.copy(folder / "model.safetensors", folder.parent / "outside.safetensors")
    write_index(folder, "../outside.safetensors", "other.safetensors.index.json")
    edit(folder / "config.json", transformers_weights="other.safetensors.index.json")
    assert "lies outside" in refusal(folder)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_link_out_of_the_folder_is_refused(folder: Path, file: str) -> None:
    (folder / file).rename(folder.parent / file)
    (folder / file).symlink_to(folder.parent / file)
    assert f"{file} is a link to {folder.parent.resolve() / file}, which lies outside" in refusal(folder)


def test_a_shard_behind_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    shutil.copy(folder / "model.safetensors", folder.parent / "elsewhere" / "part.safetensors")
    (folder / "inner").symlink_to(folder.parent / "elsewhere")
    write_index(folder, "inner/part.safetensors")
    assert "lies outside" in refusal(folder)


@pytest.mark.parametrize("weights", ["adapter_model.bin", "adapter_model.safetensors"])
def test_an_adapter_is_refused(folder: Path, trap: Path, weights: str) -> None:
    shutil.copy(trap, folder / weights)
    (folder / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": str(folder), "peft_type": "LORA"})
    )
    assert "Merge it into that model" in refusal(folder)


def test_a_tokenizer_that_points_elsewhere_is_refused(folder: Path, trap: Path) -> None:
    (folder.parent / "tokenizer.9.0.json").write_text((folder / "tokenizer.json").read_text())
    edit(folder / "tokenizer_config.json", fast_tokenizer_files=["../tokenizer.9.0.json"])
    assert "tokenizer_config.json (fast_tokenizer_files) names '../tokenizer.9.0.json', which lies outside" in refusal(
        folder
    )
    edit(
        folder / "tokenizer_config.json", fast_tokenizer_files=[], vocab_file=str(folder.parent / "tokenizer.9.0.json")
    )
    assert "lies outside" in refusal(folder)
    edit(folder / "tokenizer_config.json", vocab_file=str(trap))
    assert "a format that can run code" in refusal(folder)


def test_paths_of_the_machine_that_wrote_a_tokenizer_do_no_harm(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", special_tokens_map_file="/root/.cache/no/such/special_tokens_map.json")
    load(str(folder))


def test_an_index_that_cannot_be_read_is_refused(folder: Path) -> None:
    write_index(folder, "lost.safetensors")
    assert "'lost.safetensors', which is not in" in refusal(folder)
    for broken in ({}, {"weight_map": {"x": 3}}, {"weight_map": []}):
        (folder / INDEX).write_text(json.dumps(broken))
        assert "no weight_map of file names" in refusal(folder)
    (folder / INDEX).write_text("[" * 100_000)
    assert "is not JSON" in refusal(folder)


def test_shards_inside_the_folder_are_read(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    parts = {"part-1.safetensors": names[::2], "inner/part-2.safetensors": names[1::2]}
    (folder / "inner").mkdir()
    for part, held in parts.items():
        save_file({name: weights[name] for name in held}, folder / part, metadata={"format": "pt"})
    where = {name: part for part, held in parts.items() for name in held}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": where}))
    (folder / "model.safetensors").unlink()
    ids = torch.arange(20)[None]
    assert torch.equal(load(str(folder)).hf_model(ids).logits, random_model("llama")(ids).logits)


def test_the_snapshots_of_the_hub_cache_are_read(folder: Path, tmp_path: Path) -> None:
    """Snapshots consist of links to the blobs beside them."""
    cache = tmp_path / "hub" / "models--org--name"
    snapshot = cache / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    for number, file in enumerate(folder.iterdir()):
        file.rename(cache / "blobs" / str(number))
        (snapshot / file.name).symlink_to(Path("../../blobs") / str(number))
    assert load(str(snapshot)).n_layers == 2
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{}")
    assert "lies outside" in refusal(snapshot)


def test_a_gguf_file_that_is_a_pickle_is_refused(trap: Path) -> None:
    file = trap.rename(trap.with_suffix(".gguf"))
    refusal(file)


def test_certifying_reads_no_more_than_loading(folder: Path, trap: Path) -> None:
    shutil.copy(trap, folder / "weights.bin")
    write_index(folder, "weights.bin")
    with pytest.raises(ModelError, match=r"not a \.safetensors file"):
        certify(folder)
