"""SQL over many runs: the same numbers as pandas, any name of a run, and errors that say what there is."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from faithlens.cli import main
from faithlens.commands.query import query
from faithlens.errors import ConfigError, RunError
from faithlens.store import Run
from tests.store.test_disk import write_run
from tests.store.test_tables import put, rewrite

pytest.importorskip("duckdb")
NAMES = ["a", "it's [1]*?", "\x1b[2J"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [write_run(folder / name, n=i + 1).path for i, name in enumerate(NAMES)]


def test_rows_of_all_runs_are_those_of_the_tables(runs: list[Path]) -> None:
    rows = query("SELECT * FROM scores ORDER BY run, question", runs).to_pandas()
    tables = [Run.open(run).read("scores").assign(run=run.name) for run in runs]
    expected = pd.concat(tables).sort_values(["run", "question"])
    assert rows["run"].tolist() == expected["run"].tolist()
    assert rows["value"].tolist() == expected["value"].tolist()
    means = query("SELECT run, avg(value) AS v FROM scores WHERE measure = 'accuracy.full' GROUP BY run", runs)
    assert dict(zip(*means.to_pydict().values(), strict=True)) == expected.groupby("run")["value"].mean().to_dict()


def test_a_growing_run_is_read_from_its_parts(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", {"config": {}})
    row = {"model": "a", "task": "t", "question": "q", "condition": "full", "unit": "fraction"}
    run.write_part("scores", "one", [row | {"measure": "accuracy.full", "value": 1.0}])
    assert query("SELECT value FROM scores", run.path).to_pydict() == {"value": [1.0]}


def test_a_damaged_run_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run.path / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunError, match="torn or changed"):
        query("SELECT 1", run.path)


def test_rows_of_the_tables_in_the_query_are_checked(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    rewrite(run, "scores.parquet", put("value", float("nan")))
    with pytest.raises(RunError, match=r"scores.parquet cannot be believed: 1 rows of scores"):
        query("SELECT avg(value) FROM Scores", run.path)
    assert query("SELECT 1 AS one", run.path).to_pydict() == {"one": [1]}


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT nope FROM scores", 'Referenced column "nope" not found'),
        ("SELECT * FROM score", "score"),
        ("SELEKT", "syntax error"),
        ("", "no rows as its result"),
    ],
)
def test_a_query_that_cannot_be_answered_is_our_error(sql: str, words: str, runs: list[Path]) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        query(sql, runs)
    assert ("scores: run, model, task" in caught.value.fix) != ("no rows" in words)


def test_the_command_prints_rows_json_or_a_file(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["faithlens", "query", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        assert (ended.value.code or 0) == 0
        output = "".join(capsys.readouterr())
        assert "\x1b" not in output
        return output

    cells = "sum(sample) AS none, sum(1) AS n, 'nan'::DOUBLE AS bad, DATE '2026-01-02' AS day"
    sql = f"SELECT run, {cells} FROM scores GROUP BY run"
    assert "\\x1b[2J" in call(sql, *runs)
    entries = json.loads(call(sql, *runs, "--json"))
    assert {each["run"]: each["n"] for each in entries} == dict(zip(NAMES, (1, 2, 3), strict=True))
    assert {(each["none"], each["bad"], each["day"]) for each in entries} == {(None, None, "2026-01-02")}
    call("SELECT * FROM scores", *runs, "--out", tmp_path / "all.parquet")
    assert len(pd.read_parquet(tmp_path / "all.parquet")) == 6
    long = call("SELECT unnest(range(1000)) AS i", *runs)
    assert "100 of 1,000 rows" in long


def test_runs_under_addresses_are_read() -> None:
    pytest.importorskip("upath")
    run = write_run_at("memory://query/run")
    assert query("SELECT count(*) AS n FROM scores", str(run.path)).to_pydict() == {"n": [1]}


def write_run_at(address: str) -> Run:
    from faithlens.store import find_place

    return write_run(find_place(address))
