"""What does a worker add to a unit? The lease, the ledger, the checks of the rows, the parts, the record.

``python -m benchmarks.unit_overhead --model O5 --task running-sum`` does each unit three times, in turns: without a run
folder, by a worker in a folder, and by a worker in another folder that only keeps the rows of the first time. The last
is what a worker adds. The disk is that of ``--folder``. With ``--finished 1000`` as many units are finished before, and
each has the rows of the first one, so that what grows with the length of a run is seen.

Seconds are medians of units, in processor time and on the clock; the ratio is taken unit by unit.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any
from unittest.mock import patch

from faithlens.commands.audit import make_audit_config
from faithlens.commands.progress import show_progress
from faithlens.commands.score import score_unit
from faithlens.commands.work.run import open_worker, prepare_run
from faithlens.commands.work.worker import Worker, choose_proved
from faithlens.config import AuditConfig
from faithlens.store import Leases, Run
from faithlens.store.tables import Rows

MOST = 0.05
"""What a worker may add to a unit, as a share of it."""


@dataclass(frozen=True, repr=False)
class Nowhere(Run):
    """A run that keeps nothing on the disk.

    Attributes:
        units: the rows and facts of each unit, by key.
    """

    units: dict[str, tuple[Mapping[str, Rows], Mapping[str, Any] | None]] = field(default_factory=dict)

    def write_unit(
        self, key: str, tables: Mapping[str, Rows], facts: Mapping[str, Any] | None = None, *, digest: str = ""
    ) -> bool:
        self.units[key] = tables, facts
        return True


@dataclass(frozen=True)
class Seconds:
    """What something took, in processor time and on the clock."""

    processor: float
    clock: float


def measure(act: Callable[[], object]) -> Seconds:
    processor, clock = process_time(), perf_counter()
    act()
    return Seconds(process_time() - processor, perf_counter() - clock)


@contextmanager
def open_new_worker(folder: Path, config: AuditConfig) -> Iterator[tuple[Worker, Callable[[str], object]]]:
    """A worker in a new run folder, and how it does a unit."""
    with prepare_run(config, folder):
        pass
    with ExitStack() as opened:
        worker = opened.enter_context(open_worker(folder))
        worker.keeps_going = False
        leases = opened.enter_context(Leases(folder))
        lines = opened.enter_context(show_progress(worker.ledger.count_questions()))
        yield worker, lambda key: worker.do_some([key], leases, lines)


def measure_units(config: AuditConfig, finished: int, folder: Path) -> Iterator[tuple[Seconds, Seconds, Seconds]]:
    """For each unit after the first `finished` ones: alone, by a worker, and what the worker adds."""
    nowhere = Nowhere(folder / "nowhere")
    subject = config.subjects[0]
    with ExitStack() as opened:
        whole, do_whole = opened.enter_context(open_new_worker(folder / "whole", config))
        keeper, do_rest = opened.enter_context(open_new_worker(folder / "rest", config))
        units = whole.ledger.listed.units
        lines = opened.enter_context(show_progress(whole.ledger.count_questions()))

        def compute(key: str) -> None:
            unit, ready = units[key], whole.prepared[subject.key]
            score_unit(
                config, ready, nowhere, key, unit["batch"], lines[subject.key], is_proved=False, digest=unit["digest"]
            )

        def keep(key: str) -> None:
            with patch("faithlens.commands.work.worker.score_unit", write):
                do_rest(key)

        def write(_: object, ready: object, run: Run, key: str, *rest: object, digest: str, **others: object) -> None:
            run.write_unit(key, *nowhere.units[key], digest=digest)

        first, *others = units
        do_whole(first)
        compute(first)
        keep(first)
        for key in others[:finished]:
            for worker in (whole, keeper):
                worker.run.write_unit(key, *nowhere.units[first], digest=units[key]["digest"])
        proved = choose_proved(config, subject, len(units))
        for key in others[finished:]:
            if key != proved:
                alone = measure(lambda: compute(key))  # noqa: B023
                yield alone, measure(lambda: do_whole(key)), measure(lambda: keep(key))  # noqa: B023


def describe_share(shares: list[float]) -> str:
    """The median and the quartiles of some shares, in percent."""
    low, middle, high = quantiles(shares, n=4) if len(shares) > 1 else [*shares] * 3
    return f"{100 * middle:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def main(model: str, task: str, batch: int, units: int, finished: int, folder: str | None, options: dict) -> None:
    config, _ = make_audit_config(model, task, (1 + finished + units) * batch, batch=batch, device="cpu", **options)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        rows = [*measure_units(config, finished, Path(made))]
    print(f"{model}, {task}: {len(rows)} units of {batch} questions, after {finished} finished ones")
    for what in ("processor", "clock"):
        alone, worker, added = ([getattr(row[i], what) for row in rows] for i in range(3))
        shares = [more / less for more, less in zip(added, alone, strict=True)]
        differences = [more / less - 1 for more, less in zip(worker, alone, strict=True)]
        print(
            f"{what}: {median(alone):.3f} s alone, {median(added):.3f} s added, {describe_share(shares)};"
            f" a worker takes {describe_share(differences)} longer"
            f" (at most {100 * MOST:.0f} %: {'met' if median(shares) <= MOST else 'missed'})"
        )


if __name__ == "__main__":
    requested = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    requested.add_argument("--model", default="O5")
    requested.add_argument("--task", default="running-sum")
    requested.add_argument("--batch", type=int, default=20)
    requested.add_argument("--units", type=int, default=10)
    requested.add_argument("--finished", type=int, default=0, help="units that are finished before")
    requested.add_argument("--folder", help="where run folders are made")
    requested.add_argument("--max-new-tokens", type=int)
    choices = vars(requested.parse_args())
    tokens = choices.pop("max_new_tokens")
    main(**choices, options={"threads": 1} | ({"max_new_tokens": tokens} if tokens else {}))
