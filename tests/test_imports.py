"""The house rules that a machine can check: who may import whom, which axes a shape may name, what stays unloaded.

1. `list_imports` reads every import of a file: relative ones, those inside functions and under TYPE_CHECKING, packages
   (``from faithlens import store``), and ``import_module("...")``. Each is resolved to a file.
2. `find_forbidden_imports` compares the room of each imported file with `MAY_IMPORT`.
3. `find_circle` walks the graph of files, or of rooms, until it comes back to where it started.

For example, in a package with the files a/one.py (``from pkg.b.two import f``) and b/two.py (``import pkg.a.one``), the
rooms that `a` may import being none: the first import is forbidden, and the circle is a.one, b.two, a.one.
"""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import faithlens as fl
from faithlens.axes import AXES

PACKAGE = Path(__file__).parent.parent / "faithlens"
ROOT_ROOM = "the root"
"""The room of ``faithlens/__init__.py``: the public names, which are loaded when they are used."""

FOR_ALL = {"errors", "axes", "console", "progress", "public", "strict_json", "thought_markers", "thoughts"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "axes": set(),
    "console": set(),
    "progress": set(),
    "public": set(),
    "strict_json": set(),
    "thought_markers": set(),
    "thoughts": set(),
    ROOT_ROOM: set(),
    "kernels": set(),
    "tasks": set(),
    "measures": {"tasks"},
    "model": set(),
    "plan": {"model", "kernels"},
    "execution": {"plan", "model", "kernels"},
    "interventions": {"tasks", "model", "plan", "execution"},
    "assays": {"interventions", "measures", "tasks", "model", "plan", "execution"},
    "organisms": {"tasks", "model", "plan", "execution", "interventions"},
    "judging": {"organisms", "interventions", "tasks", "model", "execution"},
    "stats": {"measures", "tasks"},
    "gates": {"stats", "measures", "tasks"},
    "figures": {"stats", "measures", "tasks"},
    "effects": {"assays", "figures", "stats", "measures", "interventions", "tasks", "model", "plan", "execution"},
    "report": {"figures", "gates", "stats", "measures", "tasks", "store"},
    "store": {"measures"},
    "config": {"tasks", "measures", "model", "execution", "interventions", "stats", "organisms"},
}
MAY_IMPORT["commands"] = {*MAY_IMPORT}
MAY_IMPORT["integrations"] = {*MAY_IMPORT}
MAY_IMPORT["cli"] = {*MAY_IMPORT}
NO_TORCH = {"tasks", "measures", "stats", "gates", "figures", "report"}
NO_TORCH |= {"store", "errors", "axes", "console", "progress", "public", "thought_markers", "thoughts"}
FILES = sorted(PACKAGE.rglob("*.py"))


