"""Every public docstring names each parameter, what is returned, and each of our errors; arrays name their axes."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin

import numpy as np
import pytest
from torch import Tensor

import faithlens as fl
from faithlens.errors import PlanError
from faithlens.measures.catalogue import MEASURES

ROOMS = ("assays", "effects", "figures", "interventions", "measures", "stats", "tasks")


def list_public() -> Iterator[tuple[str, Callable[..., Any], bool]]:
    """The name of each public function, class and method; itself; and whether it is a function and not a method."""
    for prefix, room in {"fl": fl, **{f"fl.{name}": getattr(fl, name) for name in ROOMS}}.items():
        for name in room.__all__:
            thing = getattr(room, name)
            if inspect.isfunction(thing):
                yield f"{prefix}.{name}", thing, True
            elif inspect.isclass(thing) and not getattr(thing, "_is_protocol", False):
                yield f"{prefix}.{name}", thing, False
                for method, member in vars(thing).items():
                    function = getattr(member, "__func__", member)
                    if not method.startswith("_") and inspect.isfunction(function):
                        yield f"{prefix}.{name}.{method}", function, False


def list_gaps(thing: Callable[..., Any], is_function: bool) -> list[str]:
    """What the docstring does not say."""
    doc, signature = inspect.getdoc(thing) or "", inspect.signature(thing)
    words = set(re.findall(r"\w+", doc))
    names = [name for name in signature.parameters if name not in ("self", "cls") and not name.startswith("_")]
    gaps = [f"parameter {name}" for name in names if name not in words]
    if is_function and signature.return_annotation not in (None, "None") and "Returns" not in words:
        gaps.append("returns")
    gaps += [f"shape of {name}" for name in list_bare_arrays(thing)]
    if not inspect.isclass(thing):
        gaps += [
            f"raises {error}" for error in sorted(list_own_errors(thing)) if error not in words or "Raise" not in doc
        ]
    return gaps


def list_bare_arrays(thing: Callable[..., Any]) -> list[str]:
    """Parameters, and "return", that are arrays or tensors without the names of their axes (jaxtyping).

    That the names are in `axes.py` is checked for the whole package by `tests/test_imports.py`.
    """
    annotations = getattr(inspect.unwrap(thing), "__annotations__", {})
    return [name for name, annotation in annotations.items() if any(map(is_bare_array, walk_types(annotation)))]


def is_bare_array(annotation: Any) -> bool:
    if isinstance(annotation, str):  # in files with `from __future__ import annotations`
        return (
            re.search(r"\b(Tensor|ndarray|NDArray|Array)\b", re.sub(r"\w+\[[\w.]+, '.*?'\]", "", annotation))
            is not None
        )
    return get_origin(annotation) is np.ndarray or annotation in (np.ndarray, Tensor)


def walk_types(annotation: Any) -> Iterator[Any]:
    """A type and all types in it, but for the parameters of a function and the array inside a jaxtyping shape."""
    yield annotation
    if get_origin(annotation) not in (np.ndarray, Callable):
        for part in get_args(annotation):
            yield from walk_types(part)


def list_own_errors(function: Callable[..., Any]) -> set[str]:
    """The errors of faithlens that the function itself raises, or that its check of a choice raises."""
    own = {error.__name__ for error in fl.FaithlensError.__subclasses__()}
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    raised = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            raised |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} & own
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check_choice":
            named = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} & own
            raised |= named or {"ConfigError"}
    return raised


PUBLIC = {name: (thing, is_function) for name, thing, is_function in list_public()}


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_is_complete(name: str) -> None:
    assert list_gaps(*PUBLIC[name]) == []


def test_a_gap_is_noticed() -> None:
    def add(first: int, second: Tensor) -> int:
        """Add a number to `first`."""
        if first > second:
            raise PlanError("too much", "Pass less.")
        return first + int(second)

    assert list_gaps(add, is_function=True) == [
        "parameter second",
        "returns",
        "shape of second",
        "raises PlanError",
    ]
    assert len(PUBLIC) > 100


@pytest.mark.parametrize("paper", sorted({measure.paper for measure in MEASURES.values() if measure.paper}))
def test_a_published_measure_names_its_source(paper: str) -> None:
    """The authors with the year, or the number at arXiv. None says that a measure is our own."""
    assert re.search(r"[A-Z]\w+ (?:et al\.|& \w+) 20\d\d|arXiv:\d{4}\.\d{5}", paper), paper
