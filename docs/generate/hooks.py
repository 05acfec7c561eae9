"""Hooks of mkdocs: add the generated pages and their navigation, make links of the repository links of the site, and
let no page load anything from the network."""

import re
from os.path import relpath
from pathlib import Path
from typing import Any

from links import NOTEBOOKS, rewrite_links
from measure_pages import FOLDER as MEASURES
from measure_pages import OTHER, make_measure_pages
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from project_pages import make_project_pages
from reference_pages import FOLDER as REFERENCE
from reference_pages import ROOMS, make_reference_pages

from faithlens.assays.battery import ASSAYS

WORKER_OF_THEME, OWN_WORKER = "https://unpkg.com/iframe-worker/shim", "search_from_file.js"
"""What lets search run on a page that is opened as a file: the theme's script, which is on the network, and ours."""
FROM_NETWORK = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\s(?:src|href)=["']?https?://[^>]*>""")

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


def on_post_build(config: Any) -> None:
    """Let every page load our script for search, and refuse a page that loads something from the network."""
    site = Path(config.site_dir)
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        own = html.replace(WORKER_OF_THEME, relpath(site / OWN_WORKER, page.parent))
        if remote := find_remote(own):
            raise PluginError(f"{page.relative_to(site)} loads something from the network: {remote}")
        if own != html:
            page.write_text(own, encoding="utf-8")


def find_remote(html: str) -> str | None:
    """The first element that loads something from the network; links that a reader follows are none."""
    found = (match[0] for match in FROM_NETWORK.finditer(html))
    return next((element for element in found if 'rel="canonical"' not in element), None)