def name_module(path: Path, package: Path) -> str:
    """``faithlens.tasks.seeds`` for tasks/seeds.py; the name of the package for an ``__init__.py``."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def resolve_module(name: str, modules: Mapping[str, Path]) -> str | None:
    """The longest part of a dotted name that is a module of the package; None for other packages."""
    parts = name.split(".")
    return next((dotted for i in range(len(parts), 0, -1) if (dotted := ".".join(parts[:i])) in modules), None)


def list_names(path: Path, package: Path) -> Iterator[str]:
    """The full dotted name of everything that a file imports."""
    module = name_module(path, package)
    own = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = own[: len(own) - node.level + 1] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if called in {"import_module", "__import__"} and isinstance(first, ast.Constant):
                name = str(first.value)
                dots = len(name) - len(name.lstrip("."))
                yield ".".join([*own[: len(own) - dots + 1], name.lstrip(".")]) if dots else name


def list_imports(package: Path) -> dict[str, set[str]]:
    """For each module of a package, the modules of the same package that it imports."""
    modules = {name_module(path, package): path for path in package.rglob("*.py")}
    return {
        name: {result for each in list_names(path, package) if (result := resolve_module(each, modules))} - {name}
        for name, path in modules.items()
    }


def name_room(module: str) -> str:
    return module.split(".")[1] if "." in module else ROOT_ROOM


def find_forbidden_imports(package: Path, may_import: Mapping[str, set[str]]) -> list[str]:
    """Every import that the table does not allow, and every module whose room is not in the table."""
    forbidden: list[str] = []
    for module, imported in list_imports(package).items():
        room = name_room(module)
        if room not in may_import:
            forbidden.append(f"{module}: its room is not in the table")
            continue
        allowed = may_import[room] | FOR_ALL | {room}
        forbidden += [f"{module} imports {each}" for each in sorted(imported) if name_room(each) not in allowed]
    return forbidden


def find_circle(graph: Mapping[str, set[str]]) -> list[str]:
    """A path along the arrows that ends where it starts; empty if there is none."""
    outcome: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in outcome:
            return []
        for each in sorted(graph.get(node, ())):
            circle = walk(each, [*path, node])
            if circle:
                return circle
        outcome.add(node)
        return []

    return next((circle for node in sorted(graph) if (circle := walk(node, []))), [])


def join_rooms(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The graph of rooms: an arrow where any file of one imports any file of another."""
    graph: dict[str, set[str]] = {}
    for module, imported in imports.items():
        room = name_room(module)
        graph.setdefault(room, set()).update(name_room(each) for each in imported if name_room(each) != room)
    return graph


def test_no_import_leaves_the_table() -> None:
    assert find_forbidden_imports(PACKAGE, MAY_IMPORT) == []


def test_no_circle_between_files_or_rooms() -> None:
    imports = list_imports(PACKAGE)
    assert len(imports) == len(FILES)
    assert find_circle(imports) == []
    assert find_circle(join_rooms(imports)) == []
    free = {"commands", "integrations", "cli"}
    assert find_circle({room: MAY_IMPORT[room] - {room} for room in MAY_IMPORT if room not in free}) == []


def plant(folder: Path, files: Mapping[str, str]) -> Path:
    """A package `pkg` with the rooms `low` and `high` and some more files."""
    for name, text in {"__init__.py": "", "low/__init__.py": "", "high/__init__.py": "", **files}.items():
        path = folder / "pkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "pkg"


