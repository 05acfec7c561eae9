"""Kill audits and their workers, and see that those that follow end as an undisturbed run.

1. `kill_audits`: one process at a random moment, the one that continues it at another.
2. `kill_workers`: two workers of a prepared run at random moments, then two more, then the process that concludes it.
3. `kill_at_writes`: each of `SCENARIOS` at each call by which it reaches the disk (a file that is opened for writing, a
   flush, a rename, a link, a removal, a folder). For example write 17 of an audit is the flush of a part: the process
   that makes it is killed before it, another one continues the run.

Each attempt runs in a process of its own, which gets SIGKILL and so cannot clean up. A run is as an undisturbed one if
every file that its manifest lists has the same bytes: no row is lost, doubled or different.
"""

import io
import itertools
import logging
import os
import random
import re
import shutil
import signal
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from faithlens.commands.audit import audit, run_audit
from faithlens.commands.judge.run import judge
from faithlens.commands.work.run import conclude_run, prepare_run, work_on_run
from faithlens.config import AuditConfig, Subject
from faithlens.errors import FaithlensError
from faithlens.execution.options import Sampling
from faithlens.judging.inquiry import Cost, Inquiry
from faithlens.judging.readers import WordReader
from faithlens.report.export import export_run, parse_form
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
WRITES = ("fsync", "replace", "link", "unlink", "rename", "mkdir", "rmdir")
"""The calls of `os` by which a run reaches the disk, beside `io.open`."""


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
    """The bytes of every file that the manifests of finished runs in a folder list; of every file that is not hidden
    where there is no run. Those of the report without what it copies of the manifest, of readers.json without the time.
    """
    runs = [manifest.parent for manifest in folder.glob("**/manifest.json")]
    if runs and runs != [folder]:
        return {f"{run.parent.name}/{name}": content for run in runs for name, content in read_files(run).items()}
    if not runs:
        exported = {file.relative_to(folder): file for file in folder.glob("**/*") if file.is_file()}
        return {str(name): file.read_bytes() for name, file in exported.items() if not name.parts[0].startswith(".")}
    run = Run.open(folder)
    created = re.escape(str(run.manifest["created"])).encode()
    copied = {
        "report.html": re.compile(created + rb"|<pre[^>]*>\{.*?</pre>", re.S),
        "readers.json": re.compile(rb'"created": "[^"]*"'),
    }
    files = {name: (folder / name).read_bytes() for name in run.manifest["files"]}
    return {name: copied[name].sub(b"", content) if name in copied else content for name, content in files.items()}


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
        runs = [manifest.parent for manifest in path.glob("**/manifest.json")]
        left = [each.name for run in runs for what in ("**/*.tmp", "units/*", "chains/*") for each in run.glob(what)]
        differing += [f"{name} is left over" for name in left]
        return Outcome(kills, done, f"other bytes in {', '.join(differing)}" if differing else None)


def count_done(path: Path) -> int:
    return len(list(path.glob("**/parts/scores/*.parquet")))


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


@dataclass(frozen=True)
class Scenario:
    """A command that is killed at its writes.

    Attributes:
        act: does all of it in a folder, from the run in another folder; called again, it goes on where it was killed.
        make_base: makes the run that it needs; None where it needs none.
        is_changed: whether it changes that run, of which each attempt gets a copy, as the folder to act in.
    """

    act: Callable[[Path, Path], object]
    make_base: Callable[[Path], object] | None = None
    is_changed: bool = False

    def start(self, folder: Path, base: Path) -> Path:
        """The folder of a new attempt."""
        path = folder / "run"  # the report shows the last part of the name
        folder.mkdir()
        if self.is_changed:
            shutil.copytree(base, path)
        return path


TINY = replace(CONFIG, n=2, assays=("early_answering",))
WIDER = replace(TINY, n=3, assays=("early_answering", "mistakes"))


def audit_in_parts(path: Path, base: Path) -> None:
    """Prepare, work, conclude."""
    with prepare_run(TINY, path, resume=Run.is_used(path)):
        pass
    work_on_run(path)
    conclude_run(path)


def audit_wider(path: Path, base: Path) -> None:
    """An audit with a unit more than `base`, which takes over units, and one with another assay too: chains alone."""
    for config, folder in ((replace(TINY, n=3), path / "more" / "run"), (WIDER, path / "wider" / "run")):
        run_audit(config, folder, resume=Run.is_used(folder), reuse=[base])


