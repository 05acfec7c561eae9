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
    │   └── MisuseError        a function, method or class was called with arguments that do not fit
    └── RunError               a run folder is missing, in use, incomplete or of another program
"""

import sysconfig
import traceback
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
_PACKAGE = Path(__file__).parent
# Python raises these for what lies outside of a program: files, memory, recursion in a parser, and torch's C++ code.
_FROM_OUTSIDE = (OSError, MemoryError, RuntimeError, UnicodeError)
_LIBRARIES = [Path(path) for name, path in sysconfig.get_paths().items() if name in ("stdlib", "purelib", "platlib")]


class Kind(NamedTuple):
    """What a field may hold: the type, and its name in a message."""

    type: type
    name: str


_KINDS = {
    int: Kind(Integral, "a whole number"),
    float: Kind(Real, "a number"),
    str: Kind(str, "a text"),
    bool: Kind(bool, "True or False"),
    tuple: Kind(tuple, "a tuple"),
    NoneType: Kind(NoneType, "None"),
}
_LONGEST_REASON = 300  # characters of a foreign message that are shown


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
    """Conditions cannot be run (too long, unknown span, another trace)."""


class KernelError(FaithlensError):
    """The implementation that was named cannot run here."""


class MeasureError(FaithlensError):
    """A number is unreliable, or the data do not determine it."""


class BenchmarkError(FaithlensError):
    """Rivals give different numbers, so timing them means nothing."""


class ConfigError(FaithlensError):
    """An option or configuration file is wrong."""


class MisuseError(ConfigError):
    """A function, method or class was called with arguments that do not fit."""


class RunError(FaithlensError):
    """A run folder is missing, in use, incomplete or of another program."""


@contextmanager
def translate_errors(
    error: type[FaithlensError], problem: str, fix: str, *, calls_functions_of_users: bool = False
) -> Generator[None, None, None]:
    """Turn each foreign exception of this block into one of class `error`, with the foreign one chained.

    Errors of faithlens pass, and so do its programming errors: what its own lines raise stays as it is.

    Args:
        error: the class of the error that is raised.
        problem: what cannot be done; the first line of the foreign message follows after a colon.
        fix: what to do next.
        calls_functions_of_users: faithlens calls functions in this block that a user wrote, such as that of an `Apply`
            edit; a programming error in one of them passes too, so that the user sees its traceback.
    """
    try:
        yield
    except Exception as foreign:
        if not is_foreign(foreign, calls_functions_of_users):
            raise
        raise error(f"{problem}: {describe_foreign(foreign)}", fix) from foreign


def is_foreign(error: Exception, calls_functions_of_users: bool = False) -> bool:
    """Whether an exception comes from a library or from the system, and not from a line of faithlens (or of a user)."""
    if isinstance(error, FaithlensError):
        return False
    if isinstance(error, _FROM_OUTSIDE) or type(error).__module__.split(".")[0] not in ("builtins", _PACKAGE.name):
        return True
    files, trace = [_PACKAGE], error.__traceback__
    while trace:
        files.append(Path(trace.tb_frame.f_code.co_filename))
        trace = trace.tb_next
    while calls_functions_of_users and not any(files[-1].is_relative_to(folder) for folder in (_PACKAGE, *_LIBRARIES)):
        files.pop()  # a function that the user wrote: what counts is the file that called it
    return not files[-1].is_relative_to(_PACKAGE)


def describe_foreign(error: Exception) -> str:
    """The kind and the first line of a foreign exception, short and without control characters.

    A line that ends in a colon announces the next one, which is kept too.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = " ".join(lines[: 1 + (lines[0][-1] == ":")]) if lines else ""
    text = f"{type(error).__name__}: {line}" if line else type(error).__name__
    return escape_controls(text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}...")


def describe_crash(error: Exception) -> str:
    """An exception that the code of a model raises, in words: where in that code, and `describe_foreign`."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).name.startswith("modeling_")] or frames
    place = f" in line {own[-1].lineno} of {Path(own[-1].filename).name}" if own else ""
    return f"its code fails{place} with {describe_foreign(error)}"


def escape_controls(text: str) -> str:
    r"""`text` with control characters and halves of characters as escapes, such as ``\x1b``; line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def suggest_names(name: str, known: Iterable[str]) -> str:
    """Two sentences, the nearest name and then all names: ``Did you mean 'x'? Known names: x, y, z.``"""
    names = sorted(set(known))
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return (f"Did you mean {close[0]!r}? " if close else "") + f"Known names: {', '.join(names)}."


