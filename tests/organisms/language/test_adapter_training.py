"""Training writes an adapter that peft itself reads, and a folder that is the model with the adapter added."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from faithlens.organisms.language import ADAPTERS, training
from tests.conftest import tiny


def test_the_trained_folder_is_the_base_with_what_peft_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peft = pytest.importorskip("peft")
    base, folder = tiny("llama"), tmp_path / "trained"
    base.hf_model.save_pretrained(tmp_path / "base")
    losses: list[float] = []

    def make_here(key: str, make: Callable[[Path], None]) -> Path:
        folder.mkdir()
        make(folder)
        return folder

    def count_nothing(adapter: Any, where: Path) -> None:
        (where / "certificate.json").write_text(json.dumps({"organism": adapter.name}))

    def keep(*args: Any, notify: Callable[[float], None], **kwargs: Any) -> None:
        def note(loss: float) -> None:
            losses.append(loss)
            notify(loss)

        train(*args, notify=note, **kwargs)

    train = training.train
    monkeypatch.setattr(training, "fetch_packaged_smollm", lambda: tmp_path / "base")
    monkeypatch.setattr(training, "load", lambda name, device: tiny("llama"))
    monkeypatch.setattr(training, "make_cached_folder", make_here)
    monkeypatch.setattr(training, "certify_adapter", count_nothing)
    monkeypatch.setattr(training, "train", keep)
    assert training.find_or_train_adapter(replace(ADAPTERS["L1"], n_steps=6), 0) == folder

    assert len(losses) == 6
    assert losses[-1] < losses[0]
    by_peft = peft.PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tmp_path / "base"), folder / "adapter"
    )
    merged, ids = AutoModelForCausalLM.from_pretrained(folder), torch.arange(5, 40)[None]
    with torch.no_grad():
        assert (merged(ids).logits - by_peft(ids).logits).abs().max() < 1e-4
        assert (merged(ids).logits - base.hf_model(ids).logits).abs().max() > 1e-2
    assert json.loads((folder / "certificate.json").read_text()) == {"organism": "L1"}
    planted = json.loads((folder / "config.json").read_text())["faithlens"]
    assert planted == ADAPTERS["L1"].describe()
