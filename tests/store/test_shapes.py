"""A JSON file of a run whose entries are missing or of another type is refused, also where its digest is right."""

import copy
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from faithlens.commands.score import Retry
from faithlens.commands.sweep.trial import Trial
from faithlens.errors import RunError
from faithlens.gates.outcome import Outcome
from faithlens.gates.strata import Strata, Stratum
from faithlens.gates.word import GateResult, GateStatus
from faithlens.stats.number import MeasuredNumber
from faithlens.stats.verdict import VerdictName
from faithlens.store import Run, UnitList
from faithlens.store.manifest import make_manifest, write_manifest
from faithlens.store.shapes import (
    ExampleEntry,
    FactsEntry,
    GateEntry,
    ManifestFile,
    NumberEntry,
    StrataEntry,
    StratumEntry,
    SubjectEntry,
    TrialEntry,
    UnitsFile,
)
from faithlens.strict_json import find_misfit
from tests.store.entries import make_entry

NUMBER = {"value": 0.5, "low": 0.1, "high": 0.9, "n_used": 4, "n_dropped": 0, "reason": "few"}
EXAMPLE = {"question": "q", "outcome": "fail", "reason": "r", "sample": 0, "condition": "full", "is_askable": True}
COUNTS = {"n_asked": 4, "n_passed": 3, "n_failed": 1, "n_open": 0}
SHARES = {"share": 0.25, "low": 0.1, "high": 0.6, "p_value": 0.5, "chance": 0.0}
GATE = {"asks": "a", "misses": "m", "gate": "causal", "status": "passed", "example": EXAMPLE, "reason": "r"}
STRATUM = {"name": "long", "n_asked": 2, "n_failed": 1, "low": 0.1, "high": 0.9}
SUBJECT = make_entry("a", "t", "trust", ["x"]) | {
    "truth": "planted",
    "cells": {"mixture": 2},
    "questions_needed": 29,
    "measures": {"accuracy.full": NUMBER},
    "gates": [GATE | COUNTS | SHARES],
    "strata": {"worst": STRATUM, "other": STRATUM, "p_value": 0.5},
}
VERDICT = {"subjects": [SUBJECT]}
UNITS = UnitList((), {"a t 0": {"model": "a", "task": "t", "questions": ["q"], "digest": "d"}}, {})
OTHERS: tuple[Any, ...] = (None, 7, 0.5, "x", True, [1], {"a": 1})


