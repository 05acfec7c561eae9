"""`MEASURES`, and functions to look a measure up, to check a value against it, and to add one of your own."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from difflib import get_close_matches
from importlib.metadata import entry_points
from math import isfinite
from types import MappingProxyType
from typing import Any, cast, get_args

from faithlens.errors import ConfigError, MeasureError, MisuseError, check_choice, check_type, suggest_names
from faithlens.measures.catalogue.answers import list_answers, list_strategies
from faithlens.measures.catalogue.behaviour import list_behaviour
from faithlens.measures.catalogue.bounds import list_bounds
from faithlens.measures.catalogue.hint_paths import list_hint_paths
from faithlens.measures.catalogue.internals import list_internals
from faithlens.measures.catalogue.judged import list_judged, list_monitored
from faithlens.measures.catalogue.measure import (
    ASSAY_ENTRY_POINTS,
    ASSAYS,
    SUITES,
    Askable,
    Level,
    Measure,
    Place,
    Shape,
)
from faithlens.measures.catalogue.prompts import list_prompts

SLACK = 1e-6  # rounding of float arithmetic beyond the ends of a range
_CATALOGUE: dict[str, Measure] = {}
_RESTORED: set[str] = set()

MEASURES: Mapping[str, Measure] = MappingProxyType(_CATALOGUE)
"""Every known measure by name, in the order of a report. `register_measure` adds to it."""


def get_measure(name: str) -> Measure:
    """The entry of one measure in the catalogue.

    Args:
        name: its name, such as "accuracy.full".

    Returns:
        The entry: label, meaning, unit, range and the rest.

    Raises:
        MeasureError: there is no measure of this name.
    """
    if name not in _CATALOGUE:
        raise MeasureError(f"there is no measure named {name!r} in the catalogue", suggest_measures(name))
    return _CATALOGUE[name]


def suggest_measures(name: str) -> str:
    """What to do about an unknown measure name; holds the nearest names, since the catalogue is too long to list."""
    near = get_close_matches(name, _CATALOGUE, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{hint}`faithlens measures` lists all names; `register_measure` adds a measure of your own."


def check_assay_name(name: str) -> None:
    """Check that `name` is an assay of faithlens or of an installed package, or a place as ``package.module:Class``.

    Raises:
        ConfigError: there is no such assay; with the nearest name.
    """
    known = [*ASSAYS, *(point.name for point in entry_points(group=ASSAY_ENTRY_POINTS))]
    if name not in known and ":" not in name:
        fix = f"{suggest_names(name, known)} package.module:Class names an assay of your own."
        raise ConfigError(f"unknown assay {name!r}", fix)


def list_measures(
    *,
    assay: str | None = None,
    suite: str | None = None,
    shape: Shape | None = None,
    level: Level | None = None,
    place: Place | None = None,
) -> list[Measure]:
    """The measures that match every filter that is given, in the order of a report.

    Raises:
        MeasureError: a filter has an unknown value.
    """
    assays = {*ASSAYS, *(measure.assay for measure in _CATALOGUE.values() if measure.assay)}
    _check("assay", assay, assays)
    _check("suite", suite, SUITES)
    _check("shape", shape, get_args(Shape))
    _check("level", level, get_args(Level))
    _check("place", place, get_args(Place))
    return [
        measure
        for measure in _CATALOGUE.values()
        if (assay is None or measure.assay == assay)
        and (suite is None or suite in measure.suites)
        and (shape is None or measure.shape == shape)
        and (level is None or measure.level == level)
        and (place is None or place in measure.places)
    ]


def check_value(name: str, value: float | None) -> None:
    """Refuse a value that the measure cannot have. None, a missing value, is accepted; NaN is not.

    Raises:
        MeasureError: there is no measure of this name, or the value lies outside its range.
    """
    low, high = get_measure(name).range
    if value is None or (
        isfinite(value) and (low is None or value >= low - SLACK) and (high is None or value <= high + SLACK)
    ):
        return
    ends = f"{'-inf' if low is None else f'{low:g}'} to {'inf' if high is None else f'{high:g}'}"
    fix = "Correct the assay that computed the value, or the range in the catalogue."
    raise MeasureError(f"{name} must lie in its range, {ends}, got {value:g}", fix)


def cut_rounding(name: str, value: float) -> float:
    """`value`, or the end of the measure's range if only rounding lifts it beyond: a coverage of 1.0000001 is 1."""
    low, high = get_measure(name).range
    if low is not None and low - SLACK <= value < low:
        return low
    return high if high is not None and high < value <= high + SLACK else value


def register_measure(measure: Measure) -> Measure:
    """Add a measure to the catalogue, such as one that your own assay emits. To add it again is harmless.

    Args:
        measure: the measure. It replaces one of the same name that was only read from a run (`restore_measures`).

    Returns:
        The measure.

    Raises:
        MeasureError: not a measure, or another one has this name.
    """
    check_type(
        measure, Measure, "the measure", "Describe it: fl.measures.Measure(name=..., label=..., ...).", MeasureError
    )
    known = _CATALOGUE.get(measure.name)
    if known is not None and known != measure and measure.name not in _RESTORED:
        problem = f"the catalogue already has a different measure named {measure.name!r}"
        raise MeasureError(problem, "Choose another name for your measure.")
    _RESTORED.discard(measure.name)
    _CATALOGUE[measure.name] = measure
    return measure


def describe_own_measures(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The measures among `names` that a user registered, each as plain data for `restore_measures`."""
    return {name: asdict(get_measure(name)) for name in sorted({*names} - _BUILT_IN)}


def restore_measures(entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Add the measures that a run was made with, so that it can be read where nothing registers them.

    A measure that the catalogue has already stays as it is.

    Args:
        entries: what `describe_own_measures` gave, perhaps read from JSON.

    Raises:
        MeasureError: an entry describes no measure.
    """
    for name in entries.keys() - _CATALOGUE.keys():
        register_measure(_read_measure(name, entries[name]))
        _RESTORED.add(name)


def _read_measure(name: str, entry: Mapping[str, Any]) -> Measure:
    fields = {key: _freeze(value) for key, value in entry.items()}
    try:
        if fields["askable"] is not None:
            fields["askable"] = Askable(*fields["askable"])
        return Measure(**fields | {"name": name})  # pyright: ignore[reportArgumentType]
    except (KeyError, TypeError, ValueError, MisuseError) as error:
        problem = f"the description of the measure {name!r} that a run holds cannot be read: {error}"
        raise MeasureError(
            problem, "Register the measure before you read the run, or restore the run from a copy."
        ) from error


def _freeze(value: Any) -> Any:
    """A list of JSON as the tuple that it was; anything else as it is."""
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else value


def _check(what: str, value: str | None, known: Iterable[str]) -> None:
    if value is not None:
        check_choice(value, known, what, MeasureError)


def _build() -> Iterator[Measure]:
    """The whole catalogue; the bounds follow from the measures that accuracy bounds."""
    scored = [
        *list_behaviour(), *list_answers(), *list_prompts(), *list_hint_paths(), *list_judged(), *list_monitored(),
        *list_internals(), *list_strategies(),
    ]  # fmt: skip
    yield from scored
    for measure in scored:
        if measure.is_change:
            yield from list_bounds(measure)


for _measure in _build():
    register_measure(_measure)

_BUILT_IN = frozenset(_CATALOGUE)
