"""Pages of the site that are kept elsewhere in the repository: the notebooks, and papers about the project itself."""

import posixpath
from collections.abc import Iterator
from pathlib import Path

from links import NOTEBOOKS, PAPERS, PICTURES, ROOT
from nbconvert import MarkdownExporter


def make_project_pages() -> Iterator[tuple[str, str | bytes]]:
    """The path of each page or picture in the site, and its content."""
    for source, target in PAPERS.items():
        yield target, (ROOT / source).read_text(encoding="utf-8")
    for source, target in PICTURES.items():
        yield target, (ROOT / source).read_bytes()
    for source, target in NOTEBOOKS.items():
        stem = target.removesuffix(".md")
        body, resources = MarkdownExporter().from_filename(str(ROOT / source), {"unique_key": Path(target).stem})
        yield target, body
        for name, picture in resources["outputs"].items():
            yield posixpath.join(posixpath.dirname(stem), name), picture
