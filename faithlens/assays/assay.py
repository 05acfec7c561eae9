"""What every assay is: the edited versions it needs of a case, and the scores it makes of what came back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from faithlens.interventions.case import Case
from faithlens.measures.score import Score
from faithlens.runtime.capture import Record
from faithlens.runtime.condition import Condition
from faithlens.runtime.model import Lens
from faithlens.tasks.question import Task

Records = Mapping[str, Record]


@dataclass(frozen=True)
class Setting:
    """Where an assay runs: the model, the task, and the seed of whatever it draws at random."""

    lens: Lens
    task: Task
    seed: int


@runtime_checkable
class Assay(Protocol):
    """One published test. Assays that need the same condition ask for it under the same name; it is run once."""

    def conditions(self, setting: Setting, case: Case) -> list[Condition]:
        """The edited versions of `case` this test reads."""
        ...

    def score(self, setting: Setting, case: Case, records: Records) -> list[Score]:
        """The test's numbers for one question; `records` holds every condition by name."""
        ...