TABLE = {ROOT_ROOM: set(), "low": set(), "high": {"low"}}
PLANTED = {
    "from": "from pkg.high.two import f",
    "import": "import pkg.high.two",
    "import as": "import pkg.high.two as two",
    "from the package": "from pkg import high",
    "from the room": "from pkg.high import two",
    "relative": "from ..high.two import f",
    "relative room": "from .. import high",
    "relative module": "from ..high import two",
    "in a function": "def f():\n    from pkg.high.two import f",
    "for types": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg.high.two import f",
    "import_module": "from importlib import import_module\nimport_module('pkg.high.two')",
    "importlib.import_module": "import importlib\nimportlib.import_module('pkg.high.two')",
    "relative import_module": "import importlib\nimportlib.import_module('..high.two', __package__)",
    "root": "import pkg",
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("place", ["low/one.py", "low/deep/one.py", "low/__init__.py"])
def test_a_planted_import_is_found(kind: str, place: str, tmp_path: Path) -> None:
    text = PLANTED[kind].replace("..", "...") if place.count("/") == 2 else PLANTED[kind]
    [result] = find_forbidden_imports(plant(tmp_path, {place: text, "high/two.py": "f = 1"}), TABLE)
    assert result.startswith("pkg.low")


def test_allowed_imports_and_other_packages_pass(tmp_path: Path) -> None:
    files = {"high/two.py": "import json\nfrom pkg.low.one import f\nfrom . import three", "high/three.py": "f = 1"}
    assert find_forbidden_imports(plant(tmp_path, {**files, "low/one.py": "f = 1"}), TABLE) == []


def test_a_room_that_is_not_in_the_table_is_found(tmp_path: Path) -> None:
    result = find_forbidden_imports(plant(tmp_path, {"attic.py": "", "cellar/one.py": ""}), TABLE)
    assert sorted(result) == ["pkg.attic: its room is not in the table", "pkg.cellar.one: its room is not in the table"]


def test_planted_circles_are_found(tmp_path: Path) -> None:
    files = {
        "low/one.py": "def f():\n    from . import two",
        "low/two.py": "import pkg.low.three",
        "low/three.py": "from .one import f",
    }
    circle = find_circle(list_imports(plant(tmp_path / "files", files)))
    assert circle == ["pkg.low.one", "pkg.low.two", "pkg.low.three", "pkg.low.one"]
    rooms = {
        "low/one.py": "import pkg.high.two",
        "high/two.py": "",
        "high/three.py": "import pkg.low.four",
        "low/four.py": "",
    }
    imports = list_imports(plant(tmp_path / "rooms", rooms))
    assert find_circle(imports) == []
    assert find_circle(join_rooms(imports)) == ["high", "low", "high"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_without_torch(path: Path) -> None:
    if name_room(name_module(path, PACKAGE)) in NO_TORCH:
        assert not {name.split(".")[0] for name in list_names(path, PACKAGE)} & {"torch", "transformers"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_axis_is_in_the_dictionary(path: Path) -> None:
    shapes = re.findall(r'\b(?:Float|Int|Bool|Shaped)\[[\w.]+, "([^"]*)"\]', path.read_text())
    assert {axis for shape in shapes for axis in shape.split()} - {"...", "1"} <= set(AXES)


@pytest.mark.parametrize(
    "module",
    ["faithlens", "faithlens.cli.main", "faithlens.config", "faithlens.report.page", "faithlens.tasks.registry"],
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    heavy = ("torch", "transformers", "transformer_lens", "triton", "plotly", "sklearn")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_running_conditions_needs_no_transformer_lens() -> None:
    code = "import sys, faithlens as fl; fl.load, fl.execute, fl.think; print('transformer_lens' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


PUBLIC_ROOMS = ("", "assays", "effects", "figures", "interventions", "measures", "stats", "tasks")
MAX_TOP_NAMES = 40


def read_public_names(room: str) -> list[str]:
    """The names in `__all__` of a stub."""
    stub = ast.parse((PACKAGE / room / "__init__.pyi").read_text())
    [listed] = [node.value for node in stub.body if isinstance(node, ast.Assign)]
    return ast.literal_eval(listed)


@pytest.mark.parametrize("room", PUBLIC_ROOMS)
def test_every_public_name_exists_and_is_documented(room: str) -> None:
    names = read_public_names(room)
    module = getattr(fl, room) if room else fl
    assert set(names) == set(module.__all__)  # read from the imports of the stub, and without `import as`
    for name in names:
        each = getattr(module, name)
        if inspect.isclass(each) or inspect.isroutine(each) or inspect.ismodule(each):
            assert inspect.getdoc(each), f"{name} has no docstring"
            assert not str(inspect.getdoc(each)).startswith(f"{name}("), f"{name} has only the docstring of a dataclass"


def test_top_level_stays_small_and_each_name_lives_in_one_room() -> None:
    assert len(read_public_names("")) <= MAX_TOP_NAMES
    names = [name for room in PUBLIC_ROOMS for name in read_public_names(room)]
    assert [name for name in set(names) if names.count(name) > 1] == []


ROOT = PACKAGE.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "notebooks").glob("*.ipynb"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_use_public_names_only(page: Path) -> None:
    text = page.read_text()
    assert not re.findall(r"from faithlens[.\w]* import|import faithlens\.\w+|import faithlens(?! as fl\b)\b", text)
    for first, second in re.findall(r"\bfl\.(\w+)(?:\.(\w+))?", text):
        assert first in read_public_names("")
        assert first not in PUBLIC_ROOMS or not second or second in read_public_names(first)
