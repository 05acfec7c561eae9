"""No file of a run is believed that is not as faithlens wrote it: each kind of damage is named and can be repaired."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faithlens.errors import RunError
from faithlens.store import Run, make_manifest
from faithlens.store.faults import list_faults
from faithlens.store.files import FileDigest
from tests.store.entries import make_entry

PART, OTHER = "parts/scores/a%20t%200.parquet", "parts/scores/a%20t%201.parquet"
KEYS = ("a t 0", "a t 1")


def make_scores(question: str, value: float) -> list[dict]:
    at = {"model": "a", "task": "t", "condition": "full", "measure": "accuracy.full", "unit": "fraction"}
    return [{**at, "question": f"{question}{i}", "value": value} for i in range(3)]


def write_run(path: Path, value: float = 1.0, seed: int = 0) -> Run:
    """A finished run of two batches of three questions."""
    run = Run.create(path, make_manifest({"n": 6}, seed, "cpu"))
    for i, key in enumerate(KEYS):
        run.write_part("scores", key, make_scores(f"{i}", value))
    run.finish()
    run.write_json("verdict.json", {"subjects": [make_entry("a", "t", "trust", ["x"])]})
    run.write_text("report.html", "<!doctype html>")
    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return write_run(tmp_path / "run")


def truncate(run: Run) -> None:
    os.truncate(run.path / PART, 100)


def empty(run: Run) -> None:
    os.truncate(run.path / PART, 0)


def flip_bit(run: Run) -> None:
    content = bytearray((run.path / PART).read_bytes())
    content[len(content) // 2] ^= 1
    (run.path / PART).write_bytes(content)


def delete(run: Run) -> None:
    (run.path / PART).unlink()


def put_folder(run: Run) -> None:
    (run.path / PART).unlink()
    (run.path / PART).mkdir()


def link_to_nothing(run: Run) -> None:
    (run.path / PART).unlink()
    (run.path / PART).symlink_to("nowhere")


def put_pipe(run: Run) -> None:
    """A reader of a pipe would wait for ever."""
    (run.path / PART).unlink()
    os.mkfifo(run.path / PART)


def link_to_device(run: Run) -> None:
    """Its content has no end."""
    (run.path / PART).unlink()
    (run.path / PART).symlink_to("/dev/zero")


def add_pipe(run: Run) -> None:
    os.mkfifo(run.path / "parts/scores/a%20t%202.parquet")


def copy_over_other(run: Run) -> None:
    shutil.copy(run.path / OTHER, run.path / PART)


def copy_under_new_name(run: Run) -> None:
    shutil.copy(run.path / PART, run.path / "parts/scores/a%20t%202.parquet")


def take_from_other_run(run: Run) -> None:
    other = write_run(run.path.parent / "other", value=0.0)
    shutil.copy(other.path / PART, run.path / PART)


def edit_table(run: Run) -> None:
    frame = run.read("scores").assign(value=0.0)
    frame.to_parquet(run.path / "scores.parquet")


def exchange_table(run: Run) -> None:
    other = write_run(run.path.parent / "other", value=0.0)
    shutil.copy(other.path / "scores.parquet", run.path / "scores.parquet")


def edit_verdict(run: Run) -> None:
    text = (run.path / "verdict.json").read_text()
    (run.path / "verdict.json").write_text(text.replace("trust", "do-not-trust"))


def edit_report(run: Run) -> None:
    (run.path / "report.html").write_text("<!doctype html>fine")


def add_estimates(run: Run) -> None:
    shutil.copy(run.path / "scores.parquet", run.path / "estimates.parquet")


DAMAGES: dict[Callable[[Run], None], str] = {
    truncate: f"{PART} is torn or changed: it has 100 bytes",
    empty: f"{PART} is torn or changed: it has 0 bytes",
    flip_bit: f"{PART} was changed or exchanged",
    delete: f"{PART} is missing",
    put_folder: f"{PART} cannot be read",
    link_to_nothing: f"{PART} is missing",
    put_pipe: f"{PART} cannot be read (it is a pipe or a device, and no file)",
    link_to_device: f"{PART} cannot be read (it is a pipe or a device, and no file)",
    add_pipe: "a%20t%202.parquet is not listed in the manifest",
    copy_over_other: f"{PART} holds the content of {OTHER}",
    copy_under_new_name: f"a%20t%202.parquet is not listed in the manifest, and holds the content of {PART}",
    take_from_other_run: f"{PART} was changed or exchanged",
    edit_table: "scores.parquet ",
    exchange_table: "scores.parquet was changed or exchanged",
    edit_verdict: "verdict.json was changed or exchanged",
    edit_report: "report.html was changed or exchanged",
    add_estimates: "estimates.parquet is not listed in the manifest, and holds the content of scores.parquet",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_named_and_repaired_by_resume(
    damage: Callable[[Run], None], run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    before = {name: (run.path / name).read_bytes() for name in run.manifest["files"]}
    damage(run)
    with pytest.raises(RunError) as caught:
        Run.open(run.path)
    assert DAMAGES[damage] in caught.value.problem
    assert "--resume" in caught.value.fix
    with caplog.at_level(logging.WARNING):
        again = Run.create(run.path, make_manifest({"n": 6}, 0, "cpu"), resume=True)
    assert DAMAGES[damage] in caplog.text
    for i, key in enumerate(KEYS):
        if key not in again.list_finished_keys("scores"):
            again.write_part("scores", key, make_scores(f"{i}", 1.0))
    again.finish()
    again.write_json("verdict.json", json.loads(before["verdict.json"]))
    again.write_text("report.html", before["report.html"].decode())
    assert {name: (run.path / name).read_bytes() for name in Run.open(run.path).manifest["files"]} == before


@pytest.mark.parametrize("damage", [flip_bit, edit_table, edit_verdict], ids=lambda damage: damage.__name__)
def test_a_file_that_was_changed_while_the_run_is_open_is_not_believed(damage: Callable[[Run], None], run: Run) -> None:
    opened = Run.open(run.path)
    damage(run)
    if damage is edit_table:
        shutil.rmtree(run.path / "parts")
    with pytest.raises(RunError, match="not as faithlens wrote it"):
        _ = opened.verdict if damage is edit_verdict else opened.scores


def test_a_run_with_a_missing_batch_is_not_finished_until_the_batch_is_done_again(run: Run) -> None:
    delete(run)
    again = Run.create(run.path, make_manifest({"n": 6}, 0, "cpu"), resume=True)
    assert again.list_finished_keys("scores") == {KEYS[1]}
    assert not (run.path / "report.html").exists()  # of all questions; it is set aside
    assert sorted(p.name for p in (run.path / "set-aside").iterdir()) == [
        "report.html",
        "scores.parquet",
        "verdict.json",
    ]
    with pytest.raises(RunError, match=r"no verdict\.json yet"):
        _ = again.verdicts


def test_files_of_the_user_are_no_fault(run: Run) -> None:
    (run.path / "notes.txt").write_text("mine")
    (run.path / "figures").mkdir()
    (run.path / ".scores.parquet.77.tmp").write_text("of a writer that was killed")
    Run.open(run.path)
    Run.create(run.path, make_manifest({"n": 6}, 0, "cpu"), resume=True)
    assert (run.path / "notes.txt").read_text() == "mine"
    assert not (run.path / ".scores.parquet.77.tmp").exists()


def test_an_exchanged_manifest_is_noticed(run: Run) -> None:
    """The manifest of another run does not list the digests of these files."""
    other = write_run(run.path.parent / "other", value=0.0)
    shutil.copy(other.path / "manifest.json", run.path / "manifest.json")
    with pytest.raises(RunError, match=r"verdict|parts/scores") as caught:
        Run.open(run.path)
    assert f"{PART} was changed or exchanged" in caught.value.problem


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "parts/../../secret.txt"])
def test_a_manifest_that_lists_files_elsewhere_reads_none(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("s")
    digest = FileDigest.of_content(b"s")._asdict()
    (tmp_path / "run").mkdir()
    [fault] = list_faults(tmp_path / "run", {name: digest})
    assert fault.reason == "has no usable digest in the manifest"


@pytest.mark.parametrize("entry", [None, 3, {}, {"size": "x", "sha256": "y"}, {"size": 1}, []])
def test_an_entry_that_is_no_digest_is_a_fault(entry: object, run: Run) -> None:
    [fault] = list_faults(run.path, run.manifest["files"] | {"report.html": entry})
    assert str(fault) == "report.html has no usable digest in the manifest"


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_flipped_bit_in_any_file_is_noticed(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    run = write_run(tmp_path_factory.mktemp("flip") / "run")
    written = run.manifest
    path = run.path / data.draw(st.sampled_from(["manifest.json", *written["files"]]))
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    try:
        Run.open(run.path)
    except RunError:
        return
    assert path.name == "manifest.json"
    assert json.loads(content) == written  # white space between its entries, which means nothing


def test_what_a_judge_left_half_done_is_left_to_the_next_judge(run: Run) -> None:
    shutil.copy(run.path / PART, run.path / "parts/scores/readers.parquet")
    with pytest.raises(RunError, match=r"parts/scores/readers\.parquet is not listed") as caught:
        Run.open(run.path)
    assert "repeat the command faithlens judge or monitor" in caught.value.fix
