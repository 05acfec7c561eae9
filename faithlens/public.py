"""The public names of a room: imported when they are first used, and plain about arguments that do not fit.

1. `attach_names` reads the stub `__init__.pyi`, which says where each name lives.
2. Each public function is wrapped, and so are the constructor and the public methods of each public class, and of each
   class of ours that a public function or method returns.
3. A call checks what it can by itself. Where it ends in an error of Python or of a library, its arguments are compared
   with its signature, and the first that does not fit is named.
4. A constructor only stores its arguments, and a method may skip over a number or a text that it cannot use. So these
   arguments are compared without an error too, in calls from outside faithlens.

For example, ``fl.figures.plot_mistakes(run)`` ends in "'Run' object has no attribute 'groupby'". The user reads::

    `estimates` of plot_mistakes must be a DataFrame, got Run
    help(plot_mistakes) says what each argument is.

Nothing else is compared without an error, so calls within faithlens cost nothing more, and an object of another class
that works is used.
"""

import builtins
import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sized
from types import FrameType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import lazy_loader

from faithlens.errors import FaithlensError, MisuseError, describe_type, get_kind, suggest_names

_OURS = "faithlens."  # how the names of our modules start
_explained = set[type]()
_IMPLIED = ("self", "cls", "_cls")  # arguments that Python gives


