"""Ray: actors that hold a model, each of which does one unit after the other.

1. The driver keeps every actor busy with one unit and one in its queue, and hands out more only as units come back.
2. An actor gets units next to each other, so that it keeps its model.
3. If an actor dies, its units are handed out again, and a new actor takes its place. A unit whose actors died
   `MOST_TRIES` times is left out, with the reason.

The run folder must be on a disk that all nodes share. Actors of a driver that died end with it; when the audit is
continued, their leases are found dead.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faithlens.commands.engines.engine import MOST_TRIES, Crew, copy_environment, name_absolutely
from faithlens.commands.progress import show_progress
from faithlens.commands.work.ledger import Ledger
from faithlens.commands.work.run import open_worker
from faithlens.commands.work.stop import check_stop
from faithlens.commands.work.units import order_units
from faithlens.commands.work.worker import show_questions
from faithlens.errors import ConfigError
from faithlens.store import Leases, Run

QUEUED = 2  # units of an actor: one that it does, and one so that it need not wait
POLL_SECONDS = 0.5


class UnitActor:
    """Does units in a process of Ray's."""

    def __init__(self, folder: str, workplace: str, expiry: float) -> None:
        os.chdir(workplace)  # models and tasks may be named by relative paths
        self._context = open_worker(folder, expiry=expiry)
        self._worker = self._context.__enter__()
        self._leases = Leases(self._worker.run.path, expiry).__enter__()
        self._questions = self._worker.ledger.count_questions()

    def work(self, key: str) -> str:
        """Do one unit: "done", "failed", or "held" by a worker of another engine."""
        worker = self._worker
        with show_progress(self._questions) as lines:
            worker.do_some([key], self._leases, lines)
        if key in worker.failed:
            return "failed"
        return "done" if worker.ledger.is_finished(key) else "held"


@dataclass
class Shift:
    """The actors of one run, and what they are doing."""

    ray: Any
    make_actor: Any
    ledger: Ledger
    actors: list[Any]
    running: dict[Any, tuple[int, str]] = field(default_factory=dict)  # the actor and the unit by Ray's reference
    deaths: Counter[str] = field(default_factory=Counter[str])
    failed: set[str] = field(default_factory=set[str])

    def hand_out(self) -> None:
        """Give units to actors that have room for one."""
        busy = Counter(actor for actor, _ in self.running.values())
        keys = {key for _, key in self.running.values()}
        for actor in [*range(len(self.actors))] * QUEUED:
            if busy[actor] >= QUEUED:
                continue
            left = [key for key in self.ledger.list_unfinished() if key not in keys and key not in self.failed]
            if not left:
                return
            key = order_units(left, actor, len(self.actors))[0]
            self.running[self.actors[actor].work.remote(key)] = (actor, key)
            busy[actor] += 1
            keys.add(key)

    def collect(self, run: Run) -> None:
        """Wait for units that come back, or for a moment."""
        ended, _ = self.ray.wait([*self.running], num_returns=1, timeout=POLL_SECONDS)
        for reference in ended:
            actor, key = self.running.pop(reference, (None, ""))
            if actor is None:  # its actor died, and was replaced a moment ago
                continue
            try:
                if self.ray.get(reference) == "failed":
                    self.failed.add(key)
            except self.ray.exceptions.RayActorError:
                self.replace(actor, key, run)
        self.ledger.refresh()

    def replace(self, actor: int, key: str, run: Run) -> None:
        """Put a new actor in the place of one that died while it was doing the unit `key`, or had it in its queue."""
        lost = [key, *(other for number, other in self.running.values() if number == actor)]
        self.running = {reference: each for reference, each in self.running.items() if each[0] != actor}
        self.deaths[lost[0]] += 1
        if self.deaths[lost[0]] >= MOST_TRIES:
            self.failed.add(lost[0])
            run.write_failure(lost[0], f"the process of its worker died {MOST_TRIES} times")
        self.actors[actor] = self.make_actor()


class RayEngine:
    """Workers as actors of Ray."""

    def work(self, run: Run, crew: Crew) -> None:
        """Do the units of `run`.

        Raises:
            ConfigError: Ray is not installed, or has no room for a worker.
        """
        ray = _import_ray()
        environment = {"env_vars": copy_environment()}
        threads = run.manifest["threads"]
        own = {} if crew.address else {"num_cpus": max(crew.workers * threads, os.cpu_count() or 1)}
        ray.init(
            crew.address or "local", runtime_env=environment, log_to_driver=False, include_dashboard=False, **own
        )  # fmt: skip
        try:
            kind = ray.remote(num_cpus=threads, num_gpus=crew.gpus, max_restarts=0)(UnitActor)
            _check_room(ray.cluster_resources(), threads, crew)

            def make_actor() -> Any:
                return kind.remote(name_absolutely(run.path), str(Path.cwd()), crew.expiry)

            ledger = Ledger(run)
            actors = [make_actor() for _ in range(min(crew.workers, len(ledger.list_unfinished())))]
            shift = Shift(ray, make_actor, ledger, actors)
            with show_progress(ledger.count_questions()) as lines:
                shift.hand_out()
                while shift.running:
                    check_stop()
                    shift.collect(run)
                    shift.hand_out()
                    show_questions(ledger, lines)
        finally:
            ray.shutdown()


def _check_room(resources: dict[str, float], threads: int, crew: Crew) -> None:
    needed = {"CPU": threads * crew.workers, "GPU": crew.gpus * crew.workers}
    short = {name: n for name, n in needed.items() if n > resources.get(name, 0.0)}
    if short:
        words = ", ".join(f"{n:g} {name}s of {resources.get(name, 0.0):g}" for name, n in short.items())
        raise ConfigError(
            f"the Ray cluster has no room for {crew.workers} workers: they need {words}",
            "Ask for fewer workers (--workers), threads (--threads) or GPUs (--gpus-per-worker).",
        )


def _import_ray() -> Any:
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ConfigError("--engine ray needs Ray", "Install it: pip install 'faithlens[ray]'.") from error
    return ray
