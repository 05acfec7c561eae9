"""A public function that is called with something else than it takes says so, and names the argument."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

import faithlens as fl
from faithlens import public
from faithlens.errors import ConfigError, MisuseError, RunError
from faithlens.model.trace import Piece
from faithlens.public import explain_misuse, is_anything
from faithlens.stats.interval import compute_exact_interval
from tests.test_choices import list_functions

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


def list_calls() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each public class and public method, by its name, and what is called."""
    for name, called, _ in list_functions():
        thing = inspect.unwrap(called)
        if inspect.isclass(called) or "." in thing.__qualname__:
            yield name, called


@pytest.mark.parametrize(("name", "called"), [pytest.param(*each, id=each[0]) for each in list_calls()])
def test_every_public_class_and_method_names_an_unknown_argument(name: str, called: Callable[..., Any]) -> None:
    if name.endswith("FaithlensError"):
        return  # it is raised, not made, by users
    with pytest.raises(MisuseError, match=rf"{name.rpartition('s.')[2]} has no argument 'nonsense'"):
        called(nonsense=1)


def test_a_class_is_checked_where_a_user_makes_it() -> None:
    with pytest.raises(MisuseError, match="`hf_model` of Model must be a PreTrainedModel, got None"):
        call_as_user(fl.Model, "m", None, None, None)
    with pytest.raises(MisuseError, match=r"`component` of Site must be .*\nDid you mean 'resid_pre'"):
        call_as_user(fl.Site, "resid_per", 0, "step 0")
    with pytest.raises(MisuseError, match=r"`read` of Knockout must be a tuple, got list"):
        call_as_user(fl.Knockout, "answer", ["step 0"])
    with pytest.raises(MisuseError, match="Piece cannot be called in this way: missing a required argument: 'ids'"):
        call_as_user(fl.Piece, "prompt")
    with pytest.raises(RunError, match="named by the path of its folder, got int"):
        call_as_user(fl.Run, 3)
    assert fl.Piece("prompt", (1,)) == Piece("prompt", (1,))


def test_a_plain_value_that_a_method_would_skip_over_is_refused() -> None:
    task = fl.load_task("running-sum")
    question = task.draw_questions(1, seed=0)[0]
    with pytest.raises(MisuseError, match=r"`condition` of Capture.list_sites must be a Condition, got int"):
        fl.Capture().list_sites(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(MisuseError, match=r"`question` of RunningSum.make_prompt must be a Question, got str 'hi'"):
        task.make_prompt("hi", "cot")  # pyright: ignore[reportArgumentType]
    assert "user" in repr(task.make_prompt(question, "cot"))


def test_nothing_is_compared_where_faithlens_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[str]()
    monkeypatch.setattr(public, "find_misuse", lambda name, *_: compared.append(name))
    condition = fl.Condition("x", (fl.Piece("stem", (1,)),), ((2,),), (fl.Ablation("z", "stem", "mean"),))
    assert compared == ["Piece", "Ablation", "Condition"]
    compared.clear()
    assert condition.donors == (condition.unedited,)  # made inside faithlens, by dataclasses.replace
    assert compared == []
    assert replace(condition, name="y").name == "y"
    assert compared == ["Condition"]


def test_a_table_without_a_column_that_is_needed_is_named() -> None:
    with pytest.raises(MisuseError, match="the table `estimates` of plot_mistakes lacks a column: model"):
        fl.figures.plot_mistakes(pd.DataFrame({"measure": [], "value": []}))


@pytest.mark.parametrize(("room", "name", "near"), [(fl, "effect", "effects"), (fl.stats, "Critera", "Criteria")])
def test_the_nearest_public_name_is_suggested(room: ModuleType, name: str, near: str) -> None:
    with pytest.raises(AttributeError, match=rf"{room.__name__} has no name '{name}'. Did you mean '{near}'"):
        getattr(room, name)
    assert not hasattr(room, name)


def call_as_user(kind: type, *values: object) -> object:
    """Make an object without the checks of beartype, which only tests have."""
    made = object.__new__(kind) if not issubclass(kind, tuple) else kind
    make = kind.__new__ if issubclass(kind, tuple) else kind.__init__
    return explain_misuse(inspect.unwrap(make), is_anything, kind.__name__)(made, *values)
