"""Loading: the meaning of each name, and the errors."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from faithlens.errors import ConfigError, ModelError
from faithlens.model import fetch, library
from faithlens.model.load import choose_dtype, load
from faithlens.model.names import list_short_names
from faithlens.model.structure import Structure
from tests.conftest import byte_tokenizer, tiny
from tests.model.gguf_files import random_model

pytestmark = pytest.mark.usefixtures("cache")


def edit(folder: Path, **entries: object) -> None:
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | entries))


def refusal(name: object, **options: str) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load(str(name), **options)
    return caught.value


# --- folders ---


def test_a_folder_becomes_a_model(folder: Path) -> None:
    model = load(str(folder))
    ids = torch.arange(20)[None]
    assert torch.equal(model.hf_model(ids).logits, random_model("llama")(ids).logits)
    assert (model.name, model.source) == (str(folder), str(folder))
    assert (model.n_layers, model.n_heads, model.context_length, model.structure) == (2, 4, 128, Structure())
    assert not model.hf_model.training
    assert not any(weight.requires_grad for weight in model.hf_model.parameters())
    assert repr(model) == f"Model({str(folder)!r}, 2 layers, 4 heads, float32, {model.device})"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_is_the_one_asked_for(folder: Path, dtype: str) -> None:
    weights = load(str(folder), dtype=dtype, device="cpu").hf_model.parameters()
    assert {w.dtype for w in weights} == {getattr(torch, dtype)}


@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float16, torch.float32])
def test_auto_is_float32_on_a_cpu_and_the_checkpoints_own_format_elsewhere(
    stored: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "stored"
    random_model("llama").to(stored).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    on_cpu = load(str(folder), device="cpu")
    assert {w.dtype for w in on_cpu.hf_model.parameters()} == {torch.float32}
    assert on_cpu.dtype == "float32"
    monkeypatch.setattr("faithlens.model.load.parse_device", lambda device: torch.device("meta"))
    elsewhere = load(str(folder))
    assert {w.dtype for w in elsewhere.hf_model.parameters()} == {stored}
    assert elsewhere.dtype == str(stored).removeprefix("torch.")
    assert load(str(folder), dtype="float32").dtype == "float32"


@pytest.mark.parametrize(
    ("place", "has_gpu", "chosen"),
    [("cpu", True, torch.float32), ("cuda:0", True, None), (None, True, None), (None, False, torch.float32)],
)
def test_the_format_depends_on_the_place_alone(
    place: str | None, has_gpu: bool, chosen: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    where = place and torch.device(place)
    assert choose_dtype("auto", where) == chosen
    assert choose_dtype("float16", where) == torch.float16
    with pytest.raises(ConfigError, match="'float23'"):
        choose_dtype("float23", where)


def test_the_structure_is_read_from_the_config(folder: Path) -> None:
    edit(folder, faithlens={"sections": {"steps": 5, "answer": 6}, "forbidden": [["answer", "steps"]]})
    assert load(str(folder)).structure == Structure((("steps", 5), ("answer", 6)), (("answer", "steps"),))
    edit(folder, faithlens={"sections": 3})
    assert "faithlens entry" in refusal(folder).problem


def test_a_folder_without_weights_is_refused_by_name(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    error = refusal(folder)
    assert error.problem.startswith(
        f"the folder of the model {folder} has no *.safetensors; {folder} holds config.json"
    )
    assert "config.json" in error.fix


def test_pickles_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert refusal(folder).fix.startswith("Only safetensors and GGUF are read")


def test_a_folder_with_a_gguf_points_to_the_file(gguf_file: Path) -> None:
    assert str(gguf_file) in refusal(gguf_file.parent).fix


def test_code_runs_only_when_asked_for_in_words(folder: Path) -> None:
    edit(folder, auto_map={"AutoModelForCausalLM": "modeling.Evil"})
    (folder / "modeling.py").write_text("raise SystemExit('ran')")
    error = refusal(folder)
    assert "auto_map" in error.problem
    assert "trust_remote_code=True" in error.fix


def test_missing_weights_are_never_made_up(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert refusal(folder).problem == (
        f"1 weights of the model {folder} are not in its files, such as model.layers.1.mlp.up_proj.weight"
    )


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_broken_file_is_refused(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"{broken")
    refusal(folder)


def test_options_are_checked_with_a_hint(folder: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'bfloat16'"):
        load(str(folder), dtype="bfloat")
    with pytest.raises(ConfigError, match="Did you mean 'cuda'"):
        load(str(folder), device="cude")
    with pytest.raises(ConfigError, match=r"torch finds \d+ CUDA GPUs"):
        load(str(folder), device="cuda:99")


def test_no_progress_bars_where_stderr_is_no_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The carriage returns of bars make a log file unreadable."""
    monkeypatch.setattr("faithlens.model.load._SHOW_BARS_FROM", 0)
    load(str(folder))
    assert capfd.readouterr().err == ""


