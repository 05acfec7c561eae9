"""Which file of the repository is which page of the site, and links between such files as links of the site."""

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAPERS = {
    "DESIGN.md": "project/design.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "LOG.md": "project/log.md",
    "benchmarks/README.md": "project/benchmarks.md",
    "benchmarks/coverage.md": "project/coverage.md",
}
PICTURES = {"benchmarks/results/ratios.svg": "project/ratios.svg"}
NOTEBOOKS = {
    f"notebooks/{path.name}": f"notebooks/{path.stem}.md" for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def map_sources() -> dict[str, str]:
    """The path in the site of each file of the repository that is a page or a picture of the site."""
    pages = {f"docs/{path.name}": path.name for path in (ROOT / "docs").glob("*.*")}
    return pages | PAPERS | PICTURES | NOTEBOOKS | {"notebooks": "notebook.md", "README.md": "index.md"}


def rewrite_links(text: str, page: str) -> str:
    """Links to files of the repository as links between pages of the site.

    Args:
        text: the Markdown of a page.
        page: its path in the site. A link in it is relative to the file of the repository from which it is made.

    Returns:
        The Markdown. A link to a file that is no page of the site is only its text.
    """
    sources = map_sources()
    own = next((source for source, target in sources.items() if target == page), None)
    if own is None:  # a generated page links to pages of the site
        return text

    def replace(match: re.Match[str]) -> str:
        mark, words, link, anchor = match[1], match[2], match[3], match[4] or ""
        if not link or "://" in link or link.startswith("mailto:"):
            return match[0]
        resolved = posixpath.normpath(posixpath.join(posixpath.dirname(own), link))
        if resolved in sources:
            return f"{mark}[{words}]({posixpath.relpath(sources[resolved], posixpath.dirname(page) or '.')}{anchor})"
        return words if (ROOT / resolved).exists() else match[0]  # mkdocs complains of what stays and is not there

    parts = re.split(r"(```.*?```)", text, flags=re.DOTALL)  # code is left as it is
    return "".join(part if i % 2 else LINK.sub(replace, part) for i, part in enumerate(parts))
