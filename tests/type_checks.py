"""Checks of types and shapes while tests run, by jaxtyping and beartype, without most of what they cost.

`pytest --jaxtyping-packages` puts `@jaxtyping.jaxtyped(typechecker=beartype)` on every function and class of faithlens.
That binds the arguments of every call and checks them twice, which makes the tests 2.5 times slower. With this module
imported before faithlens,

1. a function with arrays in its annotations is checked once, in a memory of its own for the sizes of axes;
2. any other function is checked by beartype alone: it has no axis whose size could differ;
3. of a dataclass, its `__init__` is checked as such a function; a class of another kind has nothing to be checked but
   its methods.

Generators of arrays, and annotations that are not evaluated yet, are left to jaxtyping.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, get_args

import jaxtyping
from jaxtyping import AbstractArray, jaxtyped


def check_types(*, typechecker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What takes the place of `jaxtyping.jaxtyped`."""

    def decorate(thing: Any) -> Any:
        if inspect.isclass(thing):
            if dataclasses.is_dataclass(thing) and "__init__" in vars(thing):
                thing.__init__ = check_function(thing.__init__)
            return thing
        return check_function(thing) if inspect.isfunction(thing) else jaxtyped(thing, typechecker=typechecker)

    def check_function(function: Callable[..., Any]) -> Callable[..., Any]:
        annotations = list(function.__annotations__.values())
        is_unread = any(isinstance(each, str) for each in annotations)
        if not is_unread and not any(map(has_arrays, annotations)):
            return typechecker(function)
        if is_unread or inspect.isgeneratorfunction(function):
            return jaxtyped(function, typechecker=typechecker)
        checked = typechecker(function)

        @functools.wraps(function)
        def check(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            with jaxtyped("context"):
                return checked(*args, **kwargs)

        return check

    return decorate


def has_arrays(annotation: Any) -> bool:
    """Whether an annotation contains an array with named axes."""
    if inspect.isclass(annotation) and issubclass(annotation, AbstractArray):
        return True
    parts = annotation if isinstance(annotation, list) else get_args(annotation)  # a list: parameters of a Callable
    return any(map(has_arrays, parts))


jaxtyping.jaxtyped = check_types  # the import hook of jaxtyping looks it up when a module of faithlens is imported