# --- names ---


def test_an_unknown_name_lists_the_known_ones() -> None:
    error = refusal("smollm2-135")
    assert "Did you mean 'smollm2-135m'" in error.fix
    assert all(name in error.fix for name in list_short_names())
    assert "''" in refusal("").problem


def test_organisms_are_found_beside_the_package(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(folder, tmp_path / "weights" / "O9")
    monkeypatch.setattr("faithlens.model.names._ORGANISMS", tmp_path / "weights")
    assert list_short_names() == ["smollm2-135m", "O9"]
    assert [load(name).name for name in ("O9", "o9", "organism:O9")] == ["O9"] * 3


def test_a_hub_id_offline_says_so() -> None:
    error = refusal("Qwen/Qwen2.5-0.5B-Instruct@main")
    assert error.problem.startswith("the hub model Qwen/Qwen2.5-0.5B-Instruct is not on this machine")
    assert "HF_HUB_OFFLINE" in error.problem


def test_a_hub_id_is_asked_for_by_revision_and_without_pickles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options_seen: dict[str, object] = {}

    def snapshot(repo: str, **options: object) -> str:
        options_seen.update(options, repo=repo)
        return str(folder)

    monkeypatch.setattr(fetch.huggingface_hub, "snapshot_download", snapshot)
    assert load("org/name@v1.0").name == "org/name@v1.0"
    assert (options_seen["repo"], options_seen["revision"], options_seen["local_files_only"]) == (
        "org/name",
        "v1.0",
        True,
    )
    assert not any("bin" in pattern or "py" in pattern for pattern in options_seen["allow_patterns"])


def test_a_refusal_of_the_hub_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot(*_: object, **__: object) -> str:
        raise OSError("401 Client Error.\nRepository Not Found")

    monkeypatch.setattr(fetch.huggingface_hub, "snapshot_download", snapshot)
    assert refusal("org/name").problem == "the hub model org/name cannot be downloaded: 401 Client Error."


def test_offline_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_if_called(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(fetch, "urlopen", fail_if_called)
    assert not fetch._hub_is_reachable()


@pytest.mark.parametrize(
    ("error", "answers"),
    [
        (fetch.URLError(OSError("no such host")), False),
        (TimeoutError(), False),
        (fetch.URLError(fetch.ssl.SSLError("no certificates")), True),
        (fetch.HTTPError("https://hub", 403, "no", None, None), True),  # pyright: ignore
    ],
)
def test_whoever_answers_is_reachable(error: Exception, answers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_error(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(fetch.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(fetch, "urlopen", raise_error)
    assert fetch._hub_is_reachable() == answers


def test_split_lets_accelerate_place_the_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without GPUs all layers are on the CPU; the calls are the same."""
    tiny("llama").hf_model.save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    device_maps, read = [], library.AutoModelForCausalLM.from_pretrained
    monkeypatch.setattr(
        library.AutoModelForCausalLM,
        "from_pretrained",
        lambda *a, device_map, **k: device_maps.append(device_map) or read(*a, device_map=device_map, **k),
    )
    whole, split = load(str(tmp_path), device="cpu"), load(str(tmp_path), device="split")
    assert device_maps == [None, "auto"]
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(whole.hf_model(ids).logits, split.hf_model(ids).logits)
