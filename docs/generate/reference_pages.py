"""The pages of the reference: a page for each public room, with the docstring of every public name."""

import ast
from collections.abc import Iterator
from pathlib import Path

FOLDER = "reference"
PACKAGE = Path(__file__).parents[2] / "faithlens"
ROOMS = {
    "faithlens": "The names at the top: audit, decide, load, think, plan, execute.",
    "faithlens.effects": "Ready-made experiments for notebooks.",
    "faithlens.interventions": "Edits of a case.",
    "faithlens.assays": "Tests, and what an assay of your own needs.",
    "faithlens.measures": "The catalogue.",
    "faithlens.tasks": "Questions, answers, and what a task of your own needs.",
    "faithlens.stats": "Numbers about many questions.",
    "faithlens.figures": "Pictures.",
}


def list_public_names(room: str) -> dict[str, str]:
    """The public names of a room, each with the dotted place where it is written; rooms themselves are left out."""
    folder = PACKAGE.joinpath(*room.split(".")[1:])
    stub = ast.parse((folder / "__init__.pyi").read_text(encoding="utf-8"))
    places: dict[str, str] = {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            base = room.rsplit(".", node.level - 1)[0] if node.level > 1 else room
            places |= {alias.asname or alias.name: f"{base}.{node.module}.{alias.name}" for alias in node.names}
    return places


def make_reference_pages() -> Iterator[tuple[str, str]]:
    """The path of each page in the site, and its Markdown."""
    index = ["# Reference", "Every public name, from its docstring. `import faithlens as fl` comes first.", ""]
    for room, about in ROOMS.items():
        short = room.replace("faithlens", "fl")
        file = f"{room.rpartition('.')[2]}.md"
        names = list_public_names(room)
        index.append(f"- [{short}]({file}): {about} {len(names)} names.")
        parts = [f"# {short}", about]
        for name, place in sorted(names.items(), key=lambda pair: pair[0].lower()):
            parts.append(f"::: {place}\n    options:\n      heading: {short}.{name}")
        yield f"{FOLDER}/{file}", "\n\n".join(parts)
    yield f"{FOLDER}/index.md", "\n".join(index)
