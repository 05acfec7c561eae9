"""`RunFolder`: the files of a run, written whole or not at all, and read with their digests checked."""

import json
import logging
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from io import BytesIO
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from faithlens.errors import MeasureError, RunError, escape_controls
from faithlens.measures.catalogue import restore_measures
from faithlens.store.contents import CHAINS_FOLDER, SHAPES, find_shape_fault, name_table, parse_file
from faithlens.store.faults import (
    Fault,
    find_fault,
    find_listed_fault,
    is_derived,
    is_judged,
    is_part,
    list_faults,
    make_fault_error,
)
from faithlens.store.files import FileDigest, lies_in, move_file, read_digest, remove_temporary_files, write_atomically
from faithlens.store.lease import UNITS_FOLDER, list_living, list_unit_files, name_unit_file
from faithlens.store.lock import LOCK_NAME, WRITER_NAME
from faithlens.store.manifest import (
    MANIFEST_NAME,
    format_json,
    list_differences,
    list_identity_differences,
    parse_json,
    read_manifest,
    write_manifest,
)
from faithlens.store.places import Place, exists, is_address, list_files, raise_os_errors, read_content, remove_file
from faithlens.store.tables import check_rows, name_part, to_frame
from faithlens.store.units import UNITS_NAME, UnitList, UnitRecord, list_recorded, merge_entries, read_records

