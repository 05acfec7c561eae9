"""A public function that is called with something else than it takes says so, and names the argument."""

from collections.abc import Sequence
from typing import Any

import pytest

import faithlens as fl
from faithlens.errors import ConfigError
from faithlens.public import explain_misuse
from faithlens.stats.interval import compute_exact_interval

RAW = (AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError)


def add(numbers: Sequence[int], start: float | None = None, name: str = "sum") -> str:
    return f"{name} {sum(number + 0 for number in numbers) + (start or 0)}" if numbers else f"{name}{numbers[0]}"


CALLS = {
    "text for a list": (("12",), {}, "`numbers` of add must be a list of int, got str '12'"),
    "number for a list": ((3,), {}, "`numbers` of add must be a list of int, got int"),
    "wrong element": ((["1"],), {}, "`numbers` of add must be a list of int, got list"),
    "nothing": ((None,), {}, "`numbers` of add must be a list of int, got None"),
    "empty": (([],), {}, "`numbers` of add is empty"),
    "text for a number": (([1], "2"), {}, "`start` of add must be a number or None, got str '2'"),
    "missing": ((), {}, "add cannot be called in this way: missing a required argument: 'numbers'"),
    "misspelt": (([1],), {"strat": 1}, "add has no argument 'strat'"),
}


@pytest.mark.parametrize("kind", CALLS)
def test_the_argument_that_does_not_fit_is_named(kind: str) -> None:
    values, named, problem = CALLS[kind]
    with pytest.raises(ConfigError) as caught:
        explain_misuse(add)(*values, **named)
    assert caught.value.problem == problem
    assert isinstance(caught.value.__cause__, RAW)
    assert kind != "misspelt" or "Did you mean 'start'?" in caught.value.fix


def test_a_call_that_works_is_left_alone() -> None:
    assert explain_misuse(add)([1, 2], 0.5) == "sum 3.5"
    assert explain_misuse(add)({1: 2}, name="keys") == "keys 1"  # no Sequence, but it works


def test_an_error_that_no_argument_explains_is_kept() -> None:
    def divide(a: int, b: int) -> float:
        return a / b

    with pytest.raises(ZeroDivisionError):
        explain_misuse(divide)(1, 0)


def test_public_functions_are_wrapped() -> None:
    assert fl.stats.compute_exact_interval is fl.stats.compute_exact_interval
    assert fl.stats.compute_exact_interval is not compute_exact_interval
    assert fl.stats.compute_exact_interval(1, 2) == compute_exact_interval(1, 2)
    wrapped: tuple[Any, ...] = (fl.figures.plot_mistakes, fl.figures.plot_strategies)
    for function in wrapped:
        with pytest.raises(ConfigError, match="must be a DataFrame, got int"):
            function(3)


def test_an_empty_option_explains_nothing() -> None:
    def read(names: Sequence[str], skip: Sequence[str] = ()) -> int:
        return {"a": 1}[names[0]]

    with pytest.raises(KeyError):
        explain_misuse(read)(["b"], [])
