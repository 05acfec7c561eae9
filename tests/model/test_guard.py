"""While a model is loaded nothing starts a process, whichever function of `subprocess` a library calls."""

import subprocess
import sys

import pytest
from transformer_lens.model_bridge.sources.transformers import helpers

from faithlens.model.guard import forbid_outside


@pytest.mark.parametrize("name", ["call", "check_call", "check_output", "run", "Popen"])
def test_no_process_starts_while_a_model_is_loaded(name: str) -> None:
    with forbid_outside(), pytest.raises(PermissionError, match=r"starts no process .*'pip'"):
        getattr(subprocess, name)(["pip", "--version"])
    assert subprocess.run(["true"], check=True).returncode == 0


def test_a_model_with_a_vision_tower_installs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """TransformerLens runs pip for its image processor, by `subprocess.check_call`."""
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "check_call", started.append)
    monkeypatch.setitem(sys.modules, "torchvision", None)  # as on a machine without it
    with forbid_outside():
        helpers._ensure_torchvision()  # pyright: ignore[reportPrivateUsage]
    assert started == []
    helpers._ensure_torchvision()  # pyright: ignore[reportPrivateUsage]
    assert ["install", "torchvision", "-q"] in [command[-3:] for command in started]
