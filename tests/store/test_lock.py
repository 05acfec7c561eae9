"""One writer at a time, and disks that cannot be written."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from faithlens.errors import RunError
from faithlens.store import Run, files, hold_folder

HOLDER = """
import sys
from faithlens.store import hold_folder
with hold_folder(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds `folder`; it has it when this returns."""
    code = HOLDER.replace("sys.argv[1]", f"__import__('pathlib').Path({str(folder)!r})")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code], **pipes)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_refused_and_named(tmp_path: Path) -> None:
    with start_holder(tmp_path / "run") as process:
        with (
            pytest.raises(RunError, match=f"is in use: process {process.pid} on .*, since ") as caught,
            hold_folder(tmp_path / "run"),
        ):
            pass
        assert "Wait until it has ended" in caught.value.fix
        assert json.loads((tmp_path / "run" / ".writer.json").read_text())["process"] == process.pid
        process.communicate()
    assert list((tmp_path / "run").iterdir()) == []
    with hold_folder(tmp_path / "run"):
        pass


def test_a_lock_of_a_killed_process_is_no_obstacle(tmp_path: Path) -> None:
    with start_holder(tmp_path / "run") as process:
        process.kill()
        process.wait()
    assert (tmp_path / "run" / ".writer.json").is_file()
    with hold_folder(tmp_path / "run"):
        Run.create(tmp_path / "run", {"config": {}})
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["manifest.json"]


def test_two_writers_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    with hold_folder(tmp_path), pytest.raises(RunError, match="is in use"), hold_folder(tmp_path):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"process": 3}'])
def test_a_holder_that_wrote_no_name_is_another_process(content: str, tmp_path: Path) -> None:
    with hold_folder(tmp_path):
        (tmp_path / ".writer.json").write_text(content)
        with pytest.raises(RunError, match="another process writes into it"), hold_folder(tmp_path):
            pass


def test_a_folder_that_cannot_be_made_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"), hold_folder(tmp_path / "file" / "run"):
        pass


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_takes_nothing_is_our_error_and_nothing_is_lost(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.create(tmp_path / "run", {"config": {}})
    run.write_json("verdict.json", {"subjects": []})
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}

    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(RunError, match=os.strerror(code)) as caught:
        run.write_json("verdict.json", {"subjects": [1]})
    assert ("Make room on the disk" in caught.value.fix) == (code in (errno.ENOSPC, errno.EDQUOT))
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before


def test_a_limit_on_the_size_of_files_is_our_error(tmp_path: Path) -> None:
    """The limit of the system itself, in a process of its own: the write fails in the middle."""
    code = (
        "import resource, sys, pathlib\nfrom faithlens.store import Run\nfrom faithlens.errors import RunError\n"
        "run = Run.create(pathlib.Path(sys.argv[1]), {'config': {}})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "try:\n    run.write_text('report.html', 'x' * 100000)\n"
        "except RunError as error:\n    print(error)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, check=True
    )
    assert "report.html cannot be written: File too large\nMake room on the disk" in out.stdout
    assert [path.name for path in Run.open(tmp_path / "run").path.iterdir()] == ["manifest.json"]
