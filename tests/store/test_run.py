import os
import re
from urllib.parse import unquote

import pandas as pd
import pyarrow.parquet as pq
import pytest

from faithlens import measures
from faithlens.errors import MeasureError, RunError
from faithlens.measures.catalogue import get_measure, registry
from faithlens.measures.catalogue.measure import Askable
from faithlens.store import Run, list_differences, make_manifest, read_commit
from faithlens.store.files import quote_key

CONFIG = {"models": ["a"], "n": 4, "limits": {"tokens": 100}}


def score(question, **more):
    row = {"model": "a", "task": "t", "question": question, "condition": "full", "measure": "accuracy.full"}
    return row | {"value": 1.0, "unit": "fraction"} | more


def start(path, config=CONFIG, **more):
    return Run.create(path, make_manifest(config, seed=3, device="cpu"), **more)


def test_manifest_says_what_made_the_numbers(tmp_path):
    result = start(tmp_path / "run").manifest
    assert result["config"] == CONFIG
    assert (result["seed"], result["device"]) == (3, "cpu")
    assert result["versions"]["numpy"]
    assert "+00:00" in result["created"]
    assert read_commit() is None or len(read_commit()) == 40


def test_an_existing_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        start(tmp_path)
    with pytest.raises(RunError, match=r"manifest\.json"):
        start(tmp_path, resume=True)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(RunError, match="a file"):
        start(tmp_path / "notes.txt")


def test_an_empty_folder_is_welcome(tmp_path):
    assert start(tmp_path).path == tmp_path


def test_resume_needs_the_same_config_and_names_what_changed(tmp_path):
    start(tmp_path / "run")
    with pytest.raises(RunError) as caught:
        start(tmp_path / "run", {**CONFIG, "n": 8, "limits": {"tokens": 50}}, resume=True)
    assert "n: 4 in the folder, 8 given" in str(caught.value)
    assert "limits.tokens: 100 in the folder, 50 given" in str(caught.value)
    assert len(start(tmp_path / "run", resume=True).manifest["resumed"]) == 1


def test_differences_of_equal_values():
    assert list_differences({"a": [1, 2]}, {"a": [1, 2]}) == []
    assert list_differences({"a": 1}, {"b": 1}) == ["a: 1 in the folder, None given", "b: None in the folder, 1 given"]


def test_parts_come_back_sorted_and_typed(tmp_path):
    run = start(tmp_path / "run")
    run.write_part("scores", "m/a?b", [score("q2", step=1), score("q1", value=None, reason="too long")])
    run.write_part("scores", ".hidden", [score("q0", fraction=0.5)])
    assert run.list_finished_keys("scores") == {"m/a?b", ".hidden"}
    assert run.list_finished_keys("traces") == set()
    frame = run.read("scores")
    assert frame["question"].tolist() == ["q0", "q1", "q2"]
    assert frame["step"].dtype == "Int64"
    assert frame["reason"].isna().tolist() == [True, False, True]


def test_a_batch_written_again_replaces_its_part(tmp_path):
    run = start(tmp_path / "run")
    run.write_part("scores", "k", [score("q1")])
    run.write_part("scores", "k", [score("q1", value=0.0)])
    assert run.read("scores")["value"].tolist() == [0.0]


def test_a_kill_in_the_middle_of_a_write_leaves_nothing(tmp_path, monkeypatch):
    run = start(tmp_path / "run")
    run.write_part("scores", "first", [score("q1")])

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.write_part("scores", "second", [score("q2")])
    monkeypatch.undo()
    again = start(tmp_path / "run", resume=True)
    assert again.list_finished_keys("scores") == {"first"}
    assert [p.name for p in (tmp_path / "run" / "parts" / "scores").iterdir()] == ["first.parquet"]


def test_finish_writes_the_same_bytes_whatever_the_order_of_batches(tmp_path):
    folders = []
    for name, order in (("one", "abc"), ("two", "cab")):
        run = start(tmp_path / name)
        for key in order:
            run.write_part("scores", f"{name}-{key}", [score(f"q-{key}"), score(f"p-{key}", step=2)])
        run.finish()
        folders.append(run.path)
    first, second = (folder / "scores.parquet" for folder in folders)
    assert first.read_bytes() == second.read_bytes()
    assert len(pq.read_table(first)) == 6


def test_finish_takes_derived_tables_and_a_run_without_parts_still_reads(tmp_path):
    run = start(tmp_path / "run")
    row = {
        "model": "a",
        "task": "t",
        "measure": "accuracy.full",
        "value": 0.5,
        "low": 0.1,
        "high": 0.9,
        "n_used": 3,
        "n_dropped": 0,
    }
    run.write_part("scores", "k", [score("q")])
    run.finish({"estimates": pd.DataFrame([row | {"unit": "fraction", "method": "Wilson", "seed": 0}])})
    for part in (run.path / "parts" / "scores").iterdir():
        part.unlink()
    assert len(Run.open(run.path).read("scores")) == 1
    assert run.read("estimates")["value"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (score("q", colour="red"), "colour"),
        ({"model": "a", "value": 1.0}, "measure"),
        (score("q", value=None), "reason"),
        (score("q", reason="why"), "exactly one"),
        (score("q", value=float("inf")), "finite"),
        (score("q", step=1.5), "1.5"),
        (score(None), "null"),
    ],
)
def test_rows_that_do_not_belong_are_refused(tmp_path, row, problem):
    run = start(tmp_path / "run")
    with pytest.raises(RunError, match=problem):
        run.write_part("scores", "k", [row])
    assert run.list_finished_keys("scores") == set()


