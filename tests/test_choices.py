"""Every choice by name is checked where it enters: each public parameter with a Literal refuses a misspelling.

The test walks the signatures of the public functions and classes. `CALLS` holds the other arguments of each, and a new
public function with a Literal fails until it has an entry. `RESULTS` are classes that only faithlens makes.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pandas as pd
import pytest

import faithlens as fl
from faithlens.errors import FaithlensError
from tests.conftest import call_unchecked, tiny
from tests.effects.naive import pair

ROOM_NAMES = ("assays", "effects", "figures", "interventions", "measures", "stats", "tasks")
ROOMS = {"": fl} | {f"{name}.": getattr(fl, name) for name in ROOM_NAMES}
RESULTS = {
    "assays.StepEdit",
    "effects.HeadEffects",
    "effects.PathEffects",
    "effects.StepEffects",
    "stats.Difference",
    "stats.DifficultyTrend",
    "stats.Verdict",
}
PIECE = fl.Piece("prompt", (1, 2))


def with_pair(*more: object) -> Callable[[], tuple[object, ...]]:
    return lambda: (tiny("llama"), *pair(), *more)


def give_measure() -> dict[str, object]:
    return {
        "name": "user.share",
        "label": "share",
        "meaning": "a share",
        "unit": "fraction",
        "range": (0.0, 1.0),
        "kind": "share",
    }


CALLS: dict[str, Callable[[], tuple[object, ...] | dict[str, object]]] = {
    "Case.add_conclusion": lambda: (None, None, None, "So 3."),
    "Ablation": lambda: {"component": "z", "span": "step 0", "how": "zero"},
    "Apply": lambda: {"component": "z", "span": "step 0", "function": abs},
    "Patch": lambda: {"component": "z", "span": "step 0", "donor": pair()[1]},
    "measures.Measure": give_measure,
    "tasks.Question": lambda: ("q", "1 + 1?", ("2", "3"), "2"),
    "tasks.Transcript": lambda: {"question": fl.tasks.Question("q", "1 + 1?", ("2", "3"), "2"), "cot": "", "sample": 0},
    "Trace": lambda: {"pieces": (PIECE,), "texts": ("1 + 1?",), "finish": "stop", "seed": 0},
    "execute": lambda: (tiny("llama"), fl.plan_passes(tiny("llama"), [pair()[0]])),
    "assays.choose_stem": lambda: (tiny("llama"), None, []),
    "assays.run_battery": lambda: (None, []),
    "effects.Commitment.plot": lambda: (None,),
    "effects.adaptive_patch_effects": with_pair(),
    "effects.attribution_effects": with_pair(),
    "effects.head_effects": with_pair(),
    "effects.key_value_effects": with_pair(),
    "figures.plot_hint_paths": lambda: (pd.DataFrame(),),
    "effects.knockout_effects": lambda: (tiny("llama"), pair()[0]),
    "effects.layer_effects": with_pair(),
    "effects.patch_effects": with_pair(),
    "effects.path_effects": with_pair(),
    "effects.swap_effects": with_pair(),
}


def list_functions() -> Iterator[tuple[str, Callable[..., Any], Callable[..., Any]]]:
    """The name of each public function, class and method; what is called; and what has the signature."""
    for prefix, room in ROOMS.items():
        for name in room.__all__:
            thing = getattr(room, name)
            if getattr(thing, "_is_protocol", False):
                continue  # its methods are written by users and called by faithlens
            if inspect.isclass(thing):
                yield prefix + name, thing, thing.__init__
                for method, function in inspect.getmembers(thing, inspect.isfunction):
                    if not method.startswith("_"):
                        yield f"{prefix}{name}.{method}", function, function
            elif inspect.isfunction(thing):
                yield prefix + name, thing, thing


def find_choices(annotation: object) -> tuple[str, ...]:
    """The texts that the Literals in an annotation allow."""
    if get_origin(annotation) is Literal:
        return tuple(value for value in get_args(annotation) if isinstance(value, str))
    return tuple(value for part in get_args(annotation) for value in find_choices(part))


@cache
def list_choices() -> dict[tuple[str, str], tuple[Callable[..., Any], object]]:
    """Each function and parameter that takes a Literal, with what is called and the annotation."""
    choices: dict[tuple[str, str], tuple[Callable[..., Any], object]] = {}
    for name, called, signature in list_functions():
        for parameter, annotation in get_type_hints(signature, localns={"Figure": object, "Model": object}).items():
            if parameter != "return" and find_choices(annotation) and name not in RESULTS:
                choices[name, parameter] = called, annotation
    return choices


def test_choices_are_found() -> None:
    assert ("effects.patch_effects", "mode") in list_choices()
    assert ("execute", "backend") in list_choices()


def test_results_are_public() -> None:
    assert {name for name, *_ in list_functions()} >= RESULTS


@pytest.mark.parametrize(("name", "parameter"), sorted(list_choices()))
def test_a_misspelling_is_refused_with_the_nearest_name(name: str, parameter: str) -> None:
    assert name in CALLS, f"give the other arguments of {name} in CALLS"
    called, annotation = list_choices()[name, parameter]
    allowed = max(find_choices(annotation), key=len)
    misspelt: object = allowed + "x"
    if get_origin(annotation) is tuple:
        misspelt = (misspelt,)
    inputs = CALLS[name]()
    signature = inspect.signature(called)
    arguments = signature.bind_partial(*inputs).arguments if isinstance(inputs, tuple) else inputs
    with pytest.raises(FaithlensError, match=f"Did you mean '{allowed}'"):
        call_unchecked(called, **arguments | {parameter: misspelt})
