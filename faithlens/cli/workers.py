"""The commands for many workers on one run: `work` and `conclude`. `audit --prepare-only` makes the run."""

from typing import TYPE_CHECKING, Annotated

import typer

from faithlens.cli.interrupt import repeatable, workable
from faithlens.cli.places import Place, check_run, parse_place
from faithlens.console import SafeConsole
from faithlens.errors import ConfigError
from faithlens.progress import LOADING, show_work

if TYPE_CHECKING:
    from faithlens.store import Run

FAILED = 2  # the exit code of errors


def work(
    run: Annotated[
        Place, typer.Argument(parser=parse_place, metavar="RUN", help="a run folder that audit --prepare-only made")
    ],
    rank: Annotated[int, typer.Option(min=0, help="number of this worker, from 0; it decides where it begins")] = 0,
    of: Annotated[int, typer.Option("--of", min=1, help="number of workers")] = 1,
    expiry: Annotated[float, typer.Option(min=1, help="seconds after which a silent worker counts as dead")] = 60,
) -> None:
    """Do units of a run until all are finished. Start as many workers as you like, on all machines with the folder.

    A unit is a batch of questions. Its rows do not depend on who does it, so workers may come, go and be killed.
    """
    check_run(run)
    with show_work(LOADING, talks=False):
        from faithlens.commands.work.run import work_on_run

    with workable(run):
        worker = work_on_run(run, rank, of, expiry=expiry)
    console = SafeConsole()
    console.print_line(f"Units done here: {len(worker.done)}. All units: {len(worker.ledger.listed.units)}.")
    for key, problem in worker.failed.items():
        SafeConsole(stderr=True).print_line(f"Failed: {key}: {problem}", "red")
    if worker.failed:
        raise typer.Exit(FAILED)


def describe_prepared(run: "Run") -> str:
    """What was prepared, and how to go on."""
    return (
        f"Units of work: {len(run.read_unit_list().units)}, in {run.path}.\n"
        f"Do them, here or on all machines that share the folder: faithlens work {run.path} --rank I --of N\n"
        f"Then: faithlens conclude {run.path}"
    )


def parse_submit_options(words: list[str] | None) -> dict[str, str | int]:
    """``NAME=VALUE`` as options of submitit; whole numbers are numbers. Raises ConfigError for anything else."""
    options: dict[str, str | int] = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ConfigError(
                f"an option of submitit is NAME=VALUE, got {word!r}", "Write for example --submit slurm_partition=gpu."
            )
        options[name] = int(value) if value.isdigit() else value
    return options


def conclude(
    run: Annotated[
        Place, typer.Argument(parser=parse_place, metavar="RUN", help="a run folder whose units are all done")
    ],
) -> None:
    """Merge the units of a run, and write estimates, verdicts and the report. Missing units are named."""
    check_run(run)
    with show_work(LOADING, talks=False):
        from faithlens.commands.work.run import conclude_run
        from faithlens.report.terminal import format_summary

        with repeatable(f"All finished units of {run} are kept."):
            finished = conclude_run(run)
    console = SafeConsole()
    console.print(format_summary(finished))
    console.print_line(f"Report: {finished.report()}")
