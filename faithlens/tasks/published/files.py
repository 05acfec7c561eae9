"""Reading of a released folder: JSON, JSON lines and CSV, packed with gzip or not, by their endings.

A file that cannot be read in full is refused with its name and the place of the damage, so no table is made of half a
file. Readers recognise their files by the content, because copies of a release rename files.
"""

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from faithlens.errors import TaskError
from faithlens.strict_json import parse_strictly
from faithlens.tasks.entries import FaultList, parse_object, shorten_value
from faithlens.tasks.question_factory import BadEntryError
from faithlens.tasks.rows import check_header

MAX_BYTES = 1 << 30
"""The longest file that is read, unpacked; a packed file may claim any size."""

_MOST_NAMED = 5  # endings in one error
_AGAIN = "Copy the file from its source again."


def list_files(folder: str | Path, *endings: str) -> list[Path]:
    """The files of a folder and its subfolders with one of `endings`, or one of them and ``.gz``, in order.

    A path to one file stands for a folder that holds it alone.

    Raises:
        TaskError: there is no such folder, or no such file in it.
    """
    root = Path(folder)
    if not root.exists():
        raise TaskError(f"there is no folder {root}", "Pass the folder that holds the released files.")
    listed = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    matching = [path for path in listed if has_ending(path, *endings)]
    if not matching:
        endings_there = list(dict.fromkeys(map(_get_ending, listed)))
        others = f"; it holds {', '.join(endings_there[:_MOST_NAMED])}" if endings_there else ""
        fix = "Pass the folder that holds the released files."
        if any(".pkl" in each or ".pickle" in each for each in endings_there):
            fix = "A pickle can run code and is not read: write its table as CSV with pandas (to_csv), if you trust it."
        raise TaskError(f"{root} holds no file that ends in {' or '.join(endings)} (or with .gz){others}", fix)
    return matching


def _get_ending(path: Path) -> str:
    """The ending of a file, with that before ``.gz``; its name where it has none."""
    return "".join(path.suffixes[-2 if is_packed(path) else -1 :]) or path.name


def is_packed(path: Path) -> bool:
    """Whether the name of a file ends in ``.gz``, in small letters or capitals."""
    return path.name.lower().endswith(".gz")


def strip_packing(path: Path) -> str:
    """The name of a file without ``.gz``."""
    return path.name[: -len(".gz")] if is_packed(path) else path.name


def has_ending(path: Path, *endings: str) -> bool:
    """Whether a file ends in one of `endings`, packed or not, in small letters or capitals."""
    return strip_packing(path).lower().endswith(endings)


def strip_endings(path: Path) -> str:
    """The name of a file without ``.gz`` and without its last ending."""
    return strip_packing(path).rpartition(".")[0] or path.name


