"""The house rules that a machine can check: who may import whom, which axes a shape may name, what stays unloaded."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from faithlens.axes import AXES

PACKAGE = Path(__file__).parent.parent / "faithlens"
MAY_IMPORT = {
    "kernels": set(),
    "tasks": set(),
    "runtime": {"kernels"},
    "interventions": {"runtime", "tasks"},
    "measures": {"kernels"},
    "assays": {"tasks", "runtime", "interventions", "measures"},
    "organisms": {"tasks", "runtime"},
    "stats": set(),
    "report": {"stats", "store"},
}
NO_TORCH = {"tasks", "stats", "report"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_import_table(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    if room not in MAY_IMPORT:
        return  # the hall may open every door
    found = imports(path)
    rooms = {name.split(".")[1] for name in found if name.startswith("faithlens.")}
    assert rooms <= MAY_IMPORT[room] | {room, "errors", "axes"}
    assert room not in NO_TORCH or not any(name.split(".")[0] in {"torch", "transformers"} for name in found)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_axis_is_in_the_dictionary(path: Path) -> None:
    shapes = re.findall(r'\b(?:Float|Int|Bool|Shaped)\[[\w.]+, "([^"]*)"\]', path.read_text())
    assert {axis for shape in shapes for axis in shape.split()} - {"...", "1"} <= set(AXES)


@pytest.mark.parametrize(
    "module", ["faithlens", "faithlens.cli.main.main", "faithlens.report.page", "faithlens.tasks.registry"]
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


def test_every_public_name_exists() -> None:
    import faithlens

    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    [written] = [node.value for node in stub.body if isinstance(node, ast.Assign)]
    names = ast.literal_eval(written)
    assert set(names) == set(faithlens.__all__)  # which are read off the imports, and know nothing of `import as`
    assert all(hasattr(faithlens, name) for name in names)
