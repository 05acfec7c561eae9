"""Every public docstring names each parameter, and says what is returned and which of our errors are raised."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import faithlens as fl
from faithlens.errors import PlanError

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
    if not inspect.isclass(thing) and raises_own_error(thing) and "Raise" not in doc:
        gaps.append("raises")
    return gaps


def raises_own_error(function: Callable[..., Any]) -> bool:
    """Whether the function itself raises an error of faithlens, or checks a choice."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    called = [node.func for node in (*raised, *ast.walk(tree)) if isinstance(node, ast.Call)]
    names = {node.id for node in called if isinstance(node, ast.Name)}
    return bool(names & {"check_choice", *(error.__name__ for error in fl.FaithlensError.__subclasses__())})


PUBLIC = {name: (thing, is_function) for name, thing, is_function in list_public()}


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_is_complete(name: str) -> None:
    assert list_gaps(*PUBLIC[name]) == []


def test_a_gap_is_noticed() -> None:
    def add(first: int, second: int) -> int:
        """Add a number to `first`."""
        if first > second:
            raise PlanError("too much", "Pass less.")
        return first + second

    assert list_gaps(add, is_function=True) == ["parameter second", "returns", "raises"]
    assert len(PUBLIC) > 100
