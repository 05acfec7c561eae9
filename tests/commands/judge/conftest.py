"""A finished run of O9 for each test, and a judge behind a server on the loopback."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from faithlens.commands.judge import run as run_module
from tests.commands.judge.judged_run import JudgeServer, audit_o9, serve_judge
from tests.execution.http_server import KEY


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(str(audit_o9(tmp_path_factory.mktemp("o9") / "run").path))


@pytest.fixture
def path(audited: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(audited, tmp_path / "run"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serve_judge() as it:
        yield it


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict and the report are left as they were."""
    monkeypatch.setattr(run_module, "conclude", lambda run: run)
