"""Nothing in faithlens reads a format that can run code: no pickles, no YAML objects, no evaluated text."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "faithlens"
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
CALLS = {"torch.load", "np.load", "numpy.load", "pd.read_pickle", "torch.jit.load", "torch.package", "eval", "exec"}


def list_unsafe(source: str) -> Iterator[str]:
    """Imports and calls that read a format which can run code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            if (name := ast.unparse(node.func)) in CALLS:
                yield name
            if any(word.arg == "allow_pickle" for word in node.keywords):
                yield "allow_pickle"
            if name.endswith("import_module") and node.args and isinstance(node.args[0], ast.Constant):
                yield from [str(node.args[0].value)] * (node.args[0].value in MODULES)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_file_of_the_package_reads_safe_formats_only(path: Path) -> None:
    assert list(list_unsafe(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from joblib import load", "torch.load(p)", "x = eval(t)", "f(p, allow_pickle=True)",
     "import_module('yaml')", "pd.read_pickle(p)"],
)  # fmt: skip
def test_planted_readers_are_noticed(source: str) -> None:
    assert list(list_unsafe(source))
