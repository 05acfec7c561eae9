"""A unit has one worker at a time, however workers end and whatever their clocks say."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from faithlens.store import lease
from faithlens.store.lease import Leases, list_living

TAKER = """
import sys, pathlib, time
from faithlens.store import Leases
with Leases(pathlib.Path(sys.argv[1])) as leases:
    print(leases.take("unit"), flush=True)
    time.sleep(600)
"""


def find_lease(folder: Path) -> Path:
    return folder / "units" / "unit.lease"


def write_foreign(folder: Path) -> None:
    """A lease of a worker on another machine."""
    holder = {"process": 1, "host": "far", "since": "now", "machine": "far", "start": None, "token": "far"}
    find_lease(folder).parent.mkdir(parents=True, exist_ok=True)
    find_lease(folder).write_text(json.dumps(holder))


def test_one_worker_at_a_time(tmp_path: Path) -> None:
    with Leases(tmp_path) as one, Leases(tmp_path) as other:
        assert one.take("unit")
        assert not other.take("unit")
        one.give_back("unit")
        assert other.take("unit")
        one.give_back("unit")  # of another worker by now
        assert find_lease(tmp_path).exists()
    assert list((tmp_path / "units").iterdir()) == []


def test_many_workers_take_a_unit_once(tmp_path: Path) -> None:
    """Of 16 that find the lease of a dead worker at the same moment, one gets it."""
    write_foreign(tmp_path)
    workers, results, barrier = [Leases(tmp_path, expiry=0.2) for _ in range(16)], [], threading.Barrier(16)
    for worker in workers:
        assert not worker.take("unit")
    time.sleep(0.3)

    def take(worker: Leases) -> None:
        barrier.wait()
        results.append(worker.take("unit"))

    threads = [threading.Thread(target=take, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(True) == 1
    assert [path.name for path in (tmp_path / "units").iterdir()] == ["unit.lease"]


def test_a_process_that_was_killed_on_this_machine_is_dead_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "True\n"
        with Leases(tmp_path) as other:
            assert not other.take("unit")
            [living] = list_living(tmp_path)
            assert f"process {process.pid} on " in living
            process.kill()
            process.wait()
            assert list_living(tmp_path) == []
            assert other.take("unit")


def test_a_number_that_a_later_process_has_is_not_the_same_process(tmp_path: Path) -> None:
    with Leases(tmp_path) as one:
        one.take("unit")
        holder = json.loads(find_lease(tmp_path).read_text())
    find_lease(tmp_path).write_text(json.dumps(holder | {"token": "of before", "start": "7"}))
    assert Leases(tmp_path).take("unit")


def test_a_worker_elsewhere_is_dead_when_its_heartbeat_is_still(tmp_path: Path) -> None:
    write_foreign(tmp_path)
    with Leases(tmp_path, expiry=0.4) as other:
        for _ in range(6):  # alive for longer than the expiry
            assert not other.take("unit")
            time.sleep(0.1)
            os.utime(find_lease(tmp_path))
        assert not other.take("unit")
        time.sleep(0.5)
        assert other.take("unit")


def test_clocks_that_are_set_back_kill_nobody_and_keep_nobody_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_foreign(tmp_path)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with Leases(tmp_path, expiry=0.4) as other:
        for hours in range(4):
            os.utime(find_lease(tmp_path), (1e9 - 3600 * hours,) * 2)  # the clock of the other machine goes back
            assert not other.take("unit")
            time.sleep(0.15)
        os.utime(find_lease(tmp_path), (4e9, 4e9))  # far in the future, and then still
        assert not other.take("unit")
        time.sleep(0.5)
        assert other.take("unit")


def test_a_heartbeat_keeps_a_lease_for_longer_than_its_expiry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Leases(tmp_path, expiry=0.3) as one:
        one.take("unit")
        monkeypatch.setattr(lease, "describe_machine", lambda: "another machine")  # only the heartbeat can be seen
        other = Leases(tmp_path, expiry=0.6)
        for _ in range(10):
            assert not other.take("unit")
            time.sleep(0.1)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"process": "x"}', "\0" * 50])
def test_a_lease_that_says_nothing_expires_too(content: str, tmp_path: Path) -> None:
    write_foreign(tmp_path)
    find_lease(tmp_path).write_text(content)
    other = Leases(tmp_path, expiry=0.2)
    assert not other.take("unit")
    assert other.look("unit").describe() == "another worker"
    time.sleep(0.3)
    assert other.take("unit")


def test_a_lease_that_a_faster_worker_took_is_given_back(tmp_path: Path) -> None:
    write_foreign(tmp_path)
    slow, fast = Leases(tmp_path), Leases(tmp_path)
    dead = slow.look("unit")
    assert dead is not None
    find_lease(tmp_path).unlink()
    assert fast.take("unit")
    assert not slow._move_away("unit", dead)
    assert fast.look("unit").holder["token"] == fast._token


def test_a_lease_that_is_given_back_while_all_are_listed_is_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Leases(tmp_path) as one:
        one.take("unit")
        names = lease.list_unit_files(tmp_path, "lease")
        one.give_back("unit")
        monkeypatch.setattr(lease, "list_unit_files", lambda *_: names)
        assert list_living(tmp_path) == []
