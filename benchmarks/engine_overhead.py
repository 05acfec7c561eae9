"""What does an engine add to a unit? The processor time of the driver, of the worker and of all their other processes.

``python -m benchmarks.engine_overhead --engine ray`` starts ``faithlens audit --engine ray --workers 1`` and adds up
what its processes took between two finished units. What the worker spends beside its computing is measured by
``benchmarks.unit_overhead``.
"""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep

import psutil

from faithlens.commands.engines.choice import ENGINES

MARK = "FAITHLENS_MEASURED"
"""A variable by which the processes of a run are known; engines hand variables with this beginning to their workers."""
WORKER_WORDS = ("submitit.core._submit", "ray::UnitActor")
"""What the command line of a worker's process holds."""


def list_processes(mark: str) -> Iterator[psutil.Process]:
    """The processes that were started with this mark."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                yield process
        except psutil.Error:  # it ended, or is somebody else's
            continue


def count_seconds(driver: int, mark: str) -> dict[str, float]:
    """The processor time so far of the driver, of workers and of other processes."""
    seconds: dict[str, float] = {"driver": 0.0, "worker": 0.0, "others": 0.0}
    for process in list_processes(mark):
        try:
            words, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.Error:
            continue
        is_worker = any(word in words for word in WORKER_WORDS)
        kind = "driver" if process.pid == driver else "worker" if is_worker else "others"
        seconds[kind] += times.user + times.system
    return seconds


def count_units(path: Path) -> int:
    """The units that are finished."""
    return sum("start" not in file.name for file in path.glob("units/*.json"))


def main(engine: str, model: str, task: str, batch: int, units: int) -> None:
    mark, skipped = secrets.token_hex(8), 2  # units while which models are loaded
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "run"
        audit = (
            f"audit -m {model} -t {task} -n {batch * (skipped + units + 2)} --batch {batch} --threads 1 --device cpu"
        )
        words = [*audit.split(), "--engine", engine, "--workers", "1", "--out", str(path)]
        variables = os.environ | {MARK: mark, "RAY_worker_niceness": "0"}
        driver = subprocess.Popen([sys.executable, "-m", "faithlens.cli", *words], env=variables)
        marks: list[tuple[int, float, dict[str, float]]] = []
        try:
            for number in (skipped, skipped + units):
                while count_units(path) < number:
                    if driver.poll() is not None:
                        sys.exit(f"the audit ended with {driver.returncode} before {number} units were finished")
                    sleep(0.05)
                marks.append((count_units(path), perf_counter(), count_seconds(driver.pid, mark)))
        finally:
            driver.terminate()
            driver.wait()
    (start, begun, before), (end, ended, after) = marks
    n = end - start
    each = {kind: (after[kind] - before[kind]) / n for kind in after}
    share = (each["driver"] + each["others"]) / each["worker"]
    print(
        f"{engine}: {n} units of {batch} questions, {(ended - begun) / n:.2f} s each on the clock;"
        f" processor time a unit: worker {each['worker']:.3f} s, driver {each['driver']:.3f} s,"
        f" others {each['others']:.3f} s, so {100 * share:.1f} % beside the worker"
    )


if __name__ == "__main__":
    requested = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    requested.add_argument("--engine", choices=ENGINES, default="ray")
    requested.add_argument("--model", default="O5")
    requested.add_argument("--task", default="running-sum")
    requested.add_argument("--batch", type=int, default=20)
    requested.add_argument("--units", type=int, default=10)
    main(**vars(requested.parse_args()))
