"""Engines end with the bytes of one process, also when a worker or the driver is killed on the way."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from faithlens.commands.audit import run_audit
from faithlens.commands.engines.choice import make_engine
from faithlens.commands.engines.engine import Crew
from faithlens.commands.engines.submitted import SubmititEngine
from faithlens.commands.work.conclude import conclude
from faithlens.commands.work.run import prepare_run
from faithlens.errors import ConfigError
from faithlens.store import Run
from tests.commands.work.runs import CONFIG, list_differing

ENGINES = ("local", "ray")
SMALL = replace(CONFIG, subjects=CONFIG.subjects[:1], n=6, batch=1)
WORKER_WORDS = {"local": "submitit.core._submit", "ray": "ray::UnitActor"}
"""What the command line of a worker's process holds."""
DRIVER = """
import sys
from pathlib import Path
from faithlens.commands.engines.choice import make_engine
from faithlens.commands.engines.engine import Crew
from faithlens.commands.work.conclude import conclude
from faithlens.commands.work.run import prepare_run
from tests.commands.engines.test_engines import SMALL
if __name__ == "__main__":
    path = Path(sys.argv[2])
    with prepare_run(SMALL, path, resume=path.exists()) as run:
        make_engine(sys.argv[1]).work(run, Crew(workers=2))
        conclude(run)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_audit(SMALL, tmp_path_factory.mktemp("whole") / "run")


def require(engine: str) -> None:
    pytest.importorskip("ray" if engine == "ray" else "submitit")


@contextmanager
def start_driver(engine: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    # by default Ray's workers get the lowest priority, and on a busy machine hardly any time
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "RAY_worker_niceness": "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, engine, str(path)], stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_units(path: Path, number: int) -> None:
    until = time.monotonic() + 300
    while len(list(path.glob("units/*running-sum%20?.json"))) < number:
        assert time.monotonic() < until, "no unit was finished"
        time.sleep(0.02)


def find_workers(process: int, engine: str) -> list[psutil.Process]:
    """The processes of workers below a driver."""
    words = WORKER_WORDS[engine]
    return [each for each in psutil.Process(process).children(recursive=True) if words in " ".join(each.cmdline())]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_worker_is_replaced(engine: str, whole: Run, tmp_path: Path) -> None:
    require(engine)
    path = tmp_path / "run"
    with start_driver(engine, path) as driver:
        wait_for_units(path, 1)
        victim = find_workers(driver.pid, engine)[-1]
        victim.send_signal(signal.SIGKILL)
        assert driver.wait(300) == 0, driver.stderr and driver.stderr.read()
    assert list_differing(Run.open(path), whole) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_driver_that_is_killed_and_started_again_ends_the_run(engine: str, whole: Run, tmp_path: Path) -> None:
    require(engine)
    path = tmp_path / "run"
    with start_driver(engine, path) as driver:
        wait_for_units(path, 2)
        driver.kill()
        driver.wait()
    with start_driver(engine, path) as driver:
        assert driver.wait(300) == 0, driver.stderr and driver.stderr.read()
    run = Run.open(path)
    assert list_differing(run, whole) == []
    assert len(run.manifest["resumed"]) == 1


def test_a_unit_that_kills_its_worker_again_and_again_is_left_out_with_the_reason(tmp_path: Path) -> None:
    require("ray")
    from faithlens.errors import RunError

    with prepare_run(replace(SMALL, n=2), tmp_path / "run") as run:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("faithlens.commands.engines.ray.UnitActor", DyingActor)
            make_engine("ray").work(run, Crew(workers=1))
        with pytest.raises(RunError, match=r"O5 running-sum 0 \(the process of its worker died 3 times"):
            conclude(run)


class DyingActor:
    """A worker that does not survive its unit."""

    def __init__(self, *_: object) -> None:
        pass

    def work(self, key: str) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return "done"


def test_a_cluster_without_room_is_refused(tmp_path: Path) -> None:
    require("ray")
    with prepare_run(replace(SMALL, n=1), tmp_path / "run") as run, pytest.raises(ConfigError, match="1 GPUs of 0"):
        make_engine("ray").work(run, Crew(workers=1, gpus=1.0))


@pytest.mark.parametrize(
    ("engine", "crew", "words"),
    [
        ("local", Crew(options={"slurm_partitoin": "gpu"}), "Did you mean 'slurm_partition'"),
        ("local", Crew(gpus=0.5), "takes whole GPUs, got 0.5"),
        ("slurm", Crew(), "cannot be submitted"),
    ],
)
def test_what_submitit_does_not_take_is_refused(engine: str, crew: Crew, words: str, tmp_path: Path) -> None:
    require(engine)
    with prepare_run(replace(SMALL, n=1), tmp_path / "run") as run, pytest.raises(ConfigError) as caught:
        make_engine(engine).work(run, crew)
    assert words in str(caught.value)


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit"), ("local", "submitit")])
def test_an_engine_that_is_not_installed_says_how_to_install_it(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with prepare_run(replace(SMALL, n=1), tmp_path / "run") as run, pytest.raises(ConfigError, match="pip install"):
        make_engine(name).work(run, Crew())


@pytest.mark.parametrize("crew", [{"workers": 0}, {"gpus": -1.0}, {"gpus": 1.5}])
def test_a_crew_that_cannot_be_is_refused(crew: dict) -> None:
    with pytest.raises(ConfigError):
        Crew(**crew)
    assert make_engine("slurm") == SubmititEngine("slurm")
