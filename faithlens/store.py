"""`Run`: the results of an audit, in one folder.

    DIR/manifest.json                 config, seed, versions, commit, device: what these numbers depend on
    DIR/parts/<table>/<key>.parquet   one finished batch each, written whole or not at all
    DIR/<table>.parquet               the parts of a finished run in one sorted table
    DIR/verdict.json, report.html     written from the tables

An interrupted run loses at most one batch: with `resume`, it knows the keys of the finished batches.
"""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from faithlens.errors import RunError, check_choice
from faithlens.measures.catalogue import check_value

REPORT_NAME = "report.html"

TEXT, TEXTS, INT = pa.string(), pa.list_(pa.string()), pa.int64()
REAL, REALS = pa.float64(), pa.list_(pa.float64())


def _make_schema(required: Mapping[str, pa.DataType], optional: Mapping[str, pa.DataType]) -> pa.Schema:
    fields = [pa.field(name, kind, nullable=False) for name, kind in required.items()]
    return pa.schema(fields + [pa.field(name, kind) for name, kind in optional.items()])


SCHEMAS: dict[str, pa.Schema] = {
    "traces": _make_schema(
        {"model": TEXT, "task": TEXT, "question": TEXT, "prompt": TEXT, "cot": TEXT, "steps": TEXTS}
        | {"answer": TEXT, "finish": TEXT, "n_tokens": INT, "seed": INT},
        {"predicted": TEXT, "candidates": TEXTS, "stem": TEXT, "temperature": REAL, "top_p": REAL, "sample": INT}
        | {"said": TEXT},
    ),
    "answers": _make_schema(
        {"model": TEXT, "task": TEXT, "question": TEXT, "condition": TEXT, "logprobs": REALS}, {"sample": INT}
    ),
    "edits": _make_schema(
        {"model": TEXT, "task": TEXT, "question": TEXT, "sample": INT, "condition": TEXT, "step": INT, "kind": TEXT}
        | {"by": TEXT, "before": TEXT, "after": TEXT, "tail": TEXT},
        {"invalid": TEXT, "implied": TEXT, "answer": TEXT, "outcome": TEXT},
    ),
    "scores": _make_schema(
        {"model": TEXT, "task": TEXT, "question": TEXT, "condition": TEXT, "measure": TEXT, "unit": TEXT},
        {"sample": INT, "step": INT, "fraction": REAL, "value": REAL, "reason": TEXT},
    ),
    "estimates": _make_schema(
        {"model": TEXT, "task": TEXT, "measure": TEXT, "n_used": INT, "n_dropped": INT}
        | {"unit": TEXT, "method": TEXT, "seed": INT},
        {"fraction": REAL, "step": INT, "value": REAL, "low": REAL, "high": REAL, "reason": TEXT},
    ),
}
"""Columns of each table. A column that is not here is refused; optional columns may be left out."""

ORDER: dict[str, list[str]] = {
    "traces": ["model", "task", "question", "sample", "seed"],
    "answers": ["model", "task", "question", "sample", "condition"],
    "edits": ["model", "task", "question", "sample", "kind", "condition", "step"],
    "scores": ["model", "task", "question", "sample", "measure", "condition", "step", "fraction"],
    "estimates": ["model", "task", "measure", "fraction", "step"],
}
"""The keys each finished table is sorted by, so that the same seed writes the same table."""

Rows = pd.DataFrame | Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class RunVerdict:
    """The verdict of a run on one model and task.

    Attributes:
        model, task: what was audited.
        word: "trust", "do-not-trust" or "undecided".
        reasons: why, in sentences.
    """

    model: str
    task: str
    word: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.model} on {self.task}: {self.word}. {' '.join(self.reasons)}".rstrip()


