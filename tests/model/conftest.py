"""Model files of a test's own, and an empty cache."""

from pathlib import Path

import pytest

from tests.conftest import byte_tokenizer
from tests.model.gguf_files import random_model, write


@pytest.fixture
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
