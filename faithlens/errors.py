"""The errors of faithlens, in one tree.

Every error says in one sentence what was wrong and what was expected, and in a second one what to do::

    FaithlensError             any error that the user can correct: shown without a traceback, exit code 2 (`decide`: 3)
    ├── ModelError             a model cannot be found, loaded, or run exactly
    ├── TaskError              a task, question file or answer form cannot be used
    ├── TraceError             a sampled chain of thought cannot be split, edited or scored
    ├── PlanError              conditions cannot be run (too long, unknown span, another trace)
    ├── KernelError            the implementation that was named cannot run here
    ├── MeasureError           a number is unreliable, or the data do not determine it
    ├── BenchmarkError         rivals give different numbers, so timing them means nothing
    ├── ConfigError            an option or a configuration file is wrong
    └── RunError               a run folder is missing, in use, incomplete or of another program
"""

from collections.abc import Iterable
from difflib import get_close_matches


class FaithlensError(Exception):
    """An error that the user can correct.

    Attributes:
        problem: a sentence that says what was wrong and what was expected, with the value that was given.
        fix: a sentence that says what to do next; it holds the nearest known name where a name was unknown.
    """

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem, fix)
        self.problem, self.fix = problem, fix

    def __str__(self) -> str:
        return f"{self.problem}\n{self.fix}"


class ModelError(FaithlensError):
    """A model cannot be found, loaded, or run exactly."""


class TaskError(FaithlensError):
    """A task, question file or answer form cannot be used."""


class TraceError(FaithlensError):
    """A sampled chain of thought cannot be segmented, edited or scored."""


class PlanError(FaithlensError):
    """Conditions that cannot be run as asked."""


class KernelError(FaithlensError):
    """An implementation asked for by name cannot run here."""


class MeasureError(FaithlensError):
    """A number that may not be relied on, or that the data cannot give."""


class BenchmarkError(FaithlensError):
    """Rivals that do not give the same numbers, so that timing them means nothing."""


class ConfigError(FaithlensError):
    """An option or configuration file is wrong."""


class RunError(FaithlensError):
    """A run folder is missing, in use, incomplete or not ours."""


def suggest_names(name: str, known: Iterable[str]) -> str:
    """A hint naming the known names, the nearest first: ``did you mean 'x'? known: x, y, z``."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return (f"did you mean {close[0]!r}? " if close else "") + "known: " + ", ".join(names)


def check_choice(name: object, known: Iterable[str], what: str, error: type[FaithlensError] = ConfigError) -> None:
    """Check that `name` is one of the names in `known`; `what` says what it names, such as "backend".

    Raises:
        FaithlensError: the name is unknown; of class `error`, with the nearest known name.
    """
    names = list(known)
    if not isinstance(name, str) or name not in names:
        raise error(f"unknown {what} {name!r}", suggest_names(str(name), names))
