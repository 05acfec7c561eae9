"""Signals end an audit or a worker with 128 and their number; what is finished is kept, and the run goes on to the same
tables.
"""

import re
import shlex
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest

from faithlens.cli import main
from faithlens.commands import score as scoring

WORDS = ["-m", "O4", "-t", "running-sum", "-n", "6", "--batch", "2", "--assays", "baselines"]


def run_command(monkeypatch: pytest.MonkeyPatch, *words: str, command: str = "audit") -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["faithlens", command, *words])
    try:
        main.main()
    except SystemExit as ended:
        return ended.code
    return 0


def send_during_batch(number: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal arrives while batch `number` is scored."""
    score, calls = scoring.score_batch, []

    def send_at_number(*args: object, **options: object) -> None:
        calls.append(args)
        if len(calls) == number:
            signal.raise_signal(getattr(signal, name))
        score(*args, **options)

    monkeypatch.setattr(scoring, "score_batch", send_at_number)


@pytest.mark.parametrize(("name", "code", "n_kept"), [("SIGTERM", 143, 2), ("SIGHUP", 129, 2), ("SIGUSR1", 138, 4)])
def test_a_signal_keeps_what_is_finished(
    name: str,
    code: int,
    n_kept: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """TERM and HUP drop the batch that is being done; USR1, which a scheduler sends ahead, lets it be finished."""
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(getattr(signal, name))
    with monkeypatch.context() as patched:
        send_during_batch(2, name, patched)
        assert run_command(patched, *WORDS, "--out", "run") == code
    assert signal.getsignal(getattr(signal, name)) == before
    output = capsys.readouterr().err
    assert f"Stopped by {name}. Kept in run: {n_kept} questions of O4 on running-sum." in output
    [again] = re.findall(r"^To go on, run: faithlens audit (.*)$", output, re.M)
    assert run_command(monkeypatch, *shlex.split(again)) == 0
    assert run_command(monkeypatch, *WORDS, "--out", "whole") == 0
    tables = [pd.read_parquet(tmp_path / folder / "scores.parquet") for folder in ("run", "whole")]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize(("command", "code"), [("audit", 130), ("decide", 3)])
def test_ctrl_c_before_the_command_begins_is_no_traceback(
    command: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "app", build)
    assert run_command(monkeypatch, command=command) == code
    assert capsys.readouterr().err == "Interrupted.\n"


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_to_a_command_that_reads_units_or_a_run_says_what_is_kept(
    name: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signal arrives while the digest of the first file is computed."""
    monkeypatch.chdir(tmp_path)
    assert run_command(monkeypatch, *WORDS, "--prepare-only", "--out", "run") == 0
    assert run_command(monkeypatch, "run", command="work") == 0

    def send(path: Path) -> None:
        signal.raise_signal(getattr(signal, name))

    start = "Interrupted." if name == "SIGINT" else f"Stopped by {name}."
    for command, words, promise in (
        ("conclude", ["run"], "All finished units of run are kept."),
        ("export", ["run", "scores.parquet"], "Nothing was written."),
    ):
        with monkeypatch.context() as patched:
            patched.setattr("faithlens.store.files.check_regular", send)
            assert run_command(patched, *words, command=command) == code
        assert f"{start} {promise}\nTo go on, run the same command again." in capsys.readouterr().err
        assert run_command(monkeypatch, *words, command=command) == 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "code", "n_kept"), [("SIGINT", 130, 2), ("SIGTERM", 143, 2), ("SIGHUP", 129, 2), ("SIGUSR1", 138, 4)]
)
def test_a_signal_to_a_worker_keeps_what_is_finished(
    name: str,
    code: int,
    n_kept: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The worker gives its lease back, so that the next one need not wait until it expires."""
    monkeypatch.chdir(tmp_path)
    assert run_command(monkeypatch, *WORDS, "--prepare-only", "--out", "run") == 0
    with monkeypatch.context() as patched:
        send_during_batch(2, name, patched)
        assert run_command(patched, "run", command="work") == code
    output = capsys.readouterr().err
    start = "Interrupted." if name == "SIGINT" else f"Stopped by {name}."
    assert f"{start} Kept in run: {n_kept} questions of O4 on running-sum." in output
    assert "To go on, run: faithlens work run\n" in output
    assert list(tmp_path.glob("run/units/*.lease")) == []
    assert run_command(monkeypatch, "run", command="work") == 0
    assert run_command(monkeypatch, "run", command="conclude") == 0
    assert run_command(monkeypatch, *WORDS, "--out", "whole") == 0
    tables = [pd.read_parquet(tmp_path / folder / "scores.parquet") for folder in ("run", "whole")]
    pd.testing.assert_frame_equal(*tables)
