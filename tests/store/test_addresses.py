"""Runs under addresses of object stores: in fsspec's memory, and in a server on this machine that speaks S3 (moto)."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from faithlens.cli import main
from faithlens.errors import RunError
from faithlens.store import Run, hold_folder, make_manifest
from faithlens.store.files import write_atomically
from faithlens.store.lease import describe_machine
from faithlens.store.places import find_place, get_store, read_content
from tests.store.test_disk import read_run, write_run

pytest.importorskip("upath", reason="addresses need universal-pathlib")
AUDIT = "audit -m O5 -t running-sum -n 2 --batch 1 --assays baselines --device cpu --out"
PART = "parts/scores/batch%200.parquet"


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """A bucket of a server on the loopback address."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "secret-key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "*",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        get_store(find_place("s3://runs/any"))[0].mkdir("runs")
        yield "s3://runs"
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def address(request: pytest.FixtureRequest) -> Path:
    """A new place in a store."""
    start = "memory://runs" if request.param == "memory" else request.getfixturevalue("s3_server")
    return find_place(f"{start}/{uuid4().hex}/my run")


def put(place: Path, content: bytes) -> None:
    store, name = get_store(place)
    store.pipe_file(name, content)


def remove(place: Path) -> None:
    store, name = get_store(place)
    store.rm_file(name)


def test_a_run_in_a_store_is_the_run_of_a_folder(address: Path, tmp_path: Path) -> None:
    local, run = write_run(tmp_path / "run", n=2), write_run(address, n=2)
    assert str(run.path) == str(address)
    assert Run.open(str(address)).read("scores").equals(local.read("scores"))
    names = local.manifest["files"]
    assert Run.open(address).manifest["files"] == names
    store, start = get_store(address)
    assert sorted(store.find(start)) == sorted(f"{start}/{name}" for name in [*names, "manifest.json"])
    assert {name: read_content(address / name) for name in names} == read_run(tmp_path / "run")[0]


def test_damage_in_a_store_is_named_set_aside_and_done_again(address: Path) -> None:
    files = {name: read_content(address / name) for name in write_run(address, n=2).manifest["files"]}
    put(address / PART, files[PART][:100])
    put(address / "parts/scores/foreign.parquet", b"x")
    remove(address / "verdict.json")
    with pytest.raises(RunError, match="not as faithlens wrote it") as caught:
        Run.open(address)
    for words in (f"{PART} is torn or changed: it has 100", "foreign.parquet is not listed", "verdict.json is missing"):
        assert words in caught.value.problem
    write_run(address, n=2)
    assert {name: read_content(address / name) for name in Run.open(address).manifest["files"]} == files
    assert len(read_content(address / "set-aside" / PART)) == 100


def test_one_writer_at_a_time_and_a_killed_one_is_no_obstacle(address: Path) -> None:
    lock = address / ".writer.json"
    with hold_folder(address):
        with pytest.raises(RunError, match=f"in use: process {os.getpid()} on .*, since ") as caught:
            write_run(address)
        assert str(lock) in caught.value.fix
    write_run(address)
    assert lock.name not in {path.name for path in address.iterdir()}
    own = {"process": os.getpid(), "machine": describe_machine(), "host": "me", "since": "2026", "start": "1"}
    for holder, is_refused in (
        (own, False),  # another process of this number, before this one
        (own | {"process": 2**22 + 1}, False),  # no process can have this number
        (own | {"machine": "elsewhere"}, True),
        (own | {"start": None}, True),
        ({}, True),
    ):
        put(lock, json.dumps(holder).encode())
        if is_refused:
            with pytest.raises(RunError, match="is in use"):
                write_run(address)
            remove(lock)
        else:
            write_run(address)


def test_a_lock_that_another_writer_took_is_left_to_it(address: Path) -> None:
    with hold_folder(address):
        put(address / ".writer.json", b"{}")
    assert read_content(address / ".writer.json") == b"{}"


def test_a_block_that_fails_puts_nothing(address: Path) -> None:
    with suppress(KeyError), write_atomically(address / "a") as temporary:
        temporary.write_bytes(b"half")
        raise KeyError
    with pytest.raises(FileNotFoundError):
        read_content(address / "a")
    with pytest.raises(RunError, match="is not a run folder"):
        Run.open(address)


def test_a_store_that_refuses_is_our_error_and_shows_no_key(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for act in (Run.open, lambda place: Run.create(place, make_manifest({}, 0, "cpu")), write_run):
        with pytest.raises(RunError, match=r"s3://no-bucket-here/run") as caught:
            act(find_place("s3://no-bucket-here/run"))
        assert "secret-key" not in str(caught.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody there
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store, _ = get_store(find_place("s3://runs/x"))
    type(store).clear_instance_cache()
    with pytest.raises(RunError, match=r"cannot be read.*127\.0\.0\.1:9"):
        Run.open("s3://runs/x")
    type(store).clear_instance_cache()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("s4://a/b", "unknown kind of address 's4'"),
        ("http://a/b", "unknown kind of address 'http'"),
        ("s3://bucket", "names no folder of a bucket"),
        ("s3:///run", "names no folder of a bucket"),
        ("memory://", "names no folder of a bucket"),
        ("s3://KEY:SECRET@bucket/run", "holds a user name or a key"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_at_the_door(
    name: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["audit", "-m", "O5", "--out", name], ["export", name, "x"], ["view", name]):
        assert call(monkeypatch, *command) == 2
        output = "".join(capsys.readouterr())
        assert words in " ".join(output.split())
        assert "SECRET" not in output
    assert not Path(name.split("/")[0]).exists()


def test_other_names_are_folders(tmp_path: Path) -> None:
    assert find_place("a/b") == Path("a/b")
    assert find_place(tmp_path) == tmp_path
    assert find_place(tmp_path.as_uri()) == tmp_path


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of ``faithlens ...``."""
    monkeypatch.setattr(sys, "argv", ["faithlens", *words])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return int(ended.value.code or 0)


def test_every_command_takes_an_address(
    address: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, local = str(address), tmp_path / "run"
    audit = [*AUDIT.split(), name]
    assert call(monkeypatch, *audit) == 0
    assert f"Report: {name}/report.html" in capsys.readouterr().out
    files = Run.open(name).manifest["files"]
    for each in [*files, "manifest.json"]:
        (local / each).parent.mkdir(parents=True, exist_ok=True)
        (local / each).write_bytes(read_content(address / each))
    part = read_content(address / "parts/scores/O5%20running-sum%201.parquet")
    remove(address / "parts/scores/O5%20running-sum%201.parquet")
    assert call(monkeypatch, "decide", name) == 3
    assert call(monkeypatch, *audit) == 2  # not empty
    put(address / "parts/scores/O5%20running-sum%201.parquet", part)
    assert call(monkeypatch, "decide", name) == call(monkeypatch, "decide", str(local))
    assert call(monkeypatch, "compare", name, str(local)) == 0
    assert call(monkeypatch, "power", name) == 0
    assert call(monkeypatch, "view", name, "--file", str(tmp_path / "page.html")) == 0
    assert "O5" in (tmp_path / "page.html").read_text()
    assert call(monkeypatch, "export", name, str(tmp_path / "scores.parquet")) == 0
    assert call(monkeypatch, "export", str(local), f"{name}-scores.parquet") == 0
    assert read_content(find_place(f"{name}-scores.parquet")) == (tmp_path / "scores.parquet").read_bytes()
    assert call(monkeypatch, "export", str(local), f"{name}-set", "--to", "dataset") == 2
    assert call(monkeypatch, "export", str(local), f"{name}-scores.parquet") == 2  # it is there already
