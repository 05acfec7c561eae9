"""Kill an audit at a random moment, its resume at another, and see that the third attempt ends as an undisturbed run.

`find_kill_faults(n, seed, folder)` does this `n` times. Each attempt runs in a process of its own, which gets SIGKILL
and so cannot clean up. A run is as an undisturbed one if every file that its manifest lists has the same bytes.
"""

import logging
import os
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from faithlens.commands.audit import run_audit
from faithlens.config import AuditConfig, Subject
from faithlens.errors import FaithlensError
from faithlens.execution.sample import Sampling
from faithlens.store import Run

CONFIG = AuditConfig(
    (Subject("O5", "running-sum"),),
    n=8,
    batch=1,
    device="cpu",
    assays=("baselines", "early_answering", "mistakes"),
    sampling=Sampling(max_new_tokens=60),
)


def try_audit(folder: Path, seconds: float | None, is_resumed: bool) -> int:
    """The status of an audit in a process of its own, which is killed after `seconds`: 0 done, -9 killed, else 1."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            logging.disable(logging.CRITICAL)
            run_audit(CONFIG, folder, resume=is_resumed)
            status = 0
        except FaithlensError as error:
            (folder.parent / "error.txt").write_text(str(error))
        finally:
            os._exit(status)
    until = time.monotonic() + (seconds if seconds is not None else 600)
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def read_files(folder: Path) -> dict[str, bytes]:
    """The bytes of every file that the manifest of a finished run lists; of the report without what it copies of the
    manifest, which says when the run was made and resumed.
    """
    run = Run.open(folder)
    copied = re.compile(re.escape(str(run.manifest["created"])).encode() + rb"|<pre[^>]*>\{.*?</pre>", re.S)
    files = {name: (folder / name).read_bytes() for name in run.manifest["files"]}
    return {name: copied.sub(b"", content) if name == "report.html" else content for name, content in files.items()}


def find_kill_faults(n: int, seed: int, folder: Path) -> Iterator[tuple[int, int, str | None]]:
    """For each of `n` runs: how often it was killed, how many batches it had then, and what differs in the end."""
    rng = random.Random(seed)
    started = time.monotonic()
    undisturbed = folder / "undisturbed" / "run"  # the report shows the last part of the name
    undisturbed.parent.mkdir()
    assert try_audit(undisturbed, None, is_resumed=False) == 0, (undisturbed.parent / "error.txt").read_text()
    seconds = time.monotonic() - started
    expected = read_files(undisturbed)
    for number in range(n):
        path = folder / str(number) / "run"
        path.parent.mkdir()
        killed = [try_audit(path, rng.uniform(0, seconds), i > 0 and path.exists()) for i in range(2)]
        done = len(list(path.glob("parts/scores/*.parquet")))
        last = try_audit(path, None, is_resumed=path.exists())
        if last != 0:
            yield (
                killed.count(-9),
                done,
                f"the last attempt ended with {last}: {(path.parent / 'error.txt').read_text()}",
            )
            continue
        files = read_files(path)
        differing = sorted(name for name in {*files, *expected} if files.get(name) != expected.get(name))
        yield killed.count(-9), done, f"other bytes in {', '.join(differing)}" if differing else None
