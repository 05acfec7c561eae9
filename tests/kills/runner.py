"""Kill audits and their workers, and see that those that follow end as an undisturbed run.

1. `kill_audits`: one process at a random moment, the one that continues it at another.
2. `kill_workers`: two workers of a prepared run at random moments, then two more, then the process that concludes it.
3. `kill_at_writes`: an audit at each call by which it reaches the disk (a flush, a rename, a link, a removal).

Each attempt runs in a process of its own, which gets SIGKILL and so cannot clean up. A run is as an undisturbed one if
every file that its manifest lists has the same bytes: no row is lost, doubled or different.
"""

import logging
import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faithlens.commands.audit import run_audit
from faithlens.commands.work.run import conclude_run, prepare_run, work_on_run
from faithlens.config import AuditConfig, Subject
from faithlens.errors import FaithlensError
from faithlens.execution.sample import Sampling
from faithlens.store import Run

CONFIG = AuditConfig(
    (Subject("O5", "running-sum"),),
    n=6,
    batch=1,
    device="cpu",
    threads=1,
    assays=("baselines", "early_answering", "mistakes"),
    sampling=Sampling(max_new_tokens=60),
)
PATIENCE_SECONDS = 600.0
WRITES = ("fsync", "replace", "link", "unlink", "rename")
"""The calls of `os` by which a run reaches the disk."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended whose processes were killed `kills` times; `done` units were finished before the last attempt."""

    kills: int
    done: int
    fault: str | None


def start(act: Callable[[], object], errors: Path) -> int:
    """The number of a new process that does `act` and ends with 0, or with 1 and its error in a file."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            logging.disable(logging.CRITICAL)
            act()
            status = 0
        except FaithlensError as error:
            errors.write_text(str(error))
        finally:
            os._exit(status)
    return child


def wait_or_kill(child: int, seconds: float) -> int:
    """The status of a process: 0 done, 1 failed, -9 if it was killed after `seconds` or killed itself."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def do(act: Callable[[], object], folder: Path, seconds: float = PATIENCE_SECONDS) -> int:
    """The status of `act` in a process of its own; see `wait_or_kill`."""
    return wait_or_kill(start(act, folder.parent / "error.txt"), seconds)


def audit_or_resume(folder: Path) -> None:
    run_audit(CONFIG, folder, resume=Run.is_used(folder))


def prepare_again(folder: Path) -> None:
    with prepare_run(CONFIG, folder, resume=Run.is_used(folder)):
        pass


def read_files(folder: Path) -> dict[str, bytes]:
    """The bytes of every file that the manifest of a finished run lists; of the report without what it copies of the
    manifest, which says when the run was made and resumed.
    """
    run = Run.open(folder)
    copied = re.compile(re.escape(str(run.manifest["created"])).encode() + rb"|<pre[^>]*>\{.*?</pre>", re.S)
    files = {name: (folder / name).read_bytes() for name in run.manifest["files"]}
    return {name: copied.sub(b"", content) if name == "report.html" else content for name, content in files.items()}


@dataclass(frozen=True)
class Undisturbed:
    """An undisturbed run: its files, and what an audit takes."""

    files: dict[str, bytes]
    seconds: float

    @classmethod
    def run(cls, folder: Path) -> "Undisturbed":
        path = folder / "undisturbed" / "run"  # the report shows the last part of the name
        path.parent.mkdir()
        started = time.monotonic()
        assert do(lambda: audit_or_resume(path), path) == 0, (path.parent / "error.txt").read_text()
        return cls(read_files(path), time.monotonic() - started)

    def judge(self, path: Path, kills: int, done: int, status: int) -> Outcome:
        """What differs in a run that was killed."""
        if status != 0:
            problem = (path.parent / "error.txt").read_text() if (path.parent / "error.txt").exists() else "no error"
            return Outcome(kills, done, f"the last attempt ended with {status}: {problem}")
        files = read_files(path)
        differing = sorted(name for name in {*files, *self.files} if files.get(name) != self.files.get(name))
        left = [each.name for each in [*path.glob("**/*.tmp"), *path.glob("units/*")]]
        differing += [f"{name} is left over" for name in left]
        return Outcome(kills, done, f"other bytes in {', '.join(differing)}" if differing else None)


def count_done(path: Path) -> int:
    return len(list(path.glob("parts/scores/*.parquet")))


def kill_audits(n: int, seed: int, folder: Path) -> Iterator[Outcome]:
    """`n` audits, each killed at a random moment, and the process that continues it too."""
    rng, undisturbed = random.Random(seed), Undisturbed.run(folder)
    for number in range(n):
        path = folder / str(number) / "run"
        path.parent.mkdir()
        ended = [do(lambda: audit_or_resume(path), path, rng.uniform(0, undisturbed.seconds)) for _ in range(2)]  # noqa: B023
        done = count_done(path)
        yield undisturbed.judge(path, ended.count(-9), done, do(lambda: audit_or_resume(path), path))  # noqa: B023


def kill_workers(n: int, seed: int, folder: Path) -> Iterator[Outcome]:
    """`n` prepared runs whose workers are killed, two at a time, and then the process that concludes them."""
    rng, undisturbed = random.Random(seed), Undisturbed.run(folder)
    for number in range(n):
        path = folder / f"shared {number}" / "run"
        path.parent.mkdir()
        assert do(lambda: prepare_again(path), path) == 0  # noqa: B023
        errors, ended = path.parent / "error.txt", list[int]()
        for _ in range(2):
            pair = [start(lambda i=i: work_on_run(path, i, 2), errors) for i in range(2)]  # noqa: B023
            ended += [wait_or_kill(child, rng.uniform(0, undisturbed.seconds / 2)) for child in pair]
        done = count_done(path)
        status = do(lambda: work_on_run(path), path)  # noqa: B023
        ended.append(do(lambda: conclude_run(path), path, rng.uniform(0, undisturbed.seconds / 10)))  # noqa: B023
        status = status or do(lambda: conclude_run(path), path)  # noqa: B023
        yield undisturbed.judge(path, ended.count(-9), done, status)


def kill_at_write(number: int, path: Path) -> int:
    """An audit that kills itself before its write `number`; its status."""
    return do(lambda: _count_writes(number, lambda: audit_or_resume(path)), path)


def count_writes(path: Path) -> int:
    """The number of writes of an undisturbed audit."""
    counted = path.parent / "writes.txt"
    assert do(lambda: counted.write_text(str(_count_writes(None, lambda: audit_or_resume(path)))), path) == 0
    return int(counted.read_text())


def kill_at_writes(folder: Path, step: int = 1, first: int = 0) -> Iterator[Outcome]:
    """An audit that is killed before each `step`-th of its writes, and one that continues it, which is killed not."""
    undisturbed = Undisturbed.run(folder)
    (folder / "counted").mkdir()
    for number in range(first, count_writes(folder / "counted" / "run"), step):
        path = folder / f"write {number}" / "run"
        path.parent.mkdir()
        kills = [kill_at_write(number, path)].count(-9)
        done = count_done(path)
        yield undisturbed.judge(path, kills, done, do(lambda: audit_or_resume(path), path))  # noqa: B023


def _count_writes(last: int | None, act: Callable[[], object]) -> int:
    """Do `act` and count its writes; this process is killed before write `last`."""
    count = 0

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def write(*inputs: Any, **options: Any) -> Any:
            nonlocal count
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            return call(*inputs, **options)

        return write

    for name in WRITES:
        setattr(os, name, wrap(getattr(os, name)))
    act()
    return count
