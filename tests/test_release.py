"""The release script refuses what must not be released; its checks run before anything is built. Lock and licences."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
VERSION = "0.1.0"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the files that the script reads, all committed, and a `python` that builds nothing."""
    for name in (".ci/release", "pyproject.toml", "CITATION.cff", "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    edit(tmp_path / "CHANGELOG.md", f"## {VERSION} (unreleased)", f"## {VERSION} (2026-12-01)")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        git(tmp_path, *words)
    return tmp_path


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text or after in text
    file.write_text(text.replace(before, after), encoding="utf-8")


def release(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", ".ci/release", *words], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which version"),
        (["9.9.9"], "pyproject.toml has another version"),
        ([VERSION, "--dryrun"], "did you mean --dry-run"),
        ([VERSION], "no user.signingkey"),
    ],
)
def test_what_is_not_ready_is_refused(words: list[str], message: str, checkout: Path) -> None:
    result = release(checkout, *words)
    assert result.returncode != 0
    assert message in result.stderr
    assert not (checkout / "dist").exists()


@pytest.mark.parametrize(
    ("file", "before", "after", "message"),
    [
        ("CHANGELOG.md", "(2026-12-01)", "(unreleased)", "calls it unreleased"),
        ("CHANGELOG.md", f"## {VERSION}", "## 0.0.9", "no section"),
        ("CITATION.cff", f"version: {VERSION}", "version: 0.0.9", "CITATION.cff has another version"),
        ("pyproject.toml", "# [project.urls]", "# [urls]", "uncommitted changes"),
    ],
)
def test_a_checkout_that_is_not_ready_is_refused(
    file: str, before: str, after: str, message: str, checkout: Path
) -> None:
    edit(checkout / file, before, after)
    result = release(checkout, VERSION)
    assert result.returncode == 1
    assert message in result.stderr


def test_a_tag_is_not_made_twice(checkout: Path) -> None:
    git(checkout, "tag", f"v{VERSION}")
    assert "is there already" in release(checkout, VERSION).stderr


def read_names(needs: list[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", Requirement(need).name).lower() for need in needs}


def test_every_dependency_is_locked_and_has_a_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    locked = {name: Version(version) for name, version in (line.split("==") for line in lines)}
    needs = [Requirement(need) for need in project["dependencies"]]
    assert [need.name for need in needs if locked[canonicalize_name(need.name)] not in need.specifier] == []
    assert read_names(project["optional-dependencies"]["test"]) <= locked.keys()
    rows = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8").splitlines()
    licences = {row.split(" | ")[0].removeprefix("| "): row.split(" | ")[1].strip() for row in rows if " | " in row}
    assert read_names(project["dependencies"]) <= licences.keys()
    assert all(licences.values())
