"""Time rivals fairly: warmed up, taking turns in one process, compared pair by pair, with what matters noted.

Rivals take turns because a machine's speed drifts: the ratio of two neighbours in time says more than that of two
averages. Each round starts with the next rival, so that nobody always runs after the same neighbour.
"""

import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"
LIBRARIES = ("torch", "transformers", "transformer-lens")
Rivals = Mapping[str, Callable[[], object]]
Seconds = dict[str, list[float]]


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one run, the accelerator's queue included."""
    wait()
    start = perf_counter()
    run()
    wait()
    return perf_counter() - start


def wait() -> None:
    """Let the accelerator finish what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def race(rivals: Rivals, repeats: int, warm_up: int = 1) -> Seconds:
    """Seconds of each rival in each of `repeats` rounds, after `warm_up` rounds that are not kept."""
    names = list(rivals)
    times: Seconds = {name: [] for name in names}
    for i in range(warm_up + repeats):
        turn = i % len(names)
        for name in names[turn:] + names[:turn]:
            taken = seconds(rivals[name])
            if i >= warm_up:
                times[name].append(taken)
    return times


def spread(values: list[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    low, q1, median, q3, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return {"median": median, "q1": q1, "q3": q3, "min": low, "max": high}


def ratios(times: Seconds, slow: str, fast: str) -> dict[str, float]:
    """Spread of `slow` / `fast`, taken round by round."""
    return spread([a / b for a, b in zip(times[slow], times[fast], strict=True)])


def environment(device: torch.device) -> dict[str, Any]:
    """What the numbers depend on besides the code: machine, load, versions, commit and date."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": git("rev-parse", "--short", "HEAD"),
        "uncommitted_changes": bool(git("status", "--porcelain", "--", "faithlens", "benchmarks/*.py")),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def cpu() -> str:
    """The processor's own name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.processor())


def git(*words: str) -> str:
    """What git says about the checkout; empty outside of one."""
    done = subprocess.run(["git", *words], cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    return done.stdout.strip()


def keep(subject: str, result: Mapping[str, Any], table: str) -> None:
    """Write a subject's result to its file, and its table into the README, between the subject's two marks."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{subject}.json").write_text(json.dumps(result, indent=2) + "\n")
    mark = f"<!-- {subject} -->"
    before, _, after = README.read_text().split(mark)
    README.write_text(f"{before}{mark}\n{table}\n{mark}{after}")
