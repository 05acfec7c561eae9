"""Units are kept by any number of workers, whole or not at all, and merged into the manifest by one process."""

import json
import os
import shutil
from pathlib import Path

import pytest

from faithlens.errors import RunError
from faithlens.store import Run, UnitList, files, folder
from faithlens.store.manifest import write_manifest
from tests.store.test_faults import make_scores

KEYS = ("a t 0", "a t 1")
UNITS = UnitList(
    ("scores",),
    {
        key: {"model": "a", "task": "t", "questions": [f"{i}{j}" for j in range(3)], "digest": f"d{i}"}
        for i, key in enumerate(KEYS)
    },
    {"a t": {"digest": "s"}},
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run.create(tmp_path / "run", {"config": {}, "seed": 0})
    run.write_unit_list(UNITS)
    return run


def keep(run: Run, i: int, value: float = 1.0) -> bool:
    scores = {"scores": make_scores(f"{i}", value)}
    return run.write_unit(KEYS[i], scores, {"work": {KEYS[i]: {"passes": i}}}, digest=f"d{i}")


def test_units_are_read_before_they_are_merged_and_after(run: Run) -> None:
    assert keep(run, 0)
    assert run.list_finished_units() == {KEYS[0]}
    assert len(run.read("scores")) == 3
    assert run.manifest["files"].keys() == {"units.json"}
    assert run.get_facts("work") == {KEYS[0]: {"passes": 0}}
    assert keep(run, 1)
    Run.open(run.path)
    before = run.read("scores")
    run.merge_records()
    assert not (run.path / "units").exists()
    assert run.manifest["work"] == {KEYS[0]: {"passes": 0}, KEYS[1]: {"passes": 1}}
    assert run.list_finished_units() == {*KEYS}
    assert run.read("scores").equals(before)


def test_the_first_worker_keeps_a_unit(run: Run) -> None:
    assert keep(run, 0, value=1.0)
    before = (run.path / "parts/scores/a%20t%200.parquet").read_bytes()
    assert not keep(run, 0, value=0.0)
    assert (run.path / "parts/scores/a%20t%200.parquet").read_bytes() == before
    assert [path.name for path in run.path.glob("parts/scores/*")] == ["a%20t%200.parquet"]
    Run.open(run.path)


def test_a_unit_that_was_merged_meanwhile_is_kept_too(run: Run) -> None:
    assert keep(run, 0, value=1.0)
    run.merge_records()
    before = (run.path / "parts/scores/a%20t%200.parquet").read_bytes()
    assert not keep(run, 0, value=0.0)
    assert (run.path / "parts/scores/a%20t%200.parquet").read_bytes() == before
    assert not (run.path / "units").exists()


def test_a_reader_misses_no_unit_while_records_are_merged(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process merges right after this one has read the manifest."""
    keep(run, 0)
    read = folder.read_manifest

    def read_before_merge(path: Path) -> dict:
        entries = read(path)
        monkeypatch.setattr(folder, "read_manifest", read)
        Run(path).merge_records()
        return entries

    monkeypatch.setattr(folder, "read_manifest", read_before_merge)
    assert "parts/scores/a%20t%200.parquet" in run.files
    assert not (run.path / "units").exists()


def test_a_unit_that_is_finished_while_the_run_is_continued_is_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    merge = Run.merge_records

    def merge_and_go_on(own: Run) -> None:
        merge(own)
        keep(run, 0)  # a worker, while this process checks the files

    monkeypatch.setattr(Run, "merge_records", merge_and_go_on)
    again = Run.create(run.path, {"config": {}, "seed": 0}, resume=True)
    assert again.list_finished_units() == {KEYS[0]}
    assert caplog.text == ""
    Run.open(run.path)


def test_a_part_that_is_damaged_leaves_workers_their_list(run: Run) -> None:
    keep(run, 0)
    keep(run, 1)
    os.truncate(run.path / "parts/scores/a%20t%200.parquet", 40)
    again = Run.create(run.path, {"config": {}, "seed": 0}, resume=True)
    assert again.read_unit_list().digests == UNITS.digests
    assert again.list_finished_units() == {KEYS[1]}


@pytest.mark.parametrize("words", ["is torn or changed", "is missing"])
def test_a_list_of_units_that_is_damaged_is_written_again(
    words: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    keep(run, 0)
    path = run.path / "units.json"
    os.truncate(path, 20) if "torn" in words else path.unlink()
    with pytest.raises(RunError, match=r"units\.json"):
        Run.open(run.path)
    again = Run.create(run.path, {"config": {}, "seed": 0}, resume=True)
    assert f"units.json {words}" in caplog.text
    assert again.read_unit_list().digests == {}
    again.write_unit_list(UNITS)
    assert Run.open(run.path).list_finished_units() == {KEYS[0]}


def test_parts_without_a_record_are_not_read_and_are_written_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was killed between the parts and the record."""
    with monkeypatch.context() as patched:
        patched.setattr("faithlens.store.units.UnitRecord.write", lambda *_: True)
        keep(run, 0, value=0.0)
    assert (run.path / "parts/scores/a%20t%200.parquet").exists()
    assert Run.open(run.path).list_finished_units() == set()
    assert not run.has_table("scores")
    assert keep(run, 0, value=1.0)
    assert set(run.read("scores")["value"]) == {1.0}


def tear(path: Path) -> None:
    os.truncate(path, 40)


def edit(path: Path) -> None:
    path.write_text(path.read_text().replace('"passes": 0', '"passes": 7'))


def copy_to_other(path: Path) -> None:
    shutil.copy(path, path.with_name("a%20t%201.json"))


def take_from_other_run(path: Path) -> None:
    other = Run.create(path.parent.parent.with_name("other"), {"config": {}})
    other.write_unit(KEYS[0], {"scores": make_scores("0", 1.0)}, digest="of another run")
    shutil.copy(other.path / "units/a%20t%200.json", path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (tear, "0.json is torn, or was changed"),
        (edit, "0.json is torn, or was changed"),
        (copy_to_other, "1.json holds the content of units/a%20t%200.json"),
        (take_from_other_run, "0.json is of another run"),
    ],
)
def test_a_record_that_is_not_as_it_was_written_is_refused_and_set_aside(
    damage: object, words: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    keep(run, 0)
    damage(run.path / "units/a%20t%200.json")  # type: ignore[operator]
    with pytest.raises(RunError, match="not as faithlens wrote it") as caught:
        Run.open(run.path)
    assert words in caught.value.problem
    again = Run.create(run.path, {"config": {}, "seed": 0}, resume=True)
    assert words in caplog.text
    assert len(list((run.path / "set-aside/units").iterdir())) == 1
    assert again.list_finished_units() == ({KEYS[0]} if damage is copy_to_other else set())


def test_a_disk_that_is_full_keeps_no_half_unit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", refuse)
        with pytest.raises(RunError, match="No space left"):
            keep(run, 0)
    assert run.list_finished_units() == set()
    assert list(run.path.glob("parts/scores/*")) == []
    assert keep(run, 0)


def test_a_file_system_without_links_keeps_units_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(files.os, "link", refuse)
    assert keep(run, 0)
    assert not keep(run, 0)
    assert json.loads((run.path / "units/a%20t%200.json").read_text())["unit"] == KEYS[0]
    assert run.list_finished_units() == {KEYS[0]}


def finish(run: Run) -> None:
    """All units, the table and a verdict."""
    assert keep(run, 0)
    assert keep(run, 1)
    run.merge_records()
    run.finish()
    run.write_json("verdict.json", {"subjects": []})


PART = "parts/scores/a%20t%200.parquet"


def test_a_verdict_without_all_units_is_not_believed(run: Run) -> None:
    finish(run)
    (run.path / PART).unlink()
    files = {name: entry for name, entry in run.manifest["files"].items() if name != PART}
    write_manifest(run.path, {**run.manifest, "files": files})
    with pytest.raises(RunError, match=rf"{PART} is not listed in the manifest, which lists a verdict"):
        Run.open(run.path)
    again = Run.create(run.path, {"config": {}, "seed": 0}, resume=True)
    assert again.list_finished_units() == {KEYS[1]}
    assert not (run.path / "verdict.json").exists()
    assert keep(again, 0)
    again.merge_records()
    assert sorted(Run.open(run.path).read("scores")["question"]) == ["00", "01", "02", "10", "11", "12"]
