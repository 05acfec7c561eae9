"""What an audit reads is part of its identity: other weights or questions under the same name are another run."""

import json
import shutil
from pathlib import Path

import pytest

from faithlens.commands.audit import run_audit
from faithlens.commands.identity import describe_inputs, make_audit_manifest
from faithlens.config import AuditConfig, Subject
from faithlens.errors import RunError
from faithlens.organisms import find_weights
from faithlens.store import Run


def write_questions(path: Path, last: str) -> None:
    lines = [{"question": f"What is 2 + {i}?", "answer": str(2 + i)} for i in range(3)]
    path.write_text("\n".join(map(json.dumps, [*lines, {"question": last, "answer": "9"}])))


@pytest.fixture
def config(tmp_path: Path) -> AuditConfig:
    shutil.copytree(find_weights("O5"), tmp_path / "model")
    write_questions(tmp_path / "sums.jsonl", "What is 4 + 5?")
    return AuditConfig((Subject(str(tmp_path / "model"), str(tmp_path / "sums.jsonl")),), n=4, device="cpu")


def test_the_same_inputs_have_the_same_digests(config: AuditConfig) -> None:
    first = describe_inputs(config)
    assert describe_inputs(config) == first
    assert [name.split(" of ")[0] for name in first] == ["weights", "questions"]


@pytest.mark.parametrize("change", ["weights", "one byte of the weights", "questions"])
def test_a_changed_input_is_refused_before_a_model_is_loaded(
    change: str, config: AuditConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Run.create(tmp_path / "run", make_audit_manifest(config))
    weights = tmp_path / "model" / "model.safetensors"
    if change == "weights":
        shutil.copy(find_weights("O4") / "model.safetensors", weights)
    elif change == "questions":
        write_questions(tmp_path / "sums.jsonl", "What is 5 + 4?")
    else:
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    monkeypatch.setattr("faithlens.commands.audit.prepare_subject", None)
    with pytest.raises(RunError, match="other options or inputs") as caught:
        run_audit(config, tmp_path / "run", resume=True)
    assert f"inputs.{change.rpartition(' ')[2]} of " in caught.value.problem
