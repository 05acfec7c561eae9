"""A small audit for tests of workers, and how two runs are compared."""

from pathlib import Path

from faithlens.commands.work.run import prepare_run
from faithlens.config import AuditConfig, Subject
from faithlens.execution.options import Sampling
from faithlens.store import Run
from tests.kills.runner import read_files

CONFIG = AuditConfig(
    (Subject("O5", "running-sum"), Subject("O4", "running-sum")),
    n=4,
    batch=2,
    device="cpu",
    threads=1,
    assays=("baselines", "early_answering", "mistakes"),
    sampling=Sampling(max_new_tokens=60),
)


def prepare(folder: Path, config: AuditConfig = CONFIG) -> Path:
    with prepare_run(config, folder):
        return folder


def list_differing(run: Run, other: Run) -> list[str]:
    """The files that the manifests list and that differ by a byte."""
    one, two = read_files(run.path), read_files(other.path)
    return sorted(name for name in {*one, *two} if one.get(name) != two.get(name))
