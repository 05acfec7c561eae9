import pytest

from faithlens.commands.audit import run_audit
from faithlens.store import Run
from tests.commands.work.runs import CONFIG


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of one worker in one process."""
    return run_audit(CONFIG, tmp_path_factory.mktemp("whole") / "run")
