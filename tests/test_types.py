"""Every file that defines a public name is checked by pyright in strict mode."""

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import faithlens as fl

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "faithlens"
ROOMS = [name for name in fl.__all__ if inspect.ismodule(getattr(fl, name))]
ALSO = ("faithlens.errors", "faithlens.axes", "faithlens.config")
"""Modules whose names stand in public signatures and annotations."""


def list_public_modules() -> Iterator[str]:
    """The modules that define public names: classes and functions say theirs, of other values the stub says it."""
    yield from ALSO
    for room in ("", *ROOMS):
        package = import_module(f"faithlens.{room}".rstrip("."))
        stub = ast.parse((PACKAGE / room / "__init__.pyi").read_text(encoding="utf-8"))
        for node in ast.walk(stub):
            if isinstance(node, ast.ImportFrom) and node.module:
                for name in node.names:
                    thing = getattr(package, name.name)
                    own = inspect.isclass(thing) or inspect.isfunction(thing)
                    yield thing.__module__ if own else f"{package.__name__}.{node.module}"


def list_public_files() -> set[str]:
    paths = {import_module(module).__file__ for module in list_public_modules()}
    return {Path(path).relative_to(ROOT).as_posix() for path in paths if path}


def test_every_public_file_is_strict() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pyright"]
    files = list_public_files()
    assert {"faithlens/store/run.py", "faithlens/effects/steps.py", "faithlens/measures/catalogue/measure.py"} <= files
    assert sorted(files - set(settings["strict"])) == []
    assert [path for path in settings["strict"] if not (ROOT / path).is_file()] == []


def test_no_strict_file_switches_checks_off() -> None:
    """A comment that ignores a whole line or file would hide what strict mode is for; a named rule may be ignored."""
    for path in list_public_files():
        text = (ROOT / path).read_text(encoding="utf-8")
        assert "# type: ignore" not in text, path
        assert re.findall(r"# pyright: (?!ignore\[\w+(?:, \w+)*\])", text) == [], path
