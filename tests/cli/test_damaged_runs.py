"""Every command that reads a run refuses a damaged or edited one and names the file; ``--resume`` makes it whole."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from faithlens.cli import main
from faithlens.store import Run
from tests.kills.runner import read_files
from tests.store.test_tables import rewrite

OPTIONS = "audit -m O5 -t running-sum -n 4 --batch 2 --assays baselines,mediation --device cpu"
FIRST, SECOND = (f"parts/scores/O5%20running-sum%20{i}.parquet" for i in range(2))


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """The exit code of ``faithlens ...``."""
    monkeypatch.setattr(sys, "argv", ["faithlens", *(word for part in words for word in str(part).split())])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        assert call(patch, OPTIONS, "--out", path) == 0
    return path


@pytest.fixture(scope="module")
def other(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of another model on the same questions."""
    path = tmp_path_factory.mktemp("other") / "run"
    with pytest.MonkeyPatch.context() as patch:
        assert call(patch, OPTIONS.replace("O5", "O4"), "--out", path) == 0
    return path


def truncate(run: Path, other: Path) -> None:
    (run / FIRST).write_bytes((run / FIRST).read_bytes()[:100])


def delete(run: Path, other: Path) -> None:
    (run / SECOND).unlink()


def delete_traces(run: Path, other: Path) -> None:
    (run / SECOND.replace("scores", "traces")).unlink()


def flip_a_bit(run: Path, other: Path) -> None:
    content = bytearray((run / FIRST).read_bytes())
    content[len(content) // 2] ^= 1
    (run / FIRST).write_bytes(content)


def copy_a_part(run: Path, other: Path) -> None:
    shutil.copy(run / FIRST, run / "parts/scores/O5%20running-sum%202.parquet")


def edit_rows(run: Path, other: Path) -> None:
    frame = pd.read_parquet(run / "scores.parquet")
    frame.assign(value=1.0).to_parquet(run / "scores.parquet")


def take_a_table(run: Path, other: Path) -> None:
    shutil.copy(other / "scores.parquet", run / "scores.parquet")


def take_the_estimates(run: Path, other: Path) -> None:
    shutil.copy(other / "estimates.parquet", run / "estimates.parquet")


def edit_the_verdict(run: Path, other: Path) -> None:
    text = (run / "verdict.json").read_text()
    (run / "verdict.json").write_text(text.replace("undecided", "trust"))


DAMAGES: dict[Callable[[Path, Path], None], str] = {
    truncate: FIRST,
    delete: SECOND,
    delete_traces: SECOND.replace("scores", "traces"),
    flip_a_bit: FIRST,
    copy_a_part: "running-sum%202.parquet",
    edit_rows: "scores.parquet",
    take_a_table: "scores.parquet",
    take_the_estimates: "estimates.parquet",
    edit_the_verdict: "verdict.json",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_run_is_refused_by_each_command_and_repaired_by_resume(
    damage: Callable[[Path, Path], None],
    whole: Path,
    other: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    expected = read_files(run)
    damage(run, other)
    for words in (f"decide {run}", f"export {run} {tmp_path}/table.parquet", f"compare {run} {other}",
                  f"compare {other} {run}", f"decide {other} {run}", f"power {run}"):  # fmt: skip
        assert call(monkeypatch, words) == (3 if words.startswith("decide") else 2), words
        output = "".join(capsys.readouterr())
        assert DAMAGES[damage] in output.replace("\n", "").replace(" ", ""), words
        assert "Traceback" not in output
        assert "--resume" in output
    assert not (tmp_path / "table.parquet").exists()
    assert call(monkeypatch, "audit", "--resume", run) == 0
    assert DAMAGES[damage] in caplog.text  # the warning of --resume
    files = read_files(run)
    assert [name for name in {*files, *expected} if files.get(name) != expected.get(name)] == []


def test_a_row_of_a_measure_that_nothing_describes_is_refused_and_repaired_by_resume(
    whole: Path,
    other: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The digest of the part is made anew. It is no measure of the catalogue, and none that the manifest describes."""

    def rename_one(rows: pa.Table) -> pa.Table:
        names = ["own.count", *rows["measure"].to_pylist()[1:]]
        return rows.set_column(rows.column_names.index("measure"), "measure", pa.array(names))

    run = tmp_path / "run"
    shutil.copytree(whole, run)
    expected = read_files(run)
    rewrite(Run(run), FIRST, rename_one)
    problem = f"{FIRST} has rows of the measure 'own.count', which neither the catalogue nor the run describes"
    for words in (f"decide {run}", f"export {run} {tmp_path}/table.parquet", f"compare {run} {other}"):
        assert call(monkeypatch, words) == (3 if words.startswith("decide") else 2), words
        assert problem in " ".join("".join(capsys.readouterr()).split()), words
    assert not (tmp_path / "table.parquet").exists()
    assert call(monkeypatch, "audit", "--resume", run) == 0
    assert problem in caplog.text
    assert read_files(run) == expected
