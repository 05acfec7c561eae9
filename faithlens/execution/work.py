"""What a plan took: its passes, the time, and the most memory that the process had at once.

On a CPU the memory is that of the whole process, with the weights (the kernel's high-water mark of resident memory,
which `PeakMemory` sets back before it starts); on a GPU it is what torch has allocated there.
"""

import resource
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import TracebackType

import torch

from faithlens.execution.cost import count_forwards
from faithlens.execution.execute import execute_parts
from faithlens.execution.memory import trim_heap
from faithlens.execution.options import Backend
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record
from faithlens.plan.memory import estimate_peak_bytes
from faithlens.plan.plan import Plan

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # what sets the high-water mark back to what is resident now (proc(5), clear_refs)


@dataclass(frozen=True)
class Work:
    """What one plan took.

    Attributes:
        passes: packed rows that were run, trees of forked states, and sequences that were run by themselves.
        rows: tokens in them, without those of the donors of edits where conditions run by themselves.
        forwards: the work, in plain forwards of the longest condition.
        plan_seconds: what it took to make the plan.
        run_seconds: what it took to run it.
        peak_bytes: the most memory, predicted before the run: what was in use, and what the largest pass holds.
        measured_bytes: the most memory that was in use during the run.
    """

    passes: int
    rows: int
    forwards: float
    plan_seconds: float
    run_seconds: float
    peak_bytes: int
    measured_bytes: int


def add_works(works: Sequence[Work]) -> Work:
    """What several plans took one after the other: sums, and the most memory of any."""
    sums = {name: sum(getattr(work, name) for work in works) for name in ("passes", "rows", "forwards")}
    seconds = {name: sum(getattr(work, name) for work in works) for name in ("plan_seconds", "run_seconds")}
    most = {name: max((getattr(w, name) for w in works), default=0) for name in ("peak_bytes", "measured_bytes")}
    return Work(**sums, **seconds, **most)


class PeakMemory:
    """The most memory in use within a `with` block, in bytes."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.before_bytes = self.peak_bytes = 0

    def __enter__(self) -> "PeakMemory":
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before_bytes = torch.cuda.memory_allocated(self.device)
        else:
            trim_heap()  # what was freed before is not in use, and the pass would take it again unseen
            with suppress(OSError):  # where that is not allowed, the mark is that of the process's whole life
                RESET.write_text(RESET_PEAK)
            self.before_bytes = read_status("VmRSS")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        is_cuda = self.device.type == "cuda"
        self.peak_bytes = torch.cuda.max_memory_allocated(self.device) if is_cuda else read_status("VmHWM")


def read_status(name: str) -> int:
    """A size of this process in bytes, as the kernel counts it: "VmRSS" now, or "VmHWM" at most."""
    if STATUS.exists():
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(fields[name].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS


def execute_with_work(
    model: Model, plan: Plan, capture: Capture = Capture(), *, backend: Backend = "packed"
) -> tuple[list[Record], Work]:
    """The records of `execute`, and what they took."""
    start = perf_counter()
    with PeakMemory(model.device) as memory:
        records, parts = execute_parts(model, plan, capture, backend)
    seconds = perf_counter() - start
    needed = max((estimate_peak_bytes(model, plan, packed, capture) for packed in plan.passes), default=0)
    rows, longest = sum(part.rows for part in parts), max((each.n_tokens for each in plan.conditions), default=1)
    return records, Work(
        passes=sum(part.passes for part in parts),
        rows=rows,
        forwards=count_forwards(model, plan) if backend == "packed" and plan.conditions else rows / longest,
        plan_seconds=plan.seconds,
        run_seconds=seconds,
        peak_bytes=memory.before_bytes + needed,
        measured_bytes=memory.peak_bytes,
    )
