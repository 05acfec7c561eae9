"""Hooks of mkdocs: add the generated pages and their navigation, and make links of the repository links of the site."""

from typing import Any

from links import NOTEBOOKS, rewrite_links
from measure_pages import FOLDER as MEASURES
from measure_pages import OTHER, make_measure_pages
from mkdocs.structure.files import File, Files
from project_pages import make_project_pages
from reference_pages import FOLDER as REFERENCE
from reference_pages import ROOMS, make_reference_pages

from faithlens.assays.battery import ASSAYS

GENERATED_NAVIGATION: dict[str, list[Any]] = {
    "Every measure": [f"{MEASURES}/index.md", *({name: f"{MEASURES}/{name}.md"} for name in (*ASSAYS, *OTHER))],
    "Reference": [
        f"{REFERENCE}/index.md",
        *({room.replace("faithlens", "fl"): f"{REFERENCE}/{room.rpartition('.')[2]}.md"} for room in ROOMS),
    ],
    "Notebooks": [*NOTEBOOKS.values()],
}


def on_config(config: Any) -> Any:
    """Put the generated pages in the place of the entry `generated` in the navigation."""
    config.nav = [_fill(entry) for entry in config.nav]
    return config


def _fill(entry: Any) -> Any:
    if isinstance(entry, list):
        return [_fill(each) for each in entry]
    if not isinstance(entry, dict):
        return entry
    return {
        title: GENERATED_NAVIGATION[title] if under == "generated" else _fill(under) for title, under in entry.items()
    }


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from the catalogue, the docstrings and other files of the repository."""
    for make_pages in (make_measure_pages, make_reference_pages, make_project_pages):
        for path, content in make_pages():
            files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make the links of a page links of the site."""
    return rewrite_links(markdown, page.file.src_uri)
