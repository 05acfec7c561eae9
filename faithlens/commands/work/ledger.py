"""Which units of a run are finished, as one process knows it while others finish units too."""

import os
from collections import Counter
from collections.abc import Iterable

from faithlens.store import MANIFEST_NAME, Run, list_recorded, name_unit_file
from faithlens.store.files import FileDigest
from faithlens.store.places import exists, is_address


class Ledger:
    """The units of a run, and those that are finished.

    A unit that is finished stays finished while workers are at work, so only the others are looked up again: the record
    of a unit, and the manifest if it was written again.

    Attributes:
        listed: all units.
        questions: the number of questions of finished units, by model and task.
        chains: the units whose chains of thought were taken over from another run.
    """

    def __init__(self, run: Run) -> None:
        self._run, self.listed = run, run.read_unit_list()
        self._finished = set[str]()
        self.questions = Counter[str]()
        self.chains = set[str]()
        self._seen: object = None
        self._read_new_manifest()

    def is_finished(self, key: str, *, looks_again: bool = False) -> bool:
        """Whether a unit is finished; with `looks_again`, also if the manifest alone says so by now."""
        if key not in self._finished and exists(self._run.path / name_unit_file(key, "json")):
            self._add([key])
        elif key not in self._finished and looks_again:
            self._read_new_manifest()
        return key in self._finished

    def count_finished(self, key: str) -> None:
        """Count a unit whose record was just written here."""
        self._add([key])

    def refresh(self) -> None:
        """Look up all units that were finished meanwhile."""
        names = list_recorded(self._run.path)
        self._add(
            key for key in self.listed.units if key not in self._finished and name_unit_file(key, "json") in names
        )
        self._read_new_manifest()

    def list_unfinished(self) -> list[str]:
        """The units that are not finished, in their order."""
        return [key for key in self.listed.units if key not in self._finished]

    def count_questions(self) -> dict[str, int]:
        """The questions of each model and task, finished or not."""
        counts = Counter[str]()
        for unit in self.listed.units.values():
            counts[f"{unit['model']} {unit['task']}"] += len(unit["questions"])
        return dict(counts)

    def _add(self, keys: Iterable[str]) -> None:
        for key in {*keys} - self._finished:
            unit = self.listed.units[key]
            self._finished.add(key)
            self.questions[f"{unit['model']} {unit['task']}"] += len(unit["questions"])

    def _read_new_manifest(self) -> None:
        seen = self._look_at_manifest()
        if seen != self._seen:
            self._seen = seen
            self._add(self._run.list_finished_units())
            self.chains = self._run.list_chains()

    def _look_at_manifest(self) -> object:
        """What changes when the manifest is written again."""
        path = self._run.path / MANIFEST_NAME
        if is_address(path):
            return FileDigest.of_file(path)
        seen = os.stat(path)
        return seen.st_ino, seen.st_mtime_ns