SET_ASIDE_NAME = "set-aside"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class RunFolder:
    """The folder of a run with its manifest, which holds the digest of every file.

    Attributes:
        path: the folder.
    """

    path: Place

    def list_faults(self) -> list[Fault]:
        """The files that are not as faithlens wrote them."""
        files = self.files
        faults = list_faults(self.path, files, unfinished=self._list_unfinished_parts(files))
        return faults + self._list_shape_faults(SHAPES.keys() & files.keys(), files, faults)

    def _list_shape_faults(self, names: Iterable[str], files: Mapping[str, Any], known: Iterable[Fault]) -> list[Fault]:
        """Those of `names` that have the digest in the manifest, and entries or rows that faithlens does not write."""
        self.restore_measures()
        units, rest = self.read_unit_list().units, {*names} - {fault.name for fault in known}
        faults = (find_shape_fault(name, self._read_listed(name, files), units) for name in sorted(rest))
        return [fault for fault in faults if fault]

    def restore_measures(self) -> None:
        """Add the measures of the user's own that this run holds to the catalogue, unless they are there.

        Raises:
            MeasureError: the run describes one that cannot be.
        """
        restore_measures(self.get_facts("measures"))

    def check_identity(self, manifest: Mapping[str, Any]) -> None:
        """Raise RunError, with the differences, if `manifest` has other options, inputs, versions or code."""
        if changed := list_identity_differences(self.manifest, manifest):
            problem = f"the run in {self.path} was started with other options or inputs: {'; '.join(changed)}"
            raise RunError(problem, "Repeat the command with what the run was started with, or name a new folder.")

    @property
    def manifest(self) -> dict[str, Any]:
        """What made this run (see `make_manifest`), and the digests of its files. Raises RunError if it was changed."""
        return read_manifest(self.path)

    @property
    def files(self) -> dict[str, Any]:
        """The digest of every file: those in the manifest, and the parts of units that were finished since.

        Raises RunError if the manifest or a record of a unit was changed.
        """
        return self._read_merged()["files"]

    def get_facts(self, name: str, unit: str | None = None) -> dict[str, Any]:
        """An entry of the manifest, with what units that were finished since add to it.

        Args:
            name: the name of the entry, such as "work".
            unit: the key of the only unit whose record is read; by default those of all units are.
        """
        return self._read_merged(unit).get(name, {})

    def _read_merged(self, unit: str | None = None) -> dict[str, Any]:
        """The manifest with the records of units that were finished since, or of one of them.

        The records are read first: one that is merged in between is then read twice, not missed.
        """
        records = self._read_records(unit)
        return merge_entries(self.manifest, records)

    @property
    def origin(self) -> dict[str, Any]:
        """What made this run: the manifest without the digests of its files."""
        return {name: value for name, value in self.manifest.items() if name not in ("files", "seal")}

    def write_frame(self, name: str, frame: pd.DataFrame) -> None:
        """Write `frame`, of another kind than the tables of an audit, to the file `name`, whole or not at all."""
        with self._write_file(name) as temporary, temporary.open("wb") as file:
            frame.to_parquet(file)

    def read_frame(self, name: str, table: str | None = None) -> pd.DataFrame:
        """The table that `write_frame` wrote to the file `name`.

        Args:
            name: the name of the file.
            table: the kind of table that it must be (`check_rows`); None where it may be any.

        Raises:
            RunError: as `read_bytes`; or the file holds no table, or none that could have been written.
        """
        content = self.read_bytes(name)
        try:
            if table is None:
                return pd.read_parquet(BytesIO(content))
            return to_frame(check_rows(table, to_frame(pq.read_table(pa.BufferReader(content)))))
        except (pa.ArrowException, OSError) as error:
            raise make_fault_error(self.path, [Fault(name, "holds no table")]) from error
        except (RunError, MeasureError) as error:
            raise make_fault_error(self.path, [Fault(name, f"cannot be believed: {error.problem}")]) from error

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write `content` to the JSON file `name`, whole or not at all. NaN is refused."""
        self.write_text(name, format_json(content))

    def write_text(self, name: str, text: str) -> None:
        """Write `text` to the file `name`, whole or not at all."""
        content = text.encode("utf-8", "replace")
        with self._write_file(name) as temporary:
            temporary.write_bytes(content)

    def add_to_manifest(self, name: str, entries: Mapping[str, Any]) -> None:
        """Add entries to the entry `name` of the manifest, in place of those of the same names."""
        manifest = self.manifest
        write_manifest(self.path, {**manifest, name: manifest.get(name, {}) | dict(entries)})

    def read_json(self, name: str) -> dict[str, Any]:
        """The content of the JSON file `name`. Raises RunError as `read_bytes`, and where an entry cannot be read."""
        return self._parse_file(name, self.read_bytes(name))

    def _parse_file(self, name: str, content: bytes) -> dict[str, Any]:
        try:
            return parse_file(name, content)
        except ValueError as error:
            raise make_fault_error(self.path, [Fault(name, str(error))]) from error

    def read_bytes(self, name: str) -> bytes:
        """The content of the file `name`, which is as faithlens wrote it.

        Raises:
            RunError: the file is not written yet, cannot be read, or is not what faithlens wrote.
        """
        return self._read_listed(name, self.files)

    def _read_listed(self, name: str, files: Mapping[str, Any]) -> bytes:
        entry = files.get(name)
        if entry is None and not exists(self.path / name):
            near = get_close_matches(name, files, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise RunError(
                f"the run in {self.path} has no {name} yet", f"{hint}Continue it with: faithlens audit --resume DIR"
            )
        try:
            content = read_content(self.path / name)
        except OSError as error:
            raise make_fault_error(self.path, [Fault(name, f"cannot be read ({error.strerror or error})")]) from error
        if fault := find_fault(name, content, read_digest(entry)):
            raise make_fault_error(self.path, [fault])
        return content

    @contextmanager
    def _write_file(self, name: str) -> Generator[Place, None, None]:
        """A temporary file that becomes the file `name` of the run when the block ends well; its digest is kept."""
        digests: list[FileDigest] = []
        with write_atomically(self.path / name) as temporary:
            yield temporary
            digests.append(FileDigest.of_file(temporary))
        manifest = self.manifest
        write_manifest(self.path, {**manifest, "files": manifest["files"] | {name: digests[0]._asdict()}})

    def read_unit_list(self) -> UnitList:
        """The units of the run; empty if it has none."""
        files = self.manifest["files"]
        if UNITS_NAME not in files:
            return UnitList()
        return UnitList(**self._parse_file(UNITS_NAME, self._read_listed(UNITS_NAME, files)))

    def write_unit_list(self, units: UnitList) -> None:
        """Write the list of all units."""
        self.write_json(UNITS_NAME, asdict(units))

    def replace_unit_list(self, units: UnitList) -> None:
        """Write the list of all units, unless the run has it; a warning says so where it has another one."""
        listed = self.read_unit_list()
        if list_differences(asdict(listed), json.loads(format_json(asdict(units)))):
            if listed != UnitList():
                words = f"In {self.path}, {UNITS_NAME} is not the list that its options make. It is made again."
                _LOG.warning("%s", escape_controls(words))
            self.write_unit_list(units)

    def list_finished_units(self) -> set[str]:
        """The keys of the units in the list that have a part of each table."""
        listed, files = self.read_unit_list(), self.files
        return {key for key in listed.units if all(name_part(table, key) in files for table in listed.tables)}

    def write_failure(self, key: str, problem: str) -> None:
        """Keep why a unit could not be done, until it is done.

        Args:
            key: names the unit.
            problem: why, as a sentence.
        """
        path = self.path / name_unit_file(key, "failed")
        with write_atomically(path) as temporary:
            temporary.write_text(format_json({"unit": key, "problem": problem}), encoding="utf-8")

    def forget_failure(self, key: str) -> None:
        """Remove what `write_failure` kept, if there is anything.

        Args:
            key: names the unit.
        """
        remove_file(self.path / name_unit_file(key, "failed"))

    def list_failures(self) -> dict[str, str]:
        """Why units could not be done, by key."""
        failures = dict[str, str]()
        for name in list_unit_files(self.path, "failed"):
            with suppress(OSError, ValueError, KeyError, TypeError):  # done by now, or damaged: the unit is named
                entry = parse_json(read_content(self.path / name))
                failures[entry["unit"]] = entry["problem"]
        return failures

    def clean_units(self) -> None:
        """Remove what units needed, once all are finished: chains that were taken over, and what workers that were
        killed left: leases, and temporary files.
        """
        self._remove_chains()
        names = list_unit_files(self.path, "lease")
        if not list_living(self.path):
            remove_temporary_files(self.path)
        for name in names:
            remove_file(self.path / name)
        self._remove_units_folder()

    def merge_records(self) -> None:
        """Put the records of finished units into the manifest. One process at a time may do that.

        Raises:
            RunError: a record was changed, or is of another run.
        """
        records = self._read_records()
        if records:
            write_manifest(self.path, merge_entries(self.manifest, records))
        for record in records:
            remove_file(self.path / record.name)
        self._remove_units_folder()

    def _remove_units_folder(self) -> None:
        self._remove_folder(UNITS_FOLDER)  # it may hold leases

    def _remove_chains(self) -> None:
        """Remove the chains that were taken over; first from the manifest, so that none is missed there."""
        start, manifest = f"{CHAINS_FOLDER}/", self.manifest
        others = {name: entry for name, entry in manifest["files"].items() if not name.startswith(start)}
        if len(others) < len(manifest["files"]):
            write_manifest(self.path, {**manifest, "files": others})
        for name in list_files(self.path, CHAINS_FOLDER):
            if name.startswith(start):
                remove_file(self.path / name)
        self._remove_folder(CHAINS_FOLDER)

    def _remove_folder(self, name: str) -> None:
        """Remove a folder of this run if it is there and empty."""
        if not is_address(self.path):
            with suppress(OSError):
                (self.path / name).rmdir()

    def _read_records(self, unit: str | None = None) -> list[UnitRecord]:
        records, faults = self._sort_records(unit)
        if faults:
            raise make_fault_error(self.path, faults)
        return records

    def _sort_records(self, unit: str | None = None) -> tuple[list[UnitRecord], list[Fault]]:
        try:
            names = list_recorded(self.path) if unit is None else {name_unit_file(unit, "json")}
        except OSError as error:
            problem = f"the run in {self.path} cannot be read: {error.strerror or error}"
            raise RunError(problem, "Check that you may read the folder, then repeat the command.") from error
        if not names:
            return [], []
        return read_records(self.path, names, self.read_unit_list().digests)

    def _list_unfinished_parts(self, files: Mapping[str, Any]) -> set[str]:
        """The parts of units that `files` does not list; a worker may finish them at any moment."""
        listed = self.read_unit_list()
        return {name for key in listed.units for table in listed.tables if (name := name_part(table, key)) not in files}

    def _resume(self, manifest: Mapping[str, Any]) -> None:
        self.check_identity(manifest)
        faults = self._drop_damaged_unit_list() + self._sort_records()[1]
        for fault in faults:
            self._set_aside(fault.name)
        self.merge_records()
        old = self.manifest
        unfinished = self._list_unfinished_parts(old["files"])
        faults += list_faults(self.path, old["files"], with_parts=True, unfinished=unfinished)
        is_audit = UNITS_NAME in old["files"]  # a validation or a sweep has tables of its own
        tables = [name for name in old["files"] if name_table(name) and (is_audit or is_part(name))]
        present = [*(SHAPES.keys() & old["files"].keys()), *(name for name in tables if exists(self.path / name))]
        faults += self._list_shape_faults(present, old["files"], faults)
        removed = {fault.name for fault in faults}
        if any(is_part(name) for name in removed):  # until the batch is done again, the run is not finished
            removed |= {name for name in old["files"] if not (is_part(name) or is_judged(name) or _is_for_units(name))}
        again = {name: manifest[name] for name in ("created", "versions") if name in manifest}
        remaining = {name: entry for name, entry in old["files"].items() if name not in removed}
        write_manifest(self.path, {**old, "resumed": [*old.get("resumed", []), again], "files": remaining})
        self._report_and_set_aside(faults, removed)
        if not list_living(self.path):
            remove_temporary_files(self.path)

    def set_aside_derived(self) -> bool:
        """Set aside files that are not as faithlens wrote them and that need no model: those of a command that was
        killed between a file and its entry in the manifest. A warning names each.

        Nobody else may be writing into the folder.

        Returns:
            Whether tables, the verdict or the report are among them, so that the run must be concluded again.

        Raises:
            RunError: another file is not as faithlens wrote it.
        """
        files, faults = self.files, self.list_faults()
        tables = [name for name in files if is_derived(name) and name_table(name) and exists(self.path / name)]
        faults += self._list_shape_faults(tables, files, faults)
        if not all(is_derived(fault.name) for fault in faults):
            raise make_fault_error(self.path, faults)
        if faults:
            names, manifest = {fault.name for fault in faults}, self.manifest
            remaining = {name: entry for name, entry in manifest["files"].items() if name not in names}
            write_manifest(self.path, {**manifest, "files": remaining})
            self._report_and_set_aside(faults, names)
        return not all(is_judged(fault.name) for fault in faults)

    def _report_and_set_aside(self, faults: Iterable[Fault], names: Iterable[str]) -> None:
        for fault in faults:
            next_step = "faithlens judge or monitor makes it again" if is_judged(fault.name) else "is done again"
            words = f"In {self.path}, {fault}. It is set aside{'' if fault.is_foreign else f', and {next_step}'}."
            _LOG.warning("%s", escape_controls(words))
        for name in sorted(names):
            self._set_aside(name)

    def _drop_damaged_unit_list(self) -> list[Fault]:
        """Set the list of units aside where it is damaged: the audit makes it again from its options."""
        files = self.manifest["files"]
        if UNITS_NAME not in files:
            return []
        fault = find_listed_fault(self.path, UNITS_NAME, read_digest(files[UNITS_NAME]))
        fault = fault or find_shape_fault(UNITS_NAME, self._read_listed(UNITS_NAME, files), {})
        if fault is None:
            return []
        self._set_aside(UNITS_NAME)
        others = {name: entry for name, entry in files.items() if name != UNITS_NAME}
        write_manifest(self.path, {**self.manifest, "files": others})
        return [fault]

    def _set_aside(self, name: str) -> None:
        """Move a file into a folder of its own, if it is there."""
        if lies_in(self.path / name, self.path):
            move_file(self.path / name, self.path / SET_ASIDE_NAME / name)


def list_contents(folder: Place) -> list[str]:
    """What a folder holds, without the lock and the unfinished manifest of a writer that was killed at its start."""
    try:
        with raise_os_errors(folder):
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    except OSError as error:
        problem = f"the folder {folder} cannot be read: {error.strerror or error}"
        raise RunError(problem, "Check that it exists and that you may read it, then repeat the command.") from error
    return [
        name for name in names if name not in (LOCK_NAME, WRITER_NAME) and not name.startswith(f".{MANIFEST_NAME}.")
    ]


def _is_for_units(name: str) -> bool:
    """Whether a file of a run is what its units are made from: their list, or chains that they take over."""
    return name == UNITS_NAME or name.startswith(f"{CHAINS_FOLDER}/")
