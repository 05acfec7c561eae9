"""What an engine is: it starts workers for a prepared run and comes back when no unit is left that they can do."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, runtime_checkable

from faithlens.errors import ConfigError, check_choice, check_fields
from faithlens.store import EXPIRY_SECONDS, Run
from faithlens.store.places import Place, is_address

MOST_TRIES = 3
"""A unit is not tried again after this many workers died on it: the unit may be what kills them."""


@dataclass(frozen=True)
class Crew:
    """The workers that an engine starts.

    Attributes:
        workers: the number of workers.
        gpus: the GPUs of each worker; Ray also takes a part of one.
        address: the address of a running Ray cluster; None to start one.
        options: parameters of submitit, such as ``{"slurm_partition": "gpu", "timeout_min": 600}``.
        expiry: the seconds without a heartbeat after which a worker counts as dead.
    """

    workers: int = 2
    gpus: float = 0.0
    address: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    expiry: float = EXPIRY_SECONDS

    def __post_init__(self) -> None:
        check_fields(self)
        if self.workers < 1:
            raise ConfigError(f"workers must be at least 1, got {self.workers}", "Give --workers a positive number.")
        if self.gpus < 0 or (self.gpus > 1 and self.gpus % 1):
            problem = f"GPUs for each worker must be 0, a part of one, or a whole number, got {self.gpus}"
            raise ConfigError(problem, "Give for example 0.5, 1 or 2.")


def make_crew(entries: Mapping[str, Any]) -> Crew:
    """The crew with these attributes. Raises ConfigError where one is unknown or out of its range."""
    for name in entries:
        check_choice(name, [each.name for each in fields(Crew)], "entry of crew")
    return Crew(**entries)


@runtime_checkable
class Engine(Protocol):
    """Starts workers."""

    def work(self, run: Run, crew: Crew) -> None:
        """Do the units of `run`. Returns when all are finished, or when no worker can do the rest."""
        ...


def name_absolutely(folder: Place) -> str:
    """The name of a run folder that workers in other folders understand."""
    return str(folder if is_address(folder) else folder.resolve())


def copy_environment() -> dict[str, str]:
    """The variables of this process with which workers import the same code and find the same models."""
    starts = ("HF_", "HUGGINGFACE_", "FAITHLENS_", "OMP_", "MKL_", "XDG_")
    own = {name: value for name, value in os.environ.items() if name.startswith(starts)}
    return own | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
