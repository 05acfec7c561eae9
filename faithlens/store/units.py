"""The records of finished units: a journal that many workers write, one file a unit, until one process merges it.

1. A worker that has written all parts of a unit makes ``units/<key>.json``, which only one worker can do. With this
   file the unit is finished: it holds the digests of the parts, and facts for the manifest.
2. `merge_records` puts the records into the manifest, and removes them.

For example, units/O5%20running-sum%200.json holds {"unit": "O5 running-sum 0", "digest": "3b...", "files":
{"parts/scores/O5%20running-sum%200.parquet": {"size": 812, "sha256": "5f..."}, ...}, "facts": {"work": {...}}, "seal":
"a0..."}.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faithlens.store.faults import Fault
from faithlens.store.files import write_once
from faithlens.store.lease import list_unit_files, name_unit_file
from faithlens.store.manifest import compute_seal, format_json, parse_json
from faithlens.store.places import Place, read_content
from faithlens.store.shapes import FactsEntry, RecordFile
from faithlens.strict_json import find_misfit

UNITS_NAME = "units.json"
"""The list of all units of a run."""


@dataclass(frozen=True)
class UnitList:
    """The units of a run, each of which any worker can do alone.

    Attributes:
        tables: the tables of which each unit has a part.
        units: for each unit by key its `digest`, which says what its rows depend on, and what it is.
        starts: for each model and task by key the `digest` of what is found out before its first unit: facts for the
            manifest.
    """

    tables: Sequence[str] = ()
    units: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    starts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each unit and start by key."""
        return {key: each["digest"] for listed in (self.units, self.starts) for key, each in listed.items()}


@dataclass(frozen=True)
class UnitRecord:
    """A finished unit.

    Attributes:
        unit: its key.
        digest: what its rows depend on (`commands.work.units`), which must be that of the unit in the list.
        files: the digest of each of its parts, by name.
        facts: entries to add to entries of the manifest, such as {"work": {"O5 running-sum 0": {...}}}.
    """

    unit: str
    digest: str
    files: Mapping[str, Any]
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the record's file in the run folder."""
        return name_unit_file(self.unit, "json")

    def write(self, folder: Place) -> bool:
        """Write the record; False if the unit is finished already."""
        entries = {"unit": self.unit, "digest": self.digest, "files": dict(self.files), "facts": dict(self.facts)}
        return write_once(folder / self.name, format_json({**entries, "seal": compute_seal(entries)}))


def list_recorded(folder: Place) -> set[str]:
    """The places of all records, read or not."""
    return {*list_unit_files(folder, "json")}


def read_records(
    folder: Place, names: Iterable[str], digests: Mapping[str, str]
) -> tuple[list[UnitRecord], list[Fault]]:
    """The records of a run, and those that cannot be believed.

    `digests` are those of the units in the list, by key; a record of another unit, or of another run's, is a fault.
    """
    records, faults = list[UnitRecord](), list[Fault]()
    for name in sorted(names):
        try:
            entries = parse_json(read_content(folder / name))
            seal = entries.pop("seal", None)
            record = UnitRecord(**entries)
            misfit = find_misfit(entries, RecordFile) or find_misfit(record.facts, FactsEntry)
            if misfit or seal != compute_seal(entries):
                raise ValueError(misfit)
        except FileNotFoundError:
            continue  # it was merged a moment ago
        except (OSError, ValueError, TypeError):
            faults.append(Fault(name, "is torn, or was changed after it was written"))
            continue
        if record.name != name:
            faults.append(Fault(name, f"holds the content of {record.name}"))
        elif digests and digests.get(record.unit) != record.digest:
            faults.append(Fault(name, "is of another run"))
        else:
            records.append(record)
    return records, faults


def merge_entries(manifest: Mapping[str, Any], records: Iterable[UnitRecord]) -> dict[str, Any]:
    """The manifest with the files and the facts of the records."""
    added = defaultdict[str, dict[str, Any]](dict)
    for record in records:
        for name, entries in {"files": record.files, **record.facts}.items():
            added[name].update(entries)
    return {**manifest, **{name: manifest.get(name, {}) | entries for name, entries in added.items()}}
