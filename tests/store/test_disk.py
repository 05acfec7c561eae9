"""A disk that takes nothing more, at each write of a run: our error, nothing half-written, and --resume ends it."""

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from faithlens.errors import RunError
from faithlens.store import Run, hold_folder, make_manifest

MANIFEST = make_manifest({"n": 3}, 0, "cpu")
WRITES = ((os, "mkdir"), (os, "fsync"), (os, "replace"), (Path, "open"), (Path, "write_bytes"), (Path, "write_text"))
"""The calls by which a run reaches the disk: each may be the first that the disk refuses."""


def write_run(folder: Path, n: int = 1) -> Run:
    """Begin a run of `n` batches, or continue it, as an audit does."""
    with hold_folder(folder):
        run = Run.create(folder, MANIFEST, resume=Run.is_used(folder))
        for i in range(n):
            if f"batch {i}" not in run.list_finished_keys("scores"):
                run.add_to_manifest("work", {f"batch {i}": {"rows": i}})
                at = {"model": "a", "task": "t", "question": f"q{i}", "condition": "full", "unit": "fraction"}
                run.write_part("scores", f"batch {i}", [{**at, "measure": "accuracy.full", "value": i / 4}])
        run.finish()
        run.write_json("verdict.json", {"subjects": []})
        run.write_text("report.html", "<!doctype html>")
    return run


def read_run(folder: Path) -> tuple[dict[str, bytes], Any]:
    run = Run.open(folder)
    return {name: (folder / name).read_bytes() for name in run.manifest["files"]}, run.manifest["work"]


@contextmanager
def refuse_write(number: int | None, code: int) -> Iterator[list[str]]:
    """Let write `number` fail, and every later one; the names of the calls."""
    names: list[str] = []

    def wrap(name: str, call: Callable) -> Callable:
        def refuse(*inputs: Any, **options: Any) -> Any:
            is_write = name != "open" or any("w" in str(mode) or "+" in str(mode) for mode in inputs[1:])
            if is_write:
                names.append(name)
                if number is not None and len(names) > number:
                    raise OSError(code, os.strerror(code))
            return None if name == "fsync" else call(*inputs, **options)  # no need to wait for a disk here

        return refuse

    with pytest.MonkeyPatch.context() as patch:
        for holder, name in WRITES:
            patch.setattr(holder, name, wrap(name, getattr(holder, name)))
        yield names


def test_a_disk_that_is_full_at_any_write_loses_nothing(tmp_path: Path) -> None:
    with refuse_write(None, errno.ENOSPC) as names:
        write_run(tmp_path / "whole")
    expected = read_run(tmp_path / "whole")
    assert set(names) == {name for _, name in WRITES}
    for number in range(len(names)):
        folder = tmp_path / str(number)
        with refuse_write(number, errno.ENOSPC), pytest.raises(RunError) as caught:
            write_run(folder)
        assert "cannot be written: No space left on device" in caught.value.problem, (number, names[number])
        assert "Make room on the disk" in caught.value.fix
        if (folder / "manifest.json").exists():
            for name, digest in json.loads((folder / "manifest.json").read_text())["files"].items():
                assert len((folder / name).read_bytes()) == digest["size"], (number, name)
        with refuse_write(None, errno.ENOSPC):
            write_run(folder)
        assert read_run(folder) == expected, (number, names[number])
        assert not [*folder.rglob("*.tmp")]


@pytest.mark.parametrize("code", [errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EIO])
def test_a_disk_that_refuses_for_another_reason_is_our_error(code: int, tmp_path: Path) -> None:
    for number in (0, 5, 20):
        with refuse_write(number, code), pytest.raises(RunError, match=os.strerror(code)):
            write_run(tmp_path / str(number))


def test_a_clock_that_goes_backwards_changes_nothing(tmp_path: Path) -> None:
    """Files that are younger than the next ones, and a run that is continued before it began."""
    run = write_run(tmp_path / "run", n=2)
    expected = read_run(run.path)
    (run.path / "parts/scores/batch%201.parquet").unlink()
    for path in run.path.rglob("*"):
        os.utime(path, (4_000_000_000, 4_000_000_000))
    with hold_folder(run.path):
        again = Run.create(run.path, MANIFEST | {"created": "1999-01-01T00:00:00+00:00"}, resume=True)
    assert again.list_finished_keys("scores") == {"batch 0"}
    write_run(run.path, n=2)
    assert read_run(run.path) == expected
