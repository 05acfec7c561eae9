"""`faithlens replicate` on the command line."""

import json
import sys
from pathlib import Path

import pytest

from faithlens.cli import main
from tests.tasks.published_files import make_pair_row, write_rows

ROWS = [make_pair_row("a", "b", "YES", 1.0), make_pair_row("b", "a", "NO", 0.9)]


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["faithlens", "replicate", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return int(ended.value.code or 0)


def test_json_is_one_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_rows(tmp_path / "rows.csv", [row | {"model_id": "qwen/qwq-32b"} for row in ROWS])
    assert run(monkeypatch, "iphr", tmp_path, "--json") == 0
    out = json.loads(capsys.readouterr().out)
    assert (out["source"], out["files"]) == ("iphr", [str(path)])
    assert "arXiv:2503.08679" in out["paper"]
    assert out["table"][0] == {
        "name": "qwen/qwq-32b: flagged pairs",
        "published": 220.0,
        "ours": 1.0,
        "difference": -219.0,
        "n": 1,
        "explanation": "the files hold 1 of 4,834 pairs",
        "digits": 0,
        "low": None,
        "high": None,
    }


def test_the_table_shows_both_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    write_rows(tmp_path / "rows.csv", [row | {"model_id": "qwen/qwq-32b"} for row in ROWS])
    assert run(monkeypatch, "iphr", tmp_path) == 0
    out = capsys.readouterr().out
    [line] = [line for line in out.splitlines() if "flagged pairs" in line]
    assert line.split("pairs", 1)[1].split()[:4] == ["220", "1", "−219", "1"]
    assert "Files read: 1." in out


def test_wrong_words_end_with_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "turpi", tmp_path) == 2
    assert "Did you mean 'turpin'?" in capsys.readouterr().err
    assert run(monkeypatch, "turpin", tmp_path) == 2
    assert "holds no file that ends in .json" in capsys.readouterr().err
