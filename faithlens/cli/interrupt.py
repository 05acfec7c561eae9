"""What a command does when Ctrl-C or another signal stops it.

It prints what is kept and how to go on, and ends with the exit code that shells give to a program that a signal ended:
128 plus the number of the signal, so 130 for Ctrl-C and 143 for TERM.
"""

import shlex
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from faithlens.cli.places import Place
from faithlens.progress import open_display

SIGNALLED = 128
INTERRUPTED = SIGNALLED + signal.SIGINT


class Interrupted(SystemExit):
    """The end of a command that a signal stopped, after it said what is kept."""


@contextmanager
def keeping(describe: Callable[[], str]) -> Iterator[None]:
    """Answer Ctrl-C and other signals with `describe()`: what is kept, and how to go on."""
    from faithlens.commands.work.stop import Stopped, listen_to_signals

    try:
        with listen_to_signals():
            yield
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, Stopped) else signal.SIGINT
        start = "Interrupted." if number == signal.SIGINT else f"Stopped by {signal.Signals(number).name}."
        with open_display() as display:  # what is printed beside a display would be drawn over
            display.note(f"{start} {describe()}", breaks_lines=False)
        raise Interrupted(SIGNALLED + number) from None


def resumable(folder: Place) -> AbstractContextManager[None]:
    """For a command that writes the run folder `folder` and takes --resume."""
    return keeping(lambda: _describe_run(folder))


def workable(folder: Place) -> AbstractContextManager[None]:
    """For a worker of the run folder `folder`, which goes on when its command is repeated."""

    def describe() -> str:
        again = shlex.join(["faithlens", *sys.argv[1:]])
        return f"Kept in {folder}: {_list_finished(folder)}\nTo go on, run: {again}"

    return keeping(describe)


def repeatable(progress: str) -> AbstractContextManager[None]:
    """For a command that goes on where it stopped when it is run again; `progress` says what is finished by then."""
    return keeping(lambda: f"{progress}\nTo go on, run the same command again.")


def make_resuming_command(command: str, folder: Place) -> str:
    """The command line that continues the run in `folder`, quoted for a shell, so that it can be copied."""
    return shlex.join(["faithlens", command, "--resume", str(folder)])


def _describe_run(folder: Place) -> str:
    if not (folder / "manifest.json").is_file():
        return "Nothing was written yet. To start again, run the same command."
    return f"Kept in {folder}: {_list_finished(folder)}\nTo go on, run: {make_resuming_command(sys.argv[1], folder)}"


def _list_finished(folder: Place) -> str:
    """The questions of each model and task that are done, or the audits of a sweep."""
    from faithlens.store import Run

    if (folder / "runs").is_dir():
        finished = sum((run / "report.html").is_file() for run in (folder / "runs").iterdir())
        return f"{finished} finished audits, and the finished batches of the one that was interrupted."
    run = Run(folder)  # the file that was being written when Ctrl-C came may be unlisted: it is done again
    if not run.has_table("traces"):
        return "the options; no batch of questions was finished."
    questions = run.read("traces")[["model", "task", "question"]].drop_duplicates()
    counts = Counter(zip(questions["model"], questions["task"], strict=True))
    finished = ", ".join(f"{n} questions of {model} on {task}" for (model, task), n in counts.items())
    return f"{finished}. The batch that was interrupted is done again."
