"""A command says what it does, and refuses what is misspelt, before it imports what takes seconds."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import faithlens.cli

SLOW = {"torch", "transformers", "scipy", "plotly"}


def find_imports(node: ast.AST, is_shown: bool = False) -> Iterator[tuple[str, bool]]:
    """The modules of faithlens that the code imports, and whether a `show_work` block is around the import."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("faithlens"):
        yield node.module, is_shown
    is_shown = is_shown or (isinstance(node, ast.With) and any("show_work" in ast.unparse(each) for each in node.items))
    for child in ast.iter_child_nodes(node):
        yield from find_imports(child, is_shown)


def test_slow_libraries_are_imported_under_a_display() -> None:
    modules = set[str]()
    for file in Path(faithlens.cli.__file__).parent.glob("*.py"):
        imports = set(find_imports(ast.parse(file.read_text())))
        modules |= {name for name, is_shown in imports if not is_shown and (name, True) not in imports}
    assert "faithlens.cli.places" in modules
    assert "faithlens.commands.audit" not in modules
    code = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)"
    slow = {}
    for name in sorted(modules):
        done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True)
        slow[name] = SLOW & set(done.stdout.split())
    assert {name: libraries for name, libraries in slow.items() if libraries} == {}


@pytest.mark.parametrize(
    "words",
    [
        "-m O55",
        "-m O5 -t arithmatic",
        "-m O5 -t missing.jsonl",
        "-m O5 -t bad.jsonl",
        "-m O5 --suite standart",
        "-m O5 --assays mistaks",
        "-m O5 --editor subjekt",
        "-m O5 --device cpuu",
        "-m O5 --dtype float23",
        "-m O5 --sampler continous",
        "-m O5 --backend pakced",
        "-m O5 --dry-run --temperature -1",
        "-m O5 -n 0",
        "--traces missing.jsonl",
        "--resume missing",
    ],
)
def test_a_mistake_in_an_audit_is_found_without_torch(words: str, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"question": "What is the capital of France?", "answer": "Paris"}')
    code = """
import sys
from faithlens.cli.main import app
from faithlens.errors import FaithlensError
try:
    app(["audit", *sys.argv[1:]], standalone_mode=False)
except FaithlensError:
    print("torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "False"
