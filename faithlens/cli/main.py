"""The command line: one command for each task, each a thin layer over the library."""

import errno
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from faithlens.cli.audit import audit, sweep
from faithlens.cli.finished_runs import DecisionExit, compare, decide, estimate_power, export, send
from faithlens.cli.help import ExplainedCommand, ExplainedGroup
from faithlens.cli.interrupt import INTERRUPTED, Interrupted
from faithlens.cli.judge import judge, monitor
from faithlens.cli.lists import list_assays, list_measures, list_tasks, show_schema
from faithlens.cli.organisms import organisms_app, validate
from faithlens.cli.own_model import run_bench, run_doctor
from faithlens.cli.query import query
from faithlens.cli.replicate import replicate_paper
from faithlens.cli.view import view
from faithlens.cli.workers import conclude, work
from faithlens.console import SafeConsole
from faithlens.errors import FaithlensError

app = typer.Typer(
    name="faithlens",
    cls=ExplainedGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(is_asked: bool) -> bool:
    if is_asked:
        typer.echo(f"faithlens {version('faithlens')}")
        raise typer.Exit
    return is_asked


@app.callback()
def describe_commands(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Does a model's chain of thought drive its answer, and may we rely on reading it?"""


COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Run models": {
        "audit": audit,
        "work": work,
        "conclude": conclude,
        "judge": judge,
        "monitor": monitor,
        "sweep": sweep,
    },
    "Read runs": {
        "view": view,
        "decide": decide,
        "compare": compare,
        "power": estimate_power,
        "export": export,
        "query": query,
        "send": send,
    },
    "Check faithlens": {
        "doctor": run_doctor,
        "bench": run_bench,
        "validate": validate,
        "replicate": replicate_paper,
    },
    "Look up": {"measures": list_measures, "tasks": list_tasks, "assays": list_assays, "schema": show_schema},
}
"""The commands under their headings."""

for heading, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, cls=ExplainedCommand, rich_help_panel=heading)(command)
app.add_typer(organisms_app, name="organisms", cls=ExplainedGroup, rich_help_panel="Check faithlens")


NO_VERDICT = 3
"""The exit code of `decide` if there is an error: 0, 1 and 2 are verdicts."""


DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""What the system says of a disk that takes no more, be it below standard output or below the cache of a model."""


def main() -> None:
    """Run the command line; an error that the user can correct is printed with its fix, exit code 2.

    Every error in `decide`, bugs included, ends with NO_VERDICT, so that no script takes it for a verdict.
    """
    is_decide = sys.argv[1:2] == ["decide"]
    try:
        app(prog_name="faithlens")
    except DecisionExit:
        raise
    except FaithlensError as error:
        SafeConsole(stderr=True).print_line(f"Error: {error}", "red")
        raise SystemExit(NO_VERDICT if is_decide else 2) from None
    except Interrupted as ended:
        raise SystemExit(NO_VERDICT if is_decide else ended.code) from None
    except KeyboardInterrupt:  # before typer listens, or after
        SafeConsole(stderr=True).print("Interrupted.")
        raise SystemExit(NO_VERDICT if is_decide else INTERRUPTED) from None
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer's response to Ctrl-C, in a command that keeps nothing
            SafeConsole(stderr=True).print("Interrupted. Nothing was written.")
        raise SystemExit(NO_VERDICT if is_decide and ended.code else ended.code) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            problem = f"Error: the system refused to write: {error}"
            SafeConsole(stderr=True).print_line(f"{problem}\nMake room on the disk, then repeat the command.", "red")
            raise SystemExit(NO_VERDICT if is_decide else 2) from None
        if not is_decide:
            raise
        traceback.print_exception(error)
        raise SystemExit(NO_VERDICT) from error