def walk(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each place in a JSON value, and what stands there."""
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key), each
        if isinstance(each, dict | list):
            yield from walk(each, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of a JSON value with `new` in the place `path`; without this place where `new` is Ellipsis."""
    changed = copy.deepcopy(value)
    place = changed
    for key in path[:-1]:
        place = place[key]
    if new is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = new
    return changed


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run.create(tmp_path_factory.mktemp("shapes") / "run", make_manifest({"n": 4}, 0, "cpu"))
    run.write_unit_list(UNITS)
    run.write_json("verdict.json", VERDICT)
    return run


def find_refusal(run: Run) -> str:
    """What the error says that comes of reading all entries of the JSON files of a run; empty if none comes."""
    try:
        _ = Run.open(run.path), run.verdicts, run.gates, repr(run), run._repr_html_(), run.list_finished_units()
        _ = run.get_facts("subjects"), run.manifest["seed"], run.manifest["versions"]
    except RunError as error:
        return error.problem
    return ""


def is_of_other_type(new: Any, old: Any) -> bool:
    """Whether two JSON values are of two types; null may stand in place of some others, and is looked at apart."""
    kinds = {type(new), type(old)}
    return new not in (..., None) and len(kinds) > 1 and kinds != {int, float}


@pytest.mark.parametrize(
    ("shape", "kind", "more"),
    [
        (NumberEntry, MeasuredNumber, set()),
        (GateEntry, GateResult, {"asks", "misses"}),
        (ExampleEntry, Outcome, set()),
        (StratumEntry, Stratum, set()),
        (StrataEntry, Strata, set()),
        (TrialEntry, Trial, set()),
    ],
)
def test_a_shape_has_the_fields_of_the_object_that_is_written(shape: type, kind: type[Any], more: set[str]) -> None:
    """Else a new field would make valid runs unreadable."""
    assert get_type_hints(shape).keys() == {each.name for each in fields(kind)} | more


def test_a_shape_allows_every_word_and_status() -> None:
    assert get_type_hints(GateEntry)["status"] == GateStatus
    assert get_type_hints(SubjectEntry)["verdict"] == VerdictName


def test_units_without_chains_of_their_own_and_retried_questions_are_read(run: Run) -> None:
    """Chains written elsewhere have no digest, and a unit may have been tried in parts."""
    unit = UNITS.units["a t 0"]
    assert find_misfit({"tables": [], "units": {"u": {**unit, "chains": None}}, "starts": {}}, UnitsFile) is None
    retried = {"a t 0": [Retry((), "memory ran out").describe()]}
    assert find_misfit({**run.manifest, "retried": retried}, ManifestFile) is None


def test_what_faithlens_writes_is_read(run: Run) -> None:
    assert find_refusal(run) == ""
    assert run.gates["gate"].tolist() == ["causal"]


@pytest.mark.parametrize(
    ("config", "misfit"),
    [
        ({"subjects": "x"}, 'has "x" as config.subjects, where a list belongs'),
        ({"subjects": [{"model": "a", "task": {}}]}, "has {} as config.subjects.0.task, where a text belongs"),
        ({"assays": [7]}, "has 7 as config.assays.0, where a text belongs"),
        ({"sources": {"a": None}}, "has null as config.sources.a, where a text belongs"),
        ({"members": [], "measures": []}, None),  # of a sweep
    ],
)
def test_options_that_are_read_without_a_model_are_of_their_type(run: Run, config: Any, misfit: str | None) -> None:
    assert find_misfit({**run.manifest, "config": config}, ManifestFile) == misfit


@pytest.mark.parametrize(
    ("facts", "misfit"),
    [
        ({}, None),
        ({"work": {"a t 0": {"passes": 3, "plan_seconds": None}}}, None),
        ({"subjects": {"a t": {"stem": " x"}}}, "has no entry subjects.a t.close"),
        (
            {"retried": {"a t 0": [{"questions": "q"}]}},
            'has "q" as retried.a t 0.0.questions, where a list belongs',
        ),
        ({"work": 7}, "has 7 as work, where an object belongs"),
        ({"reused": {"a t 0": "x"}}, 'has "x" as reused.a t 0, where an object belongs'),
    ],
)
def test_the_facts_of_a_unit_are_of_the_types_that_the_manifest_has(facts: Any, misfit: str | None) -> None:
    assert find_misfit(facts, FactsEntry) == misfit


@pytest.mark.parametrize("path", [path for path, _ in walk(VERDICT)], ids=lambda path: ".".join(map(str, path)))
def test_an_entry_of_the_verdict_is_of_its_type_or_refused(run: Run, path: tuple[Any, ...]) -> None:
    old = dict(walk(VERDICT))[path]
    for new in (..., *OTHERS):
        run.write_json("verdict.json", put(VERDICT, path, new))
        refusal = find_refusal(run)
        may_be_missing = path[-2:-1] in (("cells",), ("measures",)) or isinstance(path[-1], int)
        if is_of_other_type(new, old) or (new is ... and not may_be_missing):
            assert "verdict.json has" in refusal
            assert str(path[-1]) in refusal
        else:
            assert refusal == "" or "verdict.json has" in refusal
    run.write_json("verdict.json", VERDICT)


@pytest.mark.parametrize("name", ["units.json", "manifest.json"])
def test_an_entry_of_another_file_is_of_its_type_or_refused(run: Run, name: str) -> None:
    content = run.read_json(name) if name == "units.json" else dict(run.manifest)
    for path, old in walk(content):
        if path[0] in ("config", "seal") and len(path) > 1 - (path[0] == "seal"):
            continue  # the options are read by `AuditConfig.from_dict`, and the seal is made anew
        for new in (..., *OTHERS):
            changed = put(content, path, new)
            run.write_json(name, changed) if name == "units.json" else write_manifest(run.path, changed)
            refusal = find_refusal(run)
            if is_of_other_type(new, old):
                assert refusal, f"{path} as {new!r} was believed"
            write_manifest(run.path, content) if name == "manifest.json" else run.write_json(name, content)
    assert find_refusal(run) == ""


def test_resume_sets_a_file_of_another_shape_aside(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    again = Run.create(tmp_path / "run", make_manifest({"n": 4}, 0, "cpu"))
    again.write_json("verdict.json", {"subjects": None})
    assert [str(fault) for fault in again.list_faults()] == ["verdict.json has null as subjects, where a list belongs"]
    Run.create(again.path, make_manifest({"n": 4}, 0, "cpu"), resume=True)
    assert "verdict.json has null as subjects" in caplog.text
    assert again.list_faults() == []
    assert json.loads((again.path / "set-aside" / "verdict.json").read_text()) == {"subjects": None}


@pytest.mark.parametrize(
    ("value", "shape", "misfit"),
    [
        (["a", 7], list[str], "has 7 as 1, where a text belongs"),
        (True, int, "has true as its content, where a whole number belongs"),
        (1, float, None),
        (None, float | None, None),
        ({"a": {"b": []}}, dict[str, dict[str, int]], "has [] as a.b, where a whole number belongs"),
    ],
)
def test_the_misfit_is_named(value: Any, shape: Any, misfit: str | None) -> None:
    assert find_misfit(value, shape) == misfit
