"""README and docs: their Python runs, what they name exists, and they stay short."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import faithlens as fl
from faithlens.cli.main import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ALL_PAGES = [
    *PAGES,
    *(ROOT / name for name in ("DESIGN.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md")),
]
WORD_LIMITS = {"README.md": 1000, "DESIGN.md": 2500}
WORDS_BEFORE_PYTHON = 300


def name_page(page: Path) -> str:
    return str(page.relative_to(ROOT))


def find_blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def find_command_lines(page: Path) -> list[str]:
    """Every `faithlens ...` in running text, and every line of a shell block that calls it."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    lines = [line for block in find_blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    in_blocks = [part.strip() for line in lines for part in line.split("&&") if part.strip().startswith("faithlens ")]
    return [*re.findall(r"`(faithlens [^`]+)`", text), *in_blocks]


def check_command_line(line: str) -> None:
    """Look up each command and each option of a command line."""
    command: Any = typer.main.get_command(app)
    words = shlex.split(line, comments=True)[1:]
    while words and hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"there is no command {name!r}: {line}"
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    for word in words:
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in options, f"there is no option {word}: {line}"


@pytest.mark.parametrize("page", [page for page in PAGES if find_blocks(page, "python")], ids=name_page)
def test_python_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    code = "\n".join(find_blocks(page, "python"))
    assert not re.search(r"^\s*(from faithlens|import faithlens\.)", code, re.MULTILINE), "use the public names of fl"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_page)
def test_every_public_name_exists(page: Path) -> None:
    for dotted in re.findall(r"\bfl\.([A-Za-z_]+(?:\.[A-Za-z_]+)?)", page.read_text()):
        value = fl
        for name in dotted.split("."):
            assert hasattr(value, name), f"there is no fl.{dotted}"
            value = getattr(value, name)


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_page)
def test_every_command_and_option_exists(page: Path) -> None:
    for line in find_command_lines(page):
        check_command_line(line)


def test_a_wrong_command_is_noticed() -> None:
    with pytest.raises(AssertionError, match="no command 'plann'"):
        check_command_line("faithlens plann run")
    with pytest.raises(AssertionError, match="no option --min-faith"):
        check_command_line("faithlens decide run --min-faith 0.5")


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_page)
def test_every_link_and_path_exists(page: Path) -> None:
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    assert [link for link in links if not (page.parent / link).exists()] == []
    paths = re.findall(r"`([a-z_]+/[\w/]+\.(?:py|ipynb))`", text)
    assert [path for path in paths if not any((root / path).exists() for root in (ROOT, ROOT / "faithlens"))] == []


def test_pages_stay_short() -> None:
    for name, limit in WORD_LIMITS.items():
        assert len((ROOT / name).read_text().split()) <= limit
    before, block, _ = (ROOT / "README.md").read_text().partition("```python")
    assert block
    assert len(before.split()) <= WORDS_BEFORE_PYTHON


def test_every_page_of_the_docs_is_linked_in_the_readme_or_stands_in_the_navigation_of_the_site() -> None:
    readme, site = ((ROOT / name).read_text() for name in ("README.md", "mkdocs.yml"))
    linked = {*re.findall(r"\(docs/([\w-]+\.md)", readme), *re.findall(r"^ +- .+: ([\w-]+\.md)$", site, re.MULTILINE)}
    assert {page.name for page in PAGES[1:]} <= linked
    assert "(docs/index.md)" in readme  # the page where the site begins
