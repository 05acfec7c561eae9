"""What the commands about organisms print for scripts."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from faithlens.cli.main import app
from faithlens.organisms import certification, find_weights, training_cache


def run_json(*words: object) -> Any:
    result = CliRunner().invoke(app, ["organisms", *map(str, words), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_certificate_is_printed_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in find_weights("O4").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(certification, "certify", partial(certification.certify, n=20))
    certificate = run_json("certify", tmp_path)
    assert certificate == json.loads((tmp_path / "certificate.json").read_text())
    assert (certificate["organism"], certificate["answers"]["full"]["truth"]["n"]) == ("O4", 20)


def test_trained_organisms_are_printed_with_their_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_cache, "find_or_train", lambda organism, seed: find_weights(organism.name))
    rows = run_json("train", "O4", "O5")
    assert [row["folder"] for row in rows] == [str(find_weights(name)) for name in ("O4", "O5")]
    assert [row["certificate"]["organism"] for row in rows] == ["O4", "O5"]
    assert rows[1]["certificate"] == json.loads((find_weights("O5") / "certificate.json").read_text())


def test_families_are_printed_with_the_files_of_their_sweeps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from faithlens.organisms import family_training

    monkeypatch.setattr(family_training, "train_family", lambda name, seeds, out, jobs: out / f"{name}.toml")
    assert run_json("family", "steady", "waning", "--out", tmp_path) == [
        {"family": name, "sweep": str(tmp_path / f"{name}.toml")} for name in ("steady", "waning")
    ]