@dataclass(frozen=True, repr=False)
class Run:
    """One run folder. `fl.audit` makes it, `Run.open` reads it; `Run.create` starts an empty one."""

    path: Path

    def __repr__(self) -> str:
        words = ", ".join(f"{each.model} on {each.task}: {each.word}" for each in self._list_verdicts())
        return f"Run({str(self.path)!r}{', ' if words else ''}{words})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(each.model)}</td><td>{escape(each.task)}</td><td><b>{escape(each.word)}</b></td>"
            f"<td>{escape(' '.join(each.reasons))}</td></tr>"
            for each in self._list_verdicts()
        )
        return f"<p>Run in <code>{escape(str(self.path))}</code></p><table>{rows}</table>"

    @classmethod
    def create(cls, path: str | Path, manifest: Mapping[str, Any], resume: bool = False) -> "Run":
        """Start a run in an empty or new folder, or continue one whose config is the same.

        Raises:
            RunError: the folder holds something already and `resume` is False, it is not a run of this config, or it
                cannot be written.
        """
        cls.refuse_used(path, resume)
        run = cls(Path(path))
        if run.path.is_dir() and any(run.path.iterdir()):
            run._resume(manifest)
        else:
            try:
                run.path.mkdir(parents=True, exist_ok=True)
                run.write_json("manifest.json", manifest)
            except OSError as error:
                problem = f"the run folder {path} cannot be written: {error.strerror or error}"
                raise RunError(problem, "Name a folder that you may write.") from error
        return run

    @staticmethod
    def refuse_used(path: str | Path, resume: bool = False) -> None:
        """Raise RunError where `path` is a file, or a folder that holds something and `resume` is False."""
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise RunError(f"a run needs a folder, but {path} is a file", "Choose another folder.")
        if path.is_dir() and any(path.iterdir()) and not resume:
            problem = f"a new run needs an empty folder, but {path} is not empty"
            raise RunError(problem, "Name a new folder, or add --resume to continue the run in this folder.")

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """An existing run folder, for reading. Raises RunError where there is none."""
        run = cls(Path(path))
        if not (run.path / "manifest.json").is_file():
            problem = f"{run.path} is not a run folder: it has no manifest.json"
            raise RunError(problem, "Name a folder that faithlens wrote.")
        return run

    @property
    def manifest(self) -> dict[str, Any]:
        """What made this run: see `make_manifest`."""
        return self.read_json("manifest.json")

    @property
    def verdicts(self) -> tuple[RunVerdict, ...]:
        """The verdict on each model and task. Raises RunError if the run is not finished."""
        return tuple(
            RunVerdict(each["model"], each["task"], each["verdict"], tuple(each["reasons"]))
            for each in self.read_json("verdict.json")["subjects"]
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
    def scores(self) -> pd.DataFrame:
        """The score of every measure on every question. Raises RunError if there is none yet."""
        return self.read("scores")

    @property
    def estimates(self) -> pd.DataFrame:
        """The mean of every measure over questions, with its 95 % interval. Raises RunError if there is none yet."""
        return self.read("estimates")

    @property
    def edits(self) -> pd.DataFrame:
        """Every edit of the words of a step, and what the model did after it. Raises RunError if there is none yet."""
        return self.read("edits")

    @property
    def traces(self) -> pd.DataFrame:
        """Every chain of thought, with its steps and answer. Raises RunError if there is none yet."""
        return self.read("traces")

    @property
    def answers(self) -> pd.DataFrame:
        """The log-probability of every answer option under every condition. Raises RunError if there is none yet."""
        return self.read("answers")

    def report(self) -> Path:
        """The path of the report, report.html. It is not opened. Raises RunError if the run is not finished."""
        path = self.path / REPORT_NAME
        if not path.is_file():
            raise RunError(f"the run in {self.path} has no {REPORT_NAME} yet", "Continue the audit with --resume.")
        return path

    def _list_verdicts(self) -> tuple[RunVerdict, ...]:
        return self.verdicts if (self.path / "verdict.json").is_file() else ()

    def write_part(self, table: str, key: str, rows: Rows) -> None:
        """Keep one finished batch under `key`, whole or not at all.

        The same key written again replaces its part, so that a batch which was cut short between two tables is redone.

        Raises:
            RunError: a column or a row does not belong to the table.
            MeasureError: a score is of an unknown measure, or its value lies outside the range of the measure.
        """
        folder = self.path / "parts" / table
        data = _check_rows(table, rows)
        folder.mkdir(parents=True, exist_ok=True)
        _write_table(folder / f"{quote(key, safe='')}.parquet", data)

    def finished_keys(self, table: str) -> set[str]:
        """The keys whose batch is complete."""
        return {unquote(part.stem) for part in self._list_parts(table)}

    def finish(self, derived: Mapping[str, Rows] | None = None) -> None:
        """Write `DIR/<table>.parquet` for every table with parts, and for the `derived` tables given (estimates).

        The parts stay: they are what `done` and `--resume` go by.
        """
        tables = {table: self.read(table) for table in SCHEMAS if self._list_parts(table)}
        for table, rows in {**tables, **(derived or {})}.items():
            _write_table(self.path / f"{table}.parquet", _sort_rows(table, _check_rows(table, rows)))

    def read(self, table: str) -> pd.DataFrame:
        """The whole table, sorted: from its parts, or from the finished file. RunError where neither exists."""
        files = self._list_parts(table) or [self.path / f"{table}.parquet"]
        if not files[0].is_file():
            problem = f"the run in {self.path} has no table {table!r} yet"
            raise RunError(problem, "Continue the audit with --resume.")
        return _to_frame(_sort_rows(table, pa.concat_tables([pq.read_table(file) for file in files])))

    def has_table(self, table: str) -> bool:
        """Whether anything was written of a table."""
        return bool(self._list_parts(table)) or (self.path / f"{table}.parquet").is_file()

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file into the folder, whole or not at all. NaN is refused."""
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        self.write_text(name, text)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file into the folder, whole or not at all."""
        with write_atomically(self.path / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder. Raises RunError where it is missing or broken."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            problem = f"{name} of the run in {self.path} cannot be read: {error}"
            raise RunError(problem, "Run the audit again in a new folder.") from error

    def _list_parts(self, table: str) -> list[Path]:
        _get_schema(table)
        return sorted((self.path / "parts" / table).glob("*.parquet"))

    def _resume(self, manifest: Mapping[str, Any]) -> None:
        old = self.open(self.path).manifest
        changed = list_differences(old["config"], json.loads(json.dumps(manifest["config"])))
        if changed:
            problem = f"the run in {self.path} was started with other options: {'; '.join(changed)}"
            raise RunError(problem, "Repeat the old options, or name a new folder.")
        again = {name: manifest[name] for name in ("created", "versions") if name in manifest}
        self.write_json("manifest.json", {**old, "resumed": [*old.get("resumed", []), again]})


def make_manifest(config: Mapping[str, Any], seed: int, device: str) -> dict[str, Any]:
    """What a reader needs to make the numbers again; `config` is plain JSON."""
    return {
        "config": dict(config),
        "seed": seed,
        "versions": read_versions(),
        "commit": read_commit(),
        "device": device,
        "platform": platform.platform(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def read_versions() -> dict[str, str | None]:
    """Versions of Python and of the libraries that move numbers; None where one is not installed."""
    names = ("faithlens", "torch", "transformers", "transformer-lens", "numpy", "scipy")
    return {"python": platform.python_version()} | {name: _read_version(name) for name in names}


def _read_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def read_commit() -> str | None:
    """The git commit of the faithlens checkout; None for an installed wheel or where git is missing."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        out = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return out.stdout.strip()


def list_differences(old: Any, new: Any, name: str = "") -> list[str]:
    """Where two JSON values differ, each as ``name: old in the folder, new given``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted({*old, *new})
        return [d for key in keys for d in list_differences(old.get(key), new.get(key), f"{name}.{key}".lstrip("."))]
    return [] if old == new else [f"{name}: {old!r} in the folder, {new!r} given"]


def _get_schema(table: str) -> pa.Schema:
    check_choice(table, SCHEMAS, "table", RunError)
    return SCHEMAS[table]


def _check_rows(table: str, rows: Rows) -> pa.Table:
    """`rows` in the schema of the table.

    Raises:
        RunError: a column is unknown, missing or of another type; or a row has not exactly one of value and reason.
        MeasureError: a score is of an unknown measure, or its value lies outside the range of the measure.
    """
    schema = _get_schema(table)
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    unknown = [name for name in frame.columns if name not in schema.names]
    missing = [field.name for field in schema if not field.nullable and field.name not in frame.columns]
    if unknown or (missing and len(frame)):
        problem = f"rows of {table} have unknown columns {unknown} and lack the columns {missing}"
        raise RunError(problem, f"The columns of {table} are {', '.join(schema.names)}.")
    try:
        blank = [name for name in schema.names if name not in frame.columns or frame[name].isna().all()]
        filled = frame.assign(**{name: pd.Series(None, frame.index, dtype=object) for name in blank})
        data = pa.Table.from_pandas(filled[schema.names], schema, preserve_index=False)
    except (pa.ArrowException, ValueError) as error:
        problem = f"rows of {table} have values of the wrong type: {error}"
        raise RunError(problem, f"Give each column its type: {schema}") from error
    _check_values(table, frame)
    return data.replace_schema_metadata(None)


def _check_values(table: str, frame: pd.DataFrame) -> None:
    """A number is finite or missing with a reason; a score has one of both, and a value in the range of its measure."""
    if "value" not in SCHEMAS[table].names or frame.empty:
        return
    blank = pd.Series(None, index=frame.index, dtype=object)
    value, reason = frame.get("value", blank), frame.get("reason", blank)
    wrong = value.isna() & reason.isna() | np.isinf(pd.to_numeric(value, errors="coerce").fillna(0))
    if table == "scores":
        wrong |= value.notna() & reason.notna()
    if wrong.any():
        row = frame[wrong].iloc[0].to_dict()
        problem = f"{int(wrong.sum())} rows of {table} do not have exactly one of finite value and reason; first: {row}"
        raise RunError(problem, "Give a finite value, or no value and the reason.")
    if table == "scores":
        for measure, values in pd.to_numeric(value).groupby(frame["measure"]):
            for end in (None, values.min(), values.max()):
                check_value(str(measure), None if pd.isna(end) else float(end))


def _sort_rows(table: str, data: pa.Table) -> pa.Table:
    return data.sort_by([(name, "ascending") for name in ORDER[table]])


def _to_frame(data: pa.Table) -> pd.DataFrame:
    return data.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)


def _write_table(path: Path, data: pa.Table) -> None:
    with write_atomically(path) as temporary:
        pq.write_table(data, temporary)


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """A temporary file that becomes `path` only when the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