@pytest.mark.parametrize(
    ("measure", "value", "message"),
    [
        ("deletion.change", 1.01, "deletion.change must lie in its range, 0 to 1, got 1.01"),
        ("mistakes.soft", -0.5, "mistakes.soft must lie in its range, 0 to 1, got -0.5"),
        ("deletion.chang", 0.5, "no measure named 'deletion.chang'"),
    ],
)
def test_scores_that_their_measure_cannot_have_are_refused(tmp_path, measure, value, message):
    run = start(tmp_path / "run")
    with pytest.raises(MeasureError, match=re.escape(message)):
        run.write_part("scores", "k", [score("q1"), score("q2", measure=measure, value=value)])
    assert run.list_finished_keys("scores") == set()


def test_scores_of_a_registered_measure_are_stored(tmp_path, register_measure):
    register_measure(name="own.count", label="own", meaning="Own.", unit="count", range=(0.0, None), kind="count")
    run = start(tmp_path / "run")
    run.write_part("scores", "k", [score("q1", measure="own.count", unit="count", value=12.0)])
    assert run.read("scores")["value"].tolist() == [12.0]
    with pytest.raises(MeasureError, match=r"own\.count must lie in its range, 0 to inf, got -1"):
        run.write_part("scores", "k", [score("q1", measure="own.count", unit="count", value=-1.0)])


def test_a_run_with_a_measure_of_the_users_own_is_read_where_nothing_registers_it(tmp_path, register_measure):
    own = {
        "name": "own.count",
        "label": "own",
        "meaning": "Own.",
        "unit": "count",
        "range": (0.0, None),
        "kind": "count",
    }
    askable = Askable("the effect", "it is {}")
    measure = register_measure(**own, askable=askable, places=("report",), validated=("step",))
    run = start(tmp_path / "run")
    run.write_part("scores", "k", [score("q1", measure="own.count", unit="count", value=12.0)])
    run.finish()
    registry._CATALOGUE.pop("own.count")
    assert Run.open(tmp_path / "run").scores["measure"].tolist() == ["own.count"]
    assert get_measure("own.count") == measure
    assert register_measure(**own).askable is None  # a definition of the user's replaces the one read from the run
    Run.open(tmp_path / "run")
    assert get_measure("own.count").askable is None
    with pytest.raises(MeasureError, match="already has a different measure"):
        register_measure(**own | {"label": "another"})


@pytest.mark.parametrize("entry", [{}, {"askable": None}, {"askable": None, "name": "own.count", "colour": "red"}])
def test_a_measure_whose_description_cannot_be_read_is_refused(tmp_path, entry):
    assert measures.Measure  # from then on wrong arguments of the class are a `MisuseError`
    run = start(tmp_path / "run")
    run.add_to_manifest("measures", {"own.count": entry})
    with pytest.raises(
        MeasureError, match=r"the description of the measure 'own\.count' that a run holds cannot be read"
    ):
        Run.open(tmp_path / "run")


def test_a_batch_may_be_empty(tmp_path):
    run = start(tmp_path / "run")
    run.write_part("traces", "k", [])
    assert run.list_finished_keys("traces") == {"k"}
    assert run.read("traces").empty


def test_unknown_and_unwritten_tables(tmp_path):
    run = start(tmp_path / "run")
    with pytest.raises(RunError, match="Did you mean 'scores'"):
        run.write_part("score", "k", [])
    with pytest.raises(RunError, match="has no table"):
        run.read("scores")


def test_a_run_that_is_named_by_a_text_is_that_folder(tmp_path):
    assert Run(str(tmp_path)) == Run(tmp_path)
    assert repr(Run(str(tmp_path / "x"))) == f"Run({str(tmp_path / 'x')!r})"


def test_a_folder_that_is_not_there_is_named_with_the_near_one(tmp_path):
    (tmp_path / "my-run").mkdir()
    with pytest.raises(RunError, match=f"Did you mean '{tmp_path / 'my-run'}'"):
        Run.open(tmp_path / "my-rum")


def test_open_needs_a_run(tmp_path):
    with pytest.raises(RunError, match=r"manifest\.json"):
        Run.open(tmp_path)
    (tmp_path / "manifest.json").write_text("{broken")
    with pytest.raises(RunError):
        _ = Run.open(tmp_path).manifest


def test_json_is_whole_and_without_nan(tmp_path):
    run = start(tmp_path / "run")
    run.write_json("verdict.json", {"subjects": []})
    assert run.read_json("verdict.json") == {"subjects": []}
    with pytest.raises(ValueError, match="JSON"):
        run.write_json("verdict.json", {"x": float("nan")})
    assert run.read_json("verdict.json") == {"subjects": []}


@pytest.mark.parametrize("key", ["./model sums 0", ".hidden", "a/b c", "x[|]", "50 %", "ä"])
def test_a_key_names_a_file_that_is_not_hidden_and_can_be_read_again(key: str) -> None:
    name = quote_key(key)
    assert not name.startswith(".")
    assert "/" not in name
    assert unquote(name) == key
