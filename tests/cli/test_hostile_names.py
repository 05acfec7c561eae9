"""Names of runs, models and tasks that hold escape codes and markup; a standard output that is full."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faithlens.cli import main
from faithlens.errors import escape_controls
from faithlens.organisms import find_weights

ESCAPE = "\x1b[2J\x1b]0;pwned\x07"
NAMES = ["x[/]", "y[bold]", f"z{ESCAPE}", "w\u202exe", "v\udcff"]


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """The exit code of ``faithlens ...``."""
    monkeypatch.setattr(sys, "argv", ["faithlens", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_are_shown_as_they_are_written_and_never_obeyed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    out = name.replace("/", "|")
    model = f"./m{out}" if "\udcff" not in out else "O5"  # the tokenizer's library needs UTF-8
    if model != "O5":
        shutil.copytree(find_weights("O5"), tmp_path / model)
    words = ["-t", "running-sum", "-n", "2", "--assays", "baselines,mediation"]
    assert command(monkeypatch, "audit", "-m", model, *words, "--dry-run") == 0
    assert command(monkeypatch, "audit", "-m", model, *words, "--out", out) == 0
    commands = ("decide", out), ("decide", out, "--json"), ("compare", out, out), ("power", out), ("decide", f"no{out}")
    for each in commands:
        assert command(monkeypatch, *each) in (0, 1, 2, 3)
    assert command(monkeypatch, "export", out, f"{out}.parquet") == 0
    output = capsys.readouterr()
    for words_said in (output.out, output.err):
        assert not set(words_said) & set("\x1b\x07\u202e\udcff")
    assert "Traceback" not in output.err
    shown_text = escape_controls(out)
    assert shown_text.isprintable()
    assert f"Report: {shown_text}/report.html" in output.out
    assert f"no{shown_text} is not a run folder" in output.err


@pytest.mark.parametrize(("words", "code"), [(["measures"], 2), (["measures", "--json"], 2), (["tasks"], 2)])
def test_a_standard_output_that_is_full_is_our_error(words: list[str], code: int) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "faithlens.cli", *words], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert process.returncode == code
    assert "the system refused to write: [Errno 28]" in process.stderr
    assert "Traceback" not in process.stderr
