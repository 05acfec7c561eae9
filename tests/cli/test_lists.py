"""The commands that list measures, tasks, assays and organisms, as tables and as JSON."""

import json

import pytest
from typer.testing import CliRunner

from faithlens.assays.battery import ASSAYS
from faithlens.cli.lists import FOR_PROGRAMS
from faithlens.cli.main import app
from faithlens.errors import FaithlensError
from faithlens.measures.catalogue import MEASURES
from faithlens.organisms import TRAINED
from faithlens.tasks.registry import TASKS


def output(*arguments: str, columns: int = 200) -> str:
    return CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": str(columns)}).output


@pytest.mark.parametrize("columns", [60, 100, 200])
@pytest.mark.parametrize(
    ("command", "names"),
    [("measures", MEASURES), ("tasks", TASKS), ("assays", ASSAYS), ("organisms list", TRAINED)],
)
def test_all_names_are_listed_whole(command: str, names: dict, columns: int) -> None:
    listed = json.loads(output(*command.split(), "--json"))
    assert {entry["name"] for entry in listed} >= set(names)
    table = output(*command.split(), columns=columns)
    assert {name for name in names if name not in table} == set()
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= columns


@pytest.mark.parametrize(
    ("command", "name"), [("measures", "deletion.change"), ("tasks", "dates"), ("assays", "shuffle")]
)
def test_one_name_gives_that_entry(command: str, name: str) -> None:
    [entry] = json.loads(output(command, name, "--json"))
    assert entry["name"] == name
    text = output(command, name)
    assert all(field.replace("_", " ") in text for field in entry if field not in FOR_PROGRAMS)


def test_a_measure_is_described_in_words() -> None:
    text = " ".join(output("measures", "mediation.content_share").split())
    assert "direction higher: the chain matters more" in text
    assert "control –" in text
    assert "{}" not in text


def test_tasks_of_one_family_are_told_apart() -> None:
    lines = [line for line in output("tasks").splitlines() if line.startswith("arithmetic-")]
    assert any("arithmetic-2 " in line and "(steps: 2)" in line for line in lines)


@pytest.mark.parametrize(
    ("command", "wrong", "near"),
    [
        ("measures", "deletion.chang", "deletion.change"),
        ("tasks", "ordring", "ordering"),
        ("assays", "shufle", "shuffle"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(command: str, wrong: str, near: str) -> None:
    with pytest.raises(FaithlensError) as caught:
        output(command, wrong)
    assert wrong in caught.value.problem
    assert repr(near) in caught.value.fix
