"""Names say what a thing is: functions are verbs, variables are not participles, and no class name is used twice."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(path for folder in ("faithlens", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
VERBS = {"embed", "exceed", "feed", "need", "proceed", "seed", "shed", "speed"}
IRREGULAR = {
    "asked", "brought", "done", "drawn", "found", "given", "gone", "got", "heard", "held", "hidden", "kept", "known",
    "left", "lost", "made", "meant", "met", "said", "seen", "shown", "sought", "spoken", "taken", "thought", "told",
    "turned", "wanted", "written",
}  # fmt: skip
RIDDLES = {
    "asked", "found", "given", "gone", "got", "heard", "kept", "meant", "met", "said", "shown", "spoken", "taken",
    "told", "wanted",
}  # fmt: skip
"""Names of variables that say that something happened to a value and not what the value is."""


def is_participle(name: str) -> bool:
    bare = name.strip("_")
    return bare in IRREGULAR or (re.fullmatch("[a-z]+ed", bare) is not None and bare not in VERBS)


def list_participles(source: str) -> Iterator[str]:
    """Functions that are bare participles. A property and a fixture are values, and may be named like one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_participle(node.name):
            decorators = " ".join(map(ast.unparse, node.decorator_list))
            if not re.search(r"property|fixture", decorators):
                yield node.name


def list_riddles(source: str) -> Iterator[str]:
    """Variables and parameters with a forbidden name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in RIDDLES:
            yield node.id
        if isinstance(node, ast.arg) and node.arg in RIDDLES:
            yield node.arg


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_of_functions_and_variables(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert list(list_participles(source)) == []
    assert list(list_riddles(source)) == []


def test_planted_names_are_noticed() -> None:
    source = (
        "def judged(told):\n    found = told\n    return found\n\nclass A:\n    @property\n    def known(self): ...\n"
    )
    assert list(list_participles(source)) == ["judged"]
    assert sorted(list_riddles(source)) == ["found", "told"]


def test_no_two_classes_of_the_package_have_one_name() -> None:
    places = defaultdict(list)
    for path in FILES:
        if path.is_relative_to(ROOT / "faithlens"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places[node.name.strip("_")].append(path.relative_to(ROOT).as_posix())
    assert len(places) > 100
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