def suggest_path(path: str | Path) -> str:
    """``Did you mean 'x'? `` with the nearest name in the folder of a path that is missing; nothing if none is near."""
    path = Path(path)
    try:
        near = get_close_matches(path.name, [each.name for each in path.parent.iterdir()], n=1, cutoff=0.7)
    except (OSError, ValueError):  # the folder is not there either, or no folder can have such a name
        return ""
    return f"Did you mean {str(path.parent / near[0])!r}? " if near else ""


def check_choice(name: object, known: Iterable[str], what: str, error: type[FaithlensError] = ConfigError) -> None:
    """Check that `name` is one of the names in `known`; `what` says what it names, such as "backend".

    Raises:
        FaithlensError: the name is unknown; of class `error`, with the nearest known name.
    """
    names = list(known)
    if not isinstance(name, str) or name not in names:
        raise error(f"unknown {what} {name!r}", suggest_names(str(name), names))


def list_several(values: T | Sequence[T]) -> list[T]:
    """`values` as a list. A single text or object counts as one value; a text is never cut into its letters."""
    several = isinstance(values, Sequence) and not isinstance(values, str)
    return list(cast("Sequence[T]", values)) if several else [cast("T", values)]


def check_type(value: object, expected: type, what: str, fix: str, error: type[FaithlensError] = ConfigError) -> None:
    """Check that an argument is of the class `expected`; `what` says which argument it is, and `fix` how to get one.

    A text is a sequence of letters, and no `Sequence` here.

    Raises:
        FaithlensError: of class `error`, with the class that `value` has.
    """
    if not isinstance(value, expected) or (expected is Sequence and isinstance(value, str)):
        name = "list" if expected is Sequence else expected.__name__
        raise error(f"{what} must be a {name}, got {describe_type(value)}", fix)


def check_elements(
    values: object, expected: type, what: str, fix: str, error: type[FaithlensError] = ConfigError
) -> None:
    """Check that an argument is a list of objects of the class `expected`; see `check_type`.

    Raises:
        FaithlensError: of class `error`, with the class that `values`, or its first other element, has.
    """
    check_type(values, Sequence, what, fix, error)
    for value in cast("Sequence[object]", values):
        check_type(value, expected, f"each element of {what}", fix, error)


def describe_type(value: object) -> str:
    """The class of a value, and the value itself where it is a short text: ``str 'O5'``, ``list``."""
    if value is None:
        return "None"
    is_short = isinstance(value, str) and len(value) <= _LONGEST_REASON
    return f"{type(value).__name__} {value!r}" if is_short else type(value).__name__


def get_kind(hint: Any) -> Kind | None:
    """What an annotation of a number, text, switch or tuple stands for; None for another annotation."""
    return _KINDS.get(hint) if isinstance(hint, type) else None


def check_fields(settings: object) -> None:
    """Check that each number, word, switch and tuple in a dataclass is of the type that the class states.

    Fields of other types are left to the code that uses them. Whole numbers count as numbers, and switches do not.

    Raises:
        ConfigError: a field has another type; it is named.
    """
    for name, hint in get_type_hints(type(settings)).items():
        value, kinds = getattr(settings, name), _list_kinds(hint)
        is_switch = isinstance(value, bool) and _KINDS[bool] not in kinds
        if kinds and (is_switch or not isinstance(value, tuple(kind.type for kind in kinds))):
            stated = " or ".join(sorted(kind.name for kind in kinds))
            raise ConfigError(f"{name} must be {stated}, got {value!r}", f"Pass {stated} as {name}.")


def _list_kinds(hint: Any) -> list[Kind]:
    """What a field with the type `hint` may hold; empty where that is not checked."""
    origin = get_origin(hint)
    if origin is Literal:
        return [_KINDS[str]]
    parts = get_args(hint) if origin in (UnionType, Union) else (origin or hint,)
    kinds = [_KINDS[part] for part in parts if part in _KINDS]
    return kinds if len(kinds) == len(parts) else []