def attach_names(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package whose public names its stub lists.

    Args:
        package: its ``__name__``.
        file: its ``__file__``.
    """
    load, list_names, names = lazy_loader.attach_stub(package, file)

    @functools.cache  # a name is one object, also where it is asked for again
    def get_name(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"{package} has no name {name!r}. {suggest_names(name, names)}")
        thing = load(name)
        if inspect.isfunction(thing):
            thing = explain_misuse(thing)
        elif inspect.isclass(thing):
            explain_misuse_of_class(thing)
        vars(sys.modules[package])[name] = thing
        return thing

    return get_name, list_names, names


def explain_misuse(
    function: Callable[..., Any], is_compared: Callable[[object], bool] | None = None, name: str = ""
) -> Callable[..., Any]:
    """`function`, whose calls with arguments that do not fit end in an error that names the argument.

    Args:
        function: a function, method or constructor.
        is_compared: says of an argument whether it is compared with the signature although no error was raised, in
            calls from outside faithlens; None for none.
        name: how a user writes the function; by default, its own name.
    """
    name = name or function.__name__
    returned = [*_list_classes(_read_hints(function).get("return"))]
    for kind in returned:
        explain_misuse_of_class(kind)
    returns_protocol = any(map(_is_protocol, returned))  # such as a task: its class is known when it is there

    @functools.wraps(function)
    def call(*values: Any, **named: Any) -> Any:
        try:
            result = function(*values, **named)
        except Exception as error:
            if isinstance(error, FaithlensError) and not isinstance(error, MisuseError):
                raise
            if misuse := (
                find_misuse(name, function, values, named)
                or find_missing_column(name, function, values, named, error)
                or find_empty(name, function, values, named)
            ):
                raise misuse from error
            raise
        if (
            is_compared
            and _is_outside(sys._getframe(1))
            and (misuse := find_misuse(name, function, values, named, is_compared))
        ):
            raise misuse
        if returns_protocol:
            explain_misuse_of_class(type(result))
        return result

    return call


def explain_misuse_of_class(kind: type) -> None:
    """Wrap the constructor and the public methods of a class of faithlens with `explain_misuse`."""
    is_written_by_users = _is_protocol(kind) or not kind.__module__.startswith(_OURS)
    if kind in _explained or is_written_by_users or issubclass(kind, Exception):
        return
    _explained.add(kind)  # first, since its methods may return it
    for name, method in inspect.getmembers_static(kind):
        is_bound = isinstance(method, classmethod | staticmethod)
        function = method.__func__ if is_bound else method
        if name.startswith("_") or not inspect.isfunction(function) or not function.__module__.startswith(_OURS):
            continue
        explained = explain_misuse(function, is_plain, f"{kind.__name__}.{name}")
        setattr(kind, name, type(method)(explained) if is_bound else explained)
    if dataclasses.is_dataclass(kind):
        kind.__init__ = explain_misuse(kind.__init__, is_anything, kind.__name__)
    elif issubclass(kind, tuple):
        kind.__new__ = explain_misuse(kind.__new__, is_anything, kind.__name__)


def is_plain(value: object) -> bool:
    """Whether a value is None, a number or a text, which never does the work of an object of another class."""
    return value is None or isinstance(value, str | int | float)


def is_anything(value: object) -> bool:
    """True: a constructor stores whatever it gets."""
    return True


def _is_protocol(kind: type) -> bool:
    return getattr(kind, "_is_protocol", False)


def _is_outside(caller: FrameType) -> bool:
    """Whether a call stands outside faithlens; that of `dataclasses.replace` stands where `replace` is called."""
    while (module := caller.f_globals.get("__name__", "")) == "dataclasses" and caller.f_back:
        caller = caller.f_back
    return not module.startswith(_OURS)


def find_misuse(
    name: str,
    function: Callable[..., Any],
    values: Collection[Any],
    named: Mapping[str, Any],
    is_compared: Callable[[object], bool] = is_anything,
) -> MisuseError | None:
    """What is wrong with the arguments of a call; None if those that are compared fit the signature."""
    signature = _read_signature(function)
    fix = f"help({name}) says what each argument is."
    if unknown := next((each for each in named if each not in signature.parameters), None):
        known = [each for each in signature.parameters if each not in _IMPLIED]
        return MisuseError(f"{name} has no argument {unknown!r}", suggest_names(unknown, known))
    try:
        arguments = signature.bind(*values, **named).arguments
    except TypeError as error:
        return MisuseError(f"{name} cannot be called in this way: {error}", fix)
    hints = _read_hints(function)
    for argument, value in arguments.items():
        if is_compared(value) and not fits(value, hints.get(argument, Any)):
            expected, choices = describe_hint(hints[argument]), _list_choices(hints[argument])
            advice = suggest_names(value, choices) if choices and isinstance(value, str) else fix
            return MisuseError(f"`{argument}` of {name} must be {expected}, got {describe_type(value)}", advice)
    return None


def find_empty(
    name: str, function: Callable[..., Any], values: Collection[Any], named: Mapping[str, Any]
) -> MisuseError | None:
    """The first required argument of a call that is empty; None if there is none."""
    signature = _read_signature(function)
    for argument, value in signature.bind(*values, **named).arguments.items():
        is_required = signature.parameters[argument].default is inspect.Parameter.empty
        if is_required and isinstance(value, Sized) and not len(value):
            return MisuseError(f"`{argument}` of {name} is empty", "Pass at least one element.")
    return None


def find_missing_column(
    name: str, function: Callable[..., Any], values: Collection[Any], named: Mapping[str, Any], error: Exception
) -> MisuseError | None:
    """The first table among the arguments that lacks the column of an error of pandas; None if there is none."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    if not isinstance(error, KeyError) or not trace or not trace.tb_frame.f_globals["__name__"].startswith("pandas."):
        return None
    for argument, value in _read_signature(function).bind(*values, **named).arguments.items():
        columns = [*map(str, getattr(value, "columns", ()))]
        if columns and error.args[0] not in columns:
            problem = f"the table `{argument}` of {name} lacks a column: {error.args[0]}"
            return MisuseError(problem, f"help({name}) says which table is needed; this one has {', '.join(columns)}.")
    return None


def _list_classes(hint: Any) -> Iterator[type]:
    """The classes in an annotation."""
    if inspect.isclass(hint) and not get_args(hint):
        yield hint
    for part in get_args(hint):
        yield from _list_classes(part)


def _list_choices(hint: Any) -> list[str]:
    """The texts that an annotation allows; empty where it allows any text."""
    parts = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return [] if str in parts else [choice for part in parts for choice in _list_choices(part)]
    return [part for part in parts if isinstance(part, str)] if get_origin(hint) is Literal else []


_read_signature = functools.cache(inspect.signature)


class _AnnotationNames(dict[str, Any]):
    """The names in annotations: those of a module, and Any for what is imported for type checkers only."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, Any)


@functools.cache
def _read_hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, localns=_AnnotationNames(inspect.unwrap(function).__globals__))
    except (AttributeError, TypeError, NameError):
        return {}


def fits(value: object, hint: Any) -> bool:
    """Whether a value may stand where an annotation is; True where that cannot be said."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in (Any, object) or isinstance(hint, TypeVar):
        return True
    if origin is Literal:
        return value in parts
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
        each_class = {type(each): each for each in value}.values()  # where the class says it all, one of each will do
        return all(fits(each, parts[0]) for each in (value if get_args(parts[0]) else each_class))
    if expected is tuple and parts and isinstance(value, tuple):
        return len(value) == len(parts) and all(map(fits, value, parts))
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
    if expected is tuple and parts and parts[-1] is not ...:
        return f"a tuple of {len(parts)}: {', '.join(map(describe_hint, parts))}"
    if name in ("Sequence", "Iterable", "Collection", "list", "tuple"):
        of = f" of {parts[0].__name__}" if parts and inspect.isclass(parts[0]) else ""
        return f"a {'tuple' if expected is tuple else 'list'}{of}"
    return "a function" if name == "Callable" else f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