def export_both(path: Path, base: Path) -> None:
    """Both forms; one that is there is whole."""
    for form, out in (("parquet", path / "scores.parquet"), ("dataset", path / "dataset")):
        if not out.exists():
            export_run(Run.open(base), out, parse_form(form))


@dataclass(frozen=True)
class CostlyReader(WordReader):
    """A reader that is asked in batches, as those that cost something are."""

    name: str = "costly"

    def estimate(self, inquiries: Sequence[Inquiry]) -> Cost:
        return Cost(len(inquiries), 0, 0)


SCENARIOS = {
    "audit": Scenario(lambda path, _: run_audit(TINY, path, resume=Run.is_used(path))),
    "workers": Scenario(audit_in_parts),
    "reuse": Scenario(audit_wider, lambda base: run_audit(TINY, base)),
    "export": Scenario(export_both, lambda base: run_audit(TINY, base)),
    "judge": Scenario(
        lambda path, _: judge(path, ["words", CostlyReader()]),
        lambda base: audit("O9", "running-sum-hints", 2, base, assays="hints,hint_mediation", device="cpu", threads=1),
        is_changed=True,
    ),
}


def kill_at_writes(name: str, folder: Path, most: int | None = None) -> Iterator[Outcome]:
    """A scenario that is killed before its writes, and then done again.

    A write that finds the disk as the write before it did is left out: a process that is killed leaves the same. Of the
    others `most` are drawn, by the name of the scenario; all where it is None.
    """
    scenario, base, listed = SCENARIOS[name], folder / "base" / "run", folder / "writes.txt"
    base.parent.mkdir()
    if make_base := scenario.make_base:
        assert do(lambda: make_base(base), base) == 0, (base.parent / "error.txt").read_text()
    path = scenario.start(folder / "undisturbed", base)
    act = scenario.act
    assert do(lambda: listed.write_text(" ".join(map(str, list_changes(path, lambda: act(path, base))))), path) == 0
    undisturbed, numbers = Undisturbed(read_files(path), 0.0), [*map(int, listed.read_text().split())]
    chosen = numbers if most is None else sorted(random.Random(name).sample(numbers, most))
    for number in chosen:
        path = scenario.start(folder / f"write {number}", base)
        killed = do(lambda: kill_before(number, lambda: act(path, base)), path)  # noqa: B023
        done = count_done(path)
        outcome = undisturbed.judge(path, int(killed == -9), done, do(lambda: act(path, base), path))  # noqa: B023
        shutil.rmtree(path.parent)
        yield replace(outcome, fault=outcome.fault and f"before write {number}: {outcome.fault}")


def list_changes(path: Path, act: Callable[[], object]) -> list[int]:
    """Do `act`; the numbers of the writes before which the files in a folder are others than before the last write."""
    states = list[list[tuple[str, int, int]]]()

    def look() -> None:
        entries = [(re.sub(r"\d+-\w{8}\.tmp$", "tmp", str(each)), each.lstat()) for each in path.glob("**/*")]
        states.append(sorted((name, *_describe_file(about)) for name, about in entries))

    call_before_writes(look)
    act()
    return [i for i, state in enumerate(states) if i == 0 or state != states[i - 1]]


def _describe_file(about: os.stat_result) -> tuple[int, int]:
    """The size of a file and when it was written; of a folder nothing, since its files are looked at themselves."""
    return (0, 0) if stat.S_ISDIR(about.st_mode) else (about.st_size, about.st_mtime_ns)


def kill_before(last: int, act: Callable[[], object]) -> None:
    """Do `act` in this process, which is killed before write `last`."""
    numbers = itertools.count()

    def kill_at_last() -> None:
        if next(numbers) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    call_before_writes(kill_at_last)
    act()


def call_before_writes(look: Callable[[], object]) -> None:
    """Have this process call `look` before each of its writes."""

    def wrap(call: Callable[..., Any], is_write: Callable[..., bool]) -> Callable[..., Any]:
        def write(*inputs: Any, **options: Any) -> Any:
            if is_write(*inputs, **options):
                look()
            return call(*inputs, **options)

        return write

    for name in WRITES:
        setattr(os, name, wrap(getattr(os, name), lambda *_, **__: True))
    io.open = wrap(io.open, lambda _, mode="r", *__, **___: mode[0] in "wxa")