def read_text(path: Path) -> str:
    """The text of a file, unpacked where its name ends in ``.gz``.

    Raises:
        TaskError: it cannot be opened, is longer than `MAX_BYTES`, its packing is damaged, or it is not UTF-8.
    """
    try:
        with (gzip.open if is_packed(path) else open)(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TaskError(f"{path} is damaged: its gzip packing does not unpack ({error})", _AGAIN) from error
    except (OSError, ValueError) as error:
        raise TaskError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}", "Check the file."
        ) from error
    if len(content) > MAX_BYTES:
        raise TaskError(f"{path} is longer than {MAX_BYTES >> 20} MiB when unpacked", "Pass a smaller file.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise TaskError(f"{path} is damaged: not UTF-8 at byte {error.start}, line {line}", _AGAIN) from error


def read_json(path: Path) -> Any:
    """The value that a JSON file holds.

    Raises:
        TaskError: it cannot be read, or is not JSON; the line and the column are named.
    """
    try:
        return parse_strictly(read_text(path))
    except json.JSONDecodeError as error:
        problem = f"{path} is damaged: not JSON at line {error.lineno}, column {error.colno} ({error.msg})"
        raise TaskError(problem, _AGAIN) from error
    except ValueError as error:
        raise TaskError(f"{path} is damaged: its JSON cannot be read: {error}", _AGAIN) from error


def read_json_lines(path: Path, faults: FaultList) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object of a JSON-lines file with its place; a line that holds none goes to `faults`."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            with faults.collect_at(f"line {number}"):
                yield f"line {number}", parse_object(line)


@dataclass(frozen=True)
class ReleasedTable:
    """A CSV file: the names of its columns, and its rows with the line in which each ends."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, dict[str, str]], ...]


def read_table(path: Path) -> ReleasedTable:
    """Read a CSV file with a header; empty lines are skipped.

    Raises:
        TaskError: it cannot be read, has no header, names two columns alike, or a row has not the header's number of
            fields.
    """
    faults = FaultList(path, "row")
    csv.field_size_limit(MAX_BYTES)  # a chain of thought may be longer than the 131,072 characters of the default
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    rows: list[tuple[str, dict[str, str]]] = []
    try:
        written = (fields for fields in reader if any(fields))
        columns = tuple(next(written, ()))
        try:
            check_header(columns)
        except ValueError as error:
            raise TaskError(f"{path} is damaged: {error}", _AGAIN) from error
        for fields in written:
            with faults.collect_at(where := f"line {reader.line_num}"):
                if len(fields) != len(columns):
                    problem = f"{len(fields)} fields, and the header has {len(columns)}"
                    raise BadEntryError(problem, "the row is cut off or damaged")
                rows.append((where, dict(zip(columns, fields, strict=True))))
    except csv.Error as error:
        raise TaskError(f"{path} is damaged: not CSV at line {reader.line_num} ({error})", _AGAIN) from error
    if not columns:
        raise TaskError(f"{path} is empty", _AGAIN)
    faults.raise_if_any(_AGAIN)
    return ReleasedTable(path, columns, tuple(rows))


def explain_columns(table: ReleasedTable, required: Sequence[str]) -> str | None:
    """Why a table cannot be the one with the columns `required`; None if it has all of them."""
    missing = [name for name in required if name not in table.columns]
    if not missing:
        return None
    return f"{table.path.name} was not read: it has no column {', '.join(map(repr, missing))}"


def list_distinct(paths: Sequence[Path], remarks: list[str]) -> list[Path]:
    """The files without those that hold, when unpacked, the same text as an earlier one; a remark names each of them.

    Raises:
        TaskError: a file cannot be read.
    """
    first: dict[bytes, Path] = {}
    for path in paths:
        known = first.setdefault(sha256(read_text(path).encode()).digest(), path)
        if known is not path:
            remarks.append(f"{path} holds the same as {known}, and counts once")
    return list(first.values())


@contextmanager
def name_place(path: Path, where: str) -> Iterator[None]:
    """Turn a fault of an entry into a TaskError that names the file and the place.

    Raises:
        TaskError: an entry in this block cannot be used.
    """
    try:
        yield
    except BadEntryError as fault:
        fix = f"{fault.fix[:1].upper()}{fault.fix[1:]}."
        raise TaskError(f"{path} is damaged at {where}: {fault.problem}", fix) from fault


def get_value(entry: dict[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    """What `entry` holds under `key`, checked to be of `kind`; True and False do not count as numbers.

    Raises:
        BadEntryError: the key is missing, or holds something else.
    """
    if key not in entry:
        raise BadEntryError(f"no {key!r}", "copy the file from its source again")
    value = entry[key]
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise BadEntryError(f"{key!r} is {shorten_value(value)}", "copy the file from its source again")
    return value


def get_number(row: dict[str, str], column: str, low: float = float("-inf"), high: float = float("inf")) -> float:
    """The finite number in a column of a row.

    Raises:
        BadEntryError: it is no finite number, or lies outside of `low` to `high`.
    """
    try:
        number = float(row[column])
    except ValueError:
        raise BadEntryError(f"{column!r} is {shorten_value(row[column])}", "a number is expected there") from None
    if not (low <= number <= high and math.isfinite(number)):
        expected = f"a number from {low:g} to {high:g}" if math.isfinite(high) else f"a finite number from {low:g}"
        raise BadEntryError(f"{column!r} is {number:g}", f"{expected} is expected there")
    return number


def get_count(row: dict[str, str], column: str, low: int = 0, high: int | None = None) -> int:
    """The whole number in a column of a row, which may be written as ``10.0``.

    Raises:
        BadEntryError: it is no whole number, or lies outside of `low` to `high`.
    """
    number = get_number(row, column, float(low), float("inf") if high is None else float(high))
    if number != int(number):
        raise BadEntryError(f"{column!r} is {number:g}", "a whole number is expected there")
    return int(number)


def read_name(text: str) -> str:
    """A name that may be a number: ``7`` for "7.0", as tables write it where some rows of the column are empty."""
    whole, point, rest = text.strip().partition(".")
    return whole if point and whole.isdigit() and not rest.strip("0") else text.strip()
