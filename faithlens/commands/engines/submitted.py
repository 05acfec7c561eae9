"""submitit: workers as the jobs of a Slurm array, or as processes of this machine.

Each job runs a worker until no unit is left. When all jobs have ended and units are missing, for example because jobs
were preempted or killed, the same number of jobs is submitted again, `MOST_TRIES` times in all. The logs of the jobs
lie in ``jobs/`` in the run folder, which must be on a disk that all nodes share; those of a run in an object store lie
in ``faithlens-jobs/`` where the driver was started.

If the driver dies, its jobs go on. When the audit is continued, the new jobs share the rest with them.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any, Literal

from faithlens.commands.engines.engine import MOST_TRIES, Crew, name_absolutely
from faithlens.commands.progress import show_progress
from faithlens.commands.work.ledger import Ledger
from faithlens.commands.work.run import work_on_run
from faithlens.commands.work.stop import check_stop
from faithlens.commands.work.worker import show_questions
from faithlens.errors import ConfigError, check_choice
from faithlens.store import Run
from faithlens.store.places import is_address

POLL_SECONDS = 0.5
JOBS_NAME = "jobs"


@dataclass(frozen=True)
class Job:
    """What one job does: the share `rank` of `of` of the units, then any others."""

    folder: str
    workplace: str
    rank: int
    of: int
    expiry: float

    def __call__(self) -> None:
        """Do units until all are finished."""
        os.chdir(self.workplace)  # models and tasks may be named by relative paths
        work_on_run(self.folder, self.rank, self.of, expiry=self.expiry)

    def checkpoint(self) -> Any:
        """What submitit submits again when the job is preempted: the same, since finished units are kept."""
        from submitit.helpers import DelayedSubmission  # pyright: ignore[reportMissingImports]

        return DelayedSubmission(self)


@dataclass(frozen=True)
class SubmititEngine:
    """Workers as jobs of submitit.

    Attributes:
        cluster: where they run: a Slurm cluster, or this machine.
    """

    cluster: Literal["slurm", "local"]

    def work(self, run: Run, crew: Crew) -> None:
        """Do the units of `run`.

        Raises:
            ConfigError: submitit or Slurm is not installed, or an option is unknown to submitit.
        """
        ledger = Ledger(run)
        with show_progress(ledger.count_questions()) as lines:
            for _ in range(MOST_TRIES):
                if not ledger.list_unfinished():
                    return
                jobs = self.submit(run, crew)
                try:
                    while not all(job.done() for job in jobs):
                        check_stop()
                        sleep(POLL_SECONDS)
                        ledger.refresh()
                        show_questions(ledger, lines)
                except BaseException:
                    for job in jobs:
                        job.cancel()
                    raise
                ledger.refresh()

    def submit(self, run: Run, crew: Crew) -> list[Any]:
        """Submit as many jobs as there are workers."""
        executor = self.make_executor(run, crew)
        folder, workplace = name_absolutely(run.path), str(Path.cwd())
        with executor.batch():
            return [
                executor.submit(Job(folder, workplace, rank, crew.workers, crew.expiry)) for rank in range(crew.workers)
            ]

    def make_executor(self, run: Run, crew: Crew) -> Any:
        """The executor of submitit, with the resources of one worker."""
        try:
            import submitit  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            fix = "Install it: pip install 'faithlens[slurm]'."
            raise ConfigError(f"--engine {self.cluster} needs submitit", fix) from error
        if crew.gpus % 1:
            problem = f"a job of --engine {self.cluster} takes whole GPUs, got {crew.gpus:g}"
            raise ConfigError(problem, "Give --gpus-per-worker a whole number, or use --engine ray.")
        logs = Path("faithlens-jobs") if is_address(run.path) else run.path / JOBS_NAME
        try:
            executor = submitit.AutoExecutor(logs, cluster=self.cluster)
        except RuntimeError as error:
            raise ConfigError(f"jobs cannot be submitted: {error}", "Run this on a machine with Slurm.") from error
        slurm = submitit.SlurmExecutor._valid_parameters()
        known = {*submitit.AutoExecutor._typed_parameters(), *(f"slurm_{name}" for name in slurm)}
        for name in crew.options:
            check_choice(name, known, "option of submitit")
        executor.update_parameters(
            name="faithlens", cpus_per_task=run.manifest["threads"], gpus_per_node=int(crew.gpus),
            timeout_min=60 * 24, **crew.options,
        )  # fmt: skip
        return executor
