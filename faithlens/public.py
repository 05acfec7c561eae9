"""The public names of a room: imported when they are first used, and plain about arguments that do not fit.

1. `attach_names` reads the stub `__init__.pyi`, which says where each name lives.
2. Each public function is wrapped. It checks what it can by itself. Where it ends in an error of Python or of a
   library, its arguments are compared with its signature, and the first that does not fit is named.

For example, ``fl.figures.plot_mistakes(run)`` ends in "'Run' object has no attribute 'groupby'". The user reads::

    `estimates` of plot_mistakes must be a DataFrame, got Run
    help(plot_mistakes) says what each argument is.

Nothing is compared where no error is raised, so a call costs nothing more, and an object of another class that works is
used.
"""

import builtins
import functools
import inspect
import sys
from collections.abc import Callable, Collection, Mapping, Sized
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import lazy_loader

from faithlens.errors import ConfigError, FaithlensError, describe_type, get_kind, suggest_names


def attach_names(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package whose public names its stub lists.

    Args:
        package: its ``__name__``.
        file: its ``__file__``.
    """
    load, list_names, names = lazy_loader.attach_stub(package, file)

    @functools.cache  # a name is one object, also where it is asked for again
    def get_name(name: str) -> Any:
        thing = load(name)
        thing = explain_misuse(thing) if inspect.isfunction(thing) else thing
        vars(sys.modules[package])[name] = thing
        return thing

    return get_name, list_names, names


def explain_misuse(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, whose calls with arguments that do not fit end in a ConfigError that names the argument."""

    @functools.wraps(function)
    def call(*values: Any, **named: Any) -> Any:
        try:
            return function(*values, **named)
        except FaithlensError:
            raise
        except Exception as error:
            if misuse := find_misuse(function, values, named):
                raise misuse from error
            raise

    return call


def find_misuse(function: Callable[..., Any], values: Collection[Any], named: Mapping[str, Any]) -> ConfigError | None:
    """What is wrong with the arguments of a call; None if they fit the signature."""
    name, signature = function.__name__, inspect.signature(function)
    fix = f"help({name}) says what each argument is."
    if unknown := next((each for each in named if each not in signature.parameters), None):
        return ConfigError(f"{name} has no argument {unknown!r}", suggest_names(unknown, signature.parameters))
    try:
        arguments = signature.bind(*values, **named).arguments
    except TypeError as error:
        return ConfigError(f"{name} cannot be called in this way: {error}", fix)
    hints = _read_hints(function)
    for argument, value in arguments.items():
        if not fits(value, hints.get(argument, Any)):
            expected = describe_hint(hints[argument])
            return ConfigError(f"`{argument}` of {name} must be {expected}, got {describe_type(value)}", fix)
    for argument, value in arguments.items():
        is_required = signature.parameters[argument].default is inspect.Parameter.empty
        if is_required and isinstance(value, Sized) and not len(value):
            return ConfigError(f"`{argument}` of {name} is empty", "Pass at least one element.")
    return None


class _AnnotationNames(dict[str, Any]):
    """The names in annotations: those of a module, and Any for what is imported for type checkers only."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, Any)


def _read_hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, localns=_AnnotationNames(inspect.unwrap(function).__globals__))
    except (AttributeError, TypeError, NameError):
        return {}


def fits(value: object, hint: Any) -> bool:
    """Whether a value may stand where an annotation is; True where that cannot be said."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any or origin is Literal or isinstance(hint, TypeVar):
        return True
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if (kind := get_kind(hint)) is not None:
        return isinstance(value, kind.type)
    expected: Any = origin or hint
    try:
        is_text = isinstance(value, str) and isinstance("", expected) and expected is not str
        if is_text or not isinstance(value, expected):
            return False
    except TypeError:  # a protocol or an alias, of which nothing is an instance
        return True
    if isinstance(value, list | tuple) and len(parts) in (1, 2) and (len(parts) == 1 or parts[1] is ...):
        return all(fits(each, parts[0]) for each in value)
    return True


def describe_hint(hint: Any) -> str:
    """An annotation in words: ``a list of Condition``, ``a whole number or None``."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(describe_hint(part) for part in parts)
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if (kind := get_kind(hint)) is not None:
        return kind.name
    expected: Any = origin or hint
    name = getattr(expected, "__name__", str(expected))
    if name in ("Sequence", "Iterable", "Collection", "list", "tuple"):
        of = f" of {parts[0].__name__}" if parts and inspect.isclass(parts[0]) else ""
        return f"a list{of}"
    return "a function" if name == "Callable" else f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
