"""The checks of types and shapes that run beside all tests refuse what jaxtyping itself refuses."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, jaxtyped
from torch import Tensor

from faithlens.tasks.numbers import find_numbers
from tests.type_checks import check_types, has_arrays


def add(one: Float[Tensor, " row"], other: Float[Tensor, " row"]) -> Float[Tensor, " row"]:
    return one + other


def repeat(one: Float[Tensor, " row"], n: int) -> Float[Tensor, " row"]:
    return one.repeat(n)


def count(n: int) -> str:
    return "a" if n else 1  # pyright: ignore[reportReturnType]


def walk(n: int) -> Iterator[Float[Tensor, " row"]]:
    yield torch.zeros(n)


@dataclass
class Pair:
    one: Float[Tensor, " row"]
    other: Float[Tensor, " row"]


@pytest.mark.parametrize("check", [check_types, jaxtyped])
@pytest.mark.parametrize(
    ("thing", "right", "wrong"),
    [
        (add, (torch.zeros(3), torch.zeros(3)), (torch.zeros(3), torch.zeros(4))),
        (add, (torch.zeros(3), torch.zeros(3)), (torch.zeros(3), torch.zeros(3, dtype=torch.int64))),
        (repeat, (torch.zeros(3), 1), (torch.zeros(3), 2)),
        (count, (1,), (0,)),
        (count, (1,), ("one",)),
        (walk, (2,), ("two",)),
        (Pair, (torch.zeros(3), torch.zeros(3)), (torch.zeros(3), torch.zeros(4))),
    ],
)
def test_sizes_and_types_are_refused_as_by_jaxtyping(
    check: Callable[..., Any], thing: Any, right: tuple[Any, ...], wrong: tuple[Any, ...]
) -> None:
    if isinstance(thing, type):
        thing = dataclass(type(thing.__name__, (), {"__annotations__": thing.__annotations__}))
    checked = check(typechecker=beartype)(thing)
    checked(*right)
    with pytest.raises(Exception, match=r"type|shape"):
        checked(*wrong)


def test_a_size_is_forgotten_after_the_call() -> None:
    checked = check_types(typechecker=beartype)(add)
    assert checked(torch.ones(3), torch.ones(3)).tolist() == [2, 2, 2]
    assert checked(torch.ones(2), torch.ones(2)).tolist() == [2, 2]


def test_arrays_are_seen_inside_other_types() -> None:
    assert has_arrays(dict[str, list[Float[Tensor, " row"]]])
    assert has_arrays(Float[Tensor, " row"] | None)  # pyright: ignore[reportOperatorIssue]
    assert has_arrays(Callable[[Float[Tensor, " row"]], int])
    assert not has_arrays(dict[str, Tensor])


def test_the_functions_of_faithlens_are_checked_while_tests_run(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("jaxtyping_packages"):
        pytest.skip("the tests run without --jaxtyping-packages")
    with pytest.raises(BeartypeCallHintViolation):
        find_numbers(5)  # pyright: ignore[reportArgumentType]
