"""`Run`: the tables and verdicts of one run folder, written part by part."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa

from faithlens.console import format_html_table
from faithlens.errors import RunError
from faithlens.measures.catalogue import describe_own_measures
from faithlens.store.contents import CHAINS_FOLDER, parse_rows
from faithlens.store.faults import REPORT_NAME, VERDICT_NAME, Fault, make_fault_error
from faithlens.store.files import FileDigest, quote_key, remove_temporary_files, write_atomically
from faithlens.store.folder import RunFolder, list_contents
from faithlens.store.lease import name_unit_file
from faithlens.store.manifest import write_manifest
from faithlens.store.places import Place, exists, find_place, is_address
from faithlens.store.tables import (
    SCHEMAS,
    Rows,
    check_rows,
    get_schema,
    make_gate_table,
    name_part,
    sort_rows,
    to_frame,
    write_parquet,
)
from faithlens.store.units import UnitRecord
from faithlens.store.verdict import RunVerdict

FIRST_COLUMNS = ("model", "task", "measure", "value", "low", "high", "n_used", "n_dropped", "unit")
"""The columns of estimates that people look for first."""


@dataclass(frozen=True, repr=False)
class Run(RunFolder):
    """One run folder. `fl.audit` makes it, `Run.open` reads it; `Run.create` starts an empty one.

    Attributes:
        path: the folder.

    Raises:
        RunError: `path` names no place where a folder can be.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", _make_path(self.path))

    def __repr__(self) -> str:
        words = ", ".join(f"{each.model} on {each.task}: {each.word}" for each in self._list_verdicts())
        return f"Run({str(self.path)!r}{', ' if words else ''}{words})"

    def _repr_html_(self) -> str:
        rows = [(each.model, each.task, each.word, next(iter(each.reasons), "")) for each in self._list_verdicts()]
        return format_html_table(f"Run in {self.path}", ("model", "task", "verdict", "why"), rows)

    @classmethod
    def create(cls, path: str | Place, manifest: Mapping[str, Any], resume: bool = False) -> "Run":
        """Start a run in an empty or new folder, or continue one of the same identity.

        Files of a continued run that are not as faithlens wrote them are moved into ``set-aside/``, so that their
        batches are done again; a warning names each and says what is wrong with it.

        Args:
            path: the folder.
            manifest: what makes the run, from `make_manifest`.
            resume: whether a run in this folder is continued.

        Raises:
            RunError: the folder holds something already and `resume` is False; its run has other options, inputs or
                code; its manifest cannot be believed; or it cannot be written.
        """
        cls.refuse_used(path, resume)
        run = cls(_make_path(path))
        if cls.is_used(path):
            run._resume(manifest)
            return run
        write_manifest(run.path, {**manifest, "files": {}})
        remove_temporary_files(run.path)  # of a process that was killed before it had written the manifest
        return run

    @staticmethod
    def refuse_used(path: str | Place, resume: bool = False) -> None:
        """Raise RunError where `path` is a file, or a folder that holds something and `resume` is False."""
        path = _make_path(path)
        if not is_address(path) and path.exists() and not path.is_dir():
            raise RunError(f"a run needs a folder, but {path} is a file", "Choose another folder.")
        if Run.is_used(path) and not resume:
            problem = f"a new run needs an empty folder, but {path} is not empty"
            raise RunError(problem, f"Name a new folder, or continue the run in this one with --resume {path}")

    @staticmethod
    def is_used(path: str | Place) -> bool:
        """Whether the folder `path` holds anything."""
        return bool(list_contents(_make_path(path)))

    @classmethod
    def open(cls, path: str | Place) -> "Run":
        """The run in the folder `path`, for reading; the digests of all its files are checked.

        Raises:
            RunError: there is no run, or a file of it is missing, torn, changed, exchanged or foreign.
        """
        run = cls(_make_path(path))
        if faults := run.list_faults():
            raise make_fault_error(run.path, faults)
        return run

    @property
    def verdicts(self) -> tuple[RunVerdict, ...]:
        """The verdict on each model and task. Raises RunError if the run is not finished."""
        return tuple(
            RunVerdict(each["model"], each["task"], each["verdict"], tuple(each["reasons"]))
            for each in self.read_json(VERDICT_NAME)["subjects"]
        )

    @property
    def verdict(self) -> RunVerdict:
        """The verdict of a run of one model on one task.

        Raises:
            RunError: the run is not finished, or it holds several models or tasks.
        """
        verdicts = self.verdicts
        if len(verdicts) != 1:
            raise RunError(
                f"the run in {self.path} has {len(verdicts)} verdicts, not one", "Read run.verdicts instead."
            )
        return verdicts[0]

    @property
    def gates(self) -> pd.DataFrame:
        """What each gate says of each model and task: status, numbers of questions, interval, and an example.

        Raises RunError if the run is not finished.
        """
        return make_gate_table(self.read_json(VERDICT_NAME)["subjects"])

    @property
    def scores(self) -> pd.DataFrame:
        """The score of every measure on every question. Raises RunError if there is none yet."""
        return self.read("scores")

    @property
    def estimates(self) -> pd.DataFrame:
        """The mean of every measure over questions, with its 95 % interval. Raises RunError if there is none yet."""
        table = self.read("estimates")
        return table[[*FIRST_COLUMNS, *(name for name in table.columns if name not in FIRST_COLUMNS)]]

    @property
    def edits(self) -> pd.DataFrame:
        """Every edit of the words of a step, and what the model did after it. Raises RunError if there is none yet."""
        return self.read("edits")

    @property
    def traces(self) -> pd.DataFrame:
        """Every chain of thought, with its steps and answer. Raises RunError if there is none yet."""
        return self.read("traces")

    @property
    def drafts(self) -> pd.DataFrame:
        """The tokens of every text that the model under test wrote, before anything was cut off.

        Raises RunError if there is none yet.
        """
        return self.read("drafts")

    @property
    def hinted_chains(self) -> pd.DataFrame:
        """Every chain that was written under a hint or a biased prompt, beside the one written without it.

        Raises RunError if there is none yet.
        """
        return self.read("hinted_chains")

    @property
    def judgements(self) -> pd.DataFrame:
        """What each reader says of each chain (`faithlens judge`). Raises RunError if there is none yet."""
        return self.read("judgements")

    @property
    def answers(self) -> pd.DataFrame:
        """The log-probability of every answer option under every condition. Raises RunError if there is none yet."""
        return self.read("answers")

    def report(self) -> Place:
        """The path of the report, report.html. Raises RunError if the run is not finished or the report was changed."""
        self.read_bytes(REPORT_NAME)
        return self.path / REPORT_NAME

    def _list_verdicts(self) -> tuple[RunVerdict, ...]:
        return self.verdicts if exists(self.path / VERDICT_NAME) else ()

    def write_part(self, table: str, key: str, rows: Rows) -> None:
        """Keep one finished batch under `key`, whole or not at all.

        The same key written again replaces its part, so that a batch which was cut short between two tables is redone.

        Args:
            table: the name of the table, one of `SCHEMAS`.
            key: the name of the batch.
            rows: the rows of the batch.

        Raises:
            RunError: a column or a row does not belong to the table, or the file cannot be written.
            MeasureError: a score is of an unknown measure, or its value lies outside the range of the measure.
        """
        data = check_rows(table, rows)
        if own := _describe_measures({table: data}):
            self.add_to_manifest("measures", own)
        self._write_table(name_part(table, key), data)

    def write_unit(
        self, key: str, tables: Mapping[str, Rows], facts: Mapping[str, Any] | None = None, *, digest: str = ""
    ) -> bool:
        """Keep a finished unit: all its parts and its facts, or nothing. Any number of workers may do this at a time.

        Args:
            key: the name of the unit.
            tables: the rows of the unit, by the name of their table.
            facts: what the unit adds to entries of the manifest, by their names.
            digest: the digest of the unit in the list of units.

        Returns:
            False if another worker has kept this unit already; then nothing is written.

        Raises:
            RunError: a column or a row does not belong to its table, or a file cannot be written.
            MeasureError: a score is of an unknown measure, or its value lies outside the range of the measure.
        """
        parts = {table: check_rows(table, rows) for table, rows in tables.items()}
        writers = {name_part(table, key): partial(write_parquet, data=data) for table, data in parts.items()}
        own = _describe_measures(parts)
        return self._keep_unit(key, writers, {**(facts or {}), **({"measures": own} if own else {})}, digest)

    def open_parts(self) -> Callable[[str, str], bytes]:
        """A function from a table and the key of a part to the file that holds it, for a run that no longer changes.

        The function raises RunError if the file is missing, was changed, or holds other rows than faithlens writes.
        """
        self.restore_measures()
        files, units = self.files, self.read_unit_list().units

        def read(table: str, key: str) -> bytes:
            name = name_part(table, key)
            content = self._read_listed(name, files)
            self._parse_rows(name, content, units)
            return content

        return read

    def keep_parts(self, key: str, parts: Mapping[str, bytes], facts: Mapping[str, Any], *, digest: str) -> bool:
        """Keep a unit that another run finished, with its files byte by byte; False if this run has it already.

        Args:
            key: names the unit.
            parts: for each of its tables, the content of its file in the other run.
            facts: what the other run recorded of it.
            digest: the digest of all that its rows depend on.

        Raises:
            RunError: a file cannot be written.
        """
        writers = {name_part(table, key): partial(_write_content, content=content) for table, content in parts.items()}
        return self._keep_unit(key, writers, facts, digest)

    def _keep_unit(
        self, key: str, writers: Mapping[str, Callable[[Place], None]], facts: Mapping[str, Any], digest: str
    ) -> bool:
        """Keep a finished unit, whose files the `writers` write; False if it is kept already."""
        if exists(self.path / name_unit_file(key, "json")):
            return False
        is_there = bool(writers) and all(exists(self.path / name) for name in writers)
        if is_there and writers.keys() <= self.manifest["files"].keys():  # its record was merged
            return False
        files: dict[str, Any] = {}
        with ExitStack() as unwritten:
            for name, write in writers.items():
                temporary = unwritten.enter_context(write_atomically(self.path / name))
                write(temporary)
                files[name] = FileDigest.of_file(temporary)._asdict()
        return UnitRecord(key, digest, files, facts).write(self.path)

    def keep_chains(self, key: str, drafts: bytes) -> None:
        """Keep the chains of thought of a unit of another run, for whoever does this unit here.

        Args:
            key: the name of the unit.
            drafts: the file of its drafts there.

        Raises:
            RunError: the file cannot be written.
        """
        with self._write_file(_name_chains(key)) as temporary:
            _write_content(temporary, drafts)

    def read_chains(self, key: str) -> pd.DataFrame | None:
        """The drafts that `keep_chains` kept for a unit; None if there are none.

        Args:
            key: names the unit.

        Raises:
            RunError: the file was changed, or holds other rows than faithlens writes.
        """
        name = _name_chains(key)
        return to_frame(self._read_files("drafts", [name])) if name in self.manifest["files"] else None

    def list_chains(self) -> set[str]:
        """The keys of the units for which `keep_chains` kept chains of thought."""
        return {unquote(Path(name).stem) for name in self.manifest["files"] if name.startswith(f"{CHAINS_FOLDER}/")}

    def list_finished_keys(self, table: str) -> set[str]:
        """The keys whose part of the table is complete."""
        return {unquote(Path(name).stem) for name in self._list_parts(table)}

    def finish(self, derived: Mapping[str, Rows] | None = None) -> None:
        """Write `DIR/<table>.parquet` for every table with parts, and for the `derived` tables given (estimates).

        The parts stay: `list_finished_keys` and `--resume` use them.
        """
        tables = {table: self._read_files(table, parts) for table in SCHEMAS if (parts := self._list_parts(table))}
        derived_tables = {table: sort_rows(table, check_rows(table, rows)) for table, rows in (derived or {}).items()}
        for table, rows in {**tables, **derived_tables}.items():
            self._write_table(f"{table}.parquet", rows)

    def read(self, table: str) -> pd.DataFrame:
        """The whole `table`, sorted: from its parts, or from the finished file.

        Raises:
            RunError: neither exists yet, or a file was changed.
        """
        names = self.list_table_files(table)
        if not names:
            problem = f"the run in {self.path} has no table {table!r} yet"
            raise RunError(problem, "Continue with: faithlens audit --resume DIR")
        return to_frame(self._read_files(table, names))

    def list_table_files(self, table: str) -> list[str]:
        """The files that hold the rows of `table`: its parts, or the finished file where no part is left."""
        parts = self._list_parts(table)
        if parts and any(exists(self.path / part) for part in parts):
            return parts
        return [name] if (name := f"{table}.parquet") in self.files else parts

    def has_table(self, table: str) -> bool:
        """Whether anything was written of a table."""
        return bool(self._list_parts(table)) or f"{table}.parquet" in self.files

    def _write_table(self, name: str, data: pa.Table) -> None:
        with self._write_file(name) as temporary:
            write_parquet(temporary, data)

    def check_table_files(self, names: Iterable[str]) -> None:
        """Raise RunError where a row in the files `names`, which hold tables, could not have been written."""
        for _ in self._parse_files(names):
            pass

    def _read_files(self, table: str, names: list[str]) -> pa.Table:
        return sort_rows(table, pa.concat_tables(self._parse_files(names), promote_options="default"))

    def _parse_files(self, names: Iterable[str]) -> Iterator[pa.Table]:
        self.restore_measures()
        files, units = self.files, self.read_unit_list().units
        for name in names:
            yield self._parse_rows(name, self._read_listed(name, files), units)

    def _parse_rows(self, name: str, content: bytes, units: Mapping[str, Any]) -> pa.Table:
        try:
            return parse_rows(name, content, units)
        except ValueError as error:
            raise make_fault_error(self.path, [Fault(name, str(error))]) from error

    def _list_parts(self, table: str) -> list[str]:
        start = _name_parts(table)
        return sorted(name for name in self.files if name.startswith(start))


def _describe_measures(tables: Mapping[str, pa.Table]) -> dict[str, dict[str, Any]]:
    """The measures of the user's own that have scores in `tables`, so that they can be read without their assay."""
    return describe_own_measures(tables["scores"]["measure"].unique().to_pylist()) if "scores" in tables else {}


def _name_chains(key: str) -> str:
    """The place of the chains of thought that a unit takes over from another run."""
    return f"{CHAINS_FOLDER}/{quote_key(key)}.parquet"


def _write_content(path: Place, content: bytes) -> None:
    path.write_bytes(content)


def _name_parts(table: str) -> str:
    """The start of the names of the parts of a table."""
    get_schema(table)
    return f"parts/{table}/"


def _make_path(path: str | Place) -> Place:
    if not isinstance(cast(object, path), str | Path) and not hasattr(path, "joinpath"):  # an address has it too
        problem = f"a run is named by the path of its folder, got {type(path).__name__}"
        raise RunError(problem, "Pass the folder, as a text or a pathlib.Path.")
    return find_place(path)
