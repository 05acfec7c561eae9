"""Time rivals fairly: warmed up, taking turns in one process, compared round by round, with what matters noted.

Rivals take turns because a machine's speed drifts: the ratio of two neighbours in time says more than that of two
averages. Each round starts with the next rival, so that no rival always runs after the same one.
"""

import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from faithlens.errors import BenchmarkError
from faithlens.model.model import Model

LIBRARIES = ("torch", "transformers", "transformer-lens")
Rivals = Mapping[str, Callable[[], object]]
Seconds = dict[str, list[float]]


def time_run(run: Callable[[], object]) -> float:
    """Wall time of one run, the accelerator's queue included."""
    wait_for_device()
    start = perf_counter()
    run()
    wait_for_device()
    return perf_counter() - start


def wait_for_device() -> None:
    """Let the accelerator finish what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def race_rivals(rivals: Rivals, repeats: int, warm_up: int = 1) -> Seconds:
    """Seconds of each rival in each of `repeats` rounds, after `warm_up` rounds that are not kept."""
    names = list(rivals)
    times: Seconds = {name: [] for name in names}
    for i in range(warm_up + repeats):
        turn = i % len(names)
        for name in names[turn:] + names[:turn]:
            seconds = time_run(rivals[name])
            if i >= warm_up:
                times[name].append(seconds)
    return times


def divide_rounds(slow: list[float], fast: list[float]) -> list[float]:
    """`slow` / `fast`, round by round."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


def summarise_spread(values: list[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    low, q1, median, q3, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return {"median": median, "q1": q1, "q3": q3, "min": low, "max": high}


@dataclass(frozen=True)
class Agreement:
    """How far a rival's numbers are from the yardstick's, and how far they may be.

    Attributes:
        what: which numbers of which rival.
        gap: root mean square distance.
        allowed: `SLACK` times how far plain transformers is from itself with another attention implementation.
    """

    what: str
    gap: float
    allowed: float


def check_agreements(agreements: list[Agreement]) -> list[Agreement]:
    """Refuse to time rivals whose numbers differ.

    Raises:
        BenchmarkError: with the numbers.
    """
    for agreement in agreements:
        if not agreement.gap <= agreement.allowed:
            raise BenchmarkError(
                f"{agreement.what} differs by {agreement.gap:.1e} from the plain implementation; "
                f"{agreement.allowed:.1e} is allowed",
                "Run `faithlens doctor` on this model.",
            )
    return agreements


@dataclass(frozen=True)
class TimeRatio:
    """A ratio of interest, in every round.

    Attributes:
        what: of what to what.
        values: one for each round.
    """

    what: str
    values: list[float]


@dataclass(frozen=True)
class BenchResult:
    """The result of one benchmark.

    Attributes:
        subject: its name.
        work: what was done, in a sentence.
        model: what the user called the model.
        dtype: its precision.
        environment: machine, load, versions, commit and date.
        agreements: what was checked before anything was timed.
        seconds: the seconds of each rival, one number for each round.
        comparisons: ratios of interest.
        peak_mib: memory beyond the loaded model, in MiB, where it was read.
    """

    subject: str
    work: str
    model: str
    dtype: str
    environment: dict[str, Any]
    agreements: list[Agreement]
    seconds: Seconds
    comparisons: list[TimeRatio]
    peak_mib: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with medians and quartiles beside what they are taken of."""
        own = vars(self)
        return own | {
            "agreements": [vars(each) for each in self.agreements],
            "seconds": {name: summarise_spread(values) | {"all": values} for name, values in self.seconds.items()},
            "comparisons": {
                each.what: summarise_spread(each.values) | {"all": each.values} for each in self.comparisons
            },
        }


def describe_setting(model: Model) -> dict[str, Any]:
    """The model, its precision and what is around it: the first fields of a `BenchResult`."""
    dtype = str(model.hf_model.dtype).removeprefix("torch.")
    return {"model": model.name, "dtype": dtype, "environment": describe_environment(model.device)}


def describe_environment(device: torch.device) -> dict[str, Any]:
    """What the numbers depend on besides the code: machine, load, versions, commit and date."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": run_git("rev-parse", "--short", "HEAD"),
        "uncommitted_changes": bool(run_git("status", "--porcelain", "--", "faithlens", "benchmarks/*.py")),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cpu": read_cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def read_cpu_name() -> str:
    """The processor's own name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.processor())


def run_git(*words: str) -> str:
    """What git says about the checkout that faithlens runs from; empty where there is none."""
    try:
        process = subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return process.stdout.strip()
