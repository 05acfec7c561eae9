"""The release script refuses what must not be released; its checks run before anything is built."""

import shutil
import subprocess
from pathlib import Path

import pytest

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
