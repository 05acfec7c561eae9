"""The three steps of a run with many workers: prepare it, work on it, conclude it.

`audit` does the same three with one worker, in one process that loads each model once.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from faithlens.commands.identity import describe_place, make_audit_manifest
from faithlens.commands.prepare import NO_OBJECTS, GivenObjects
from faithlens.commands.work.conclude import conclude
from faithlens.commands.work.folder import hold_run, use_threads
from faithlens.commands.work.reuse import find_reusable, take_over
from faithlens.commands.work.units import list_audit_units
from faithlens.commands.work.worker import Worker
from faithlens.config import AuditConfig
from faithlens.errors import ConfigError
from faithlens.store import EXPIRY_SECONDS, Run, describe_code, find_place, hold_folder
from faithlens.store.places import Place


@contextmanager
def prepare_run(
    config: AuditConfig,
    out: Place,
    objects: GivenObjects = NO_OBJECTS,
    *,
    resume: bool = False,
    notify: Callable[[str], None] = lambda words: None,
    reuse: Sequence[Place] = (),
) -> Iterator[Run]:
    """A new run with its manifest and its list of units, or a run that is continued. No model is loaded.

    What can be taken over from the runs in `reuse` is there; `notify` is called with what that is.

    Raises:
        ConfigError: a model, task or assay is an object in memory, which other processes do not have.
        FaithlensError: a model, task or folder cannot be used; then nothing was written.
    """
    if in_memory := [*objects.models, *objects.tasks, *objects.assays]:
        problem = f"{', '.join(in_memory)} is in the memory of this process, and workers are other processes"
        raise ConfigError(problem, "Name models by folders and hub ids, tasks and assays as package.module:Class.")
    Run.refuse_used(out, resume)
    manifest = make_audit_manifest(config)
    units = list_audit_units(config, manifest)
    with use_threads(config.threads):
        sources = find_reusable(reuse, manifest, units)
        with hold_run(out, manifest, units) as run:
            take_over(run, sources, notify)
            yield run


@contextmanager
def open_worker(path: str | Place, *, expiry: float = EXPIRY_SECONDS) -> Iterator[Worker]:
    """A worker for the run in the folder `path`, with as many threads as all of them have.

    Raises:
        RunError: there is no prepared run, or this process has other code, versions or devices than the one that
            prepared it.
    """
    run = Run(find_place(path))
    config = AuditConfig.from_dict(run.manifest["config"])
    run.check_identity(describe_place(config))
    with use_threads(run.manifest["threads"]):
        yield Worker(config, run, expiry=expiry)


def work_on_run(path: str | Place, rank: int = 0, of: int = 1, *, expiry: float = EXPIRY_SECONDS) -> Worker:
    """Do units of the run in the folder `path` until all are finished; the worker says which, and which failed.

    Args:
        path: the run folder.
        rank: the number of this worker, from 0. It only decides where in the list of units the worker begins.
        of: the number of workers.
        expiry: the seconds without a heartbeat after which another worker counts as dead.

    Raises:
        ConfigError: `rank` is not below `of`.
        RunError: as `open_worker`.
    """
    if not 0 <= rank < of:
        raise ConfigError(f"rank must be from 0 to {of - 1} for {of} workers, got {rank}", "Count ranks from 0.")
    with open_worker(path, expiry=expiry) as worker:
        worker.work(rank, of)
    return worker


def conclude_run(path: str | Place) -> Run:
    """Merge, estimate, decide and report the run in the folder `path`, whose units are all finished.

    Raises:
        RunError: units are missing, another process prepares or concludes the run, files are damaged, or this process
            has other code or versions than the one that prepared the run.
    """
    run = Run(find_place(path))
    run.check_identity(describe_code())  # and no folder is made where there is none
    with hold_folder(run.path):
        run.set_aside_derived()  # of a process that was killed while it concluded
        return conclude(Run.open(run.path))
