"""Rows of a dataset, as plain dictionaries: from a local file, or from the Hugging Face hub."""

import ast
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faithlens.errors import TaskError, translate_errors
from faithlens.strict_json import parse_strictly

Row = dict[str, Any]
ROW_FILE_SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")


def read_rows(path: Path) -> list[Row]:
    """The rows of a file in JSON lines, JSON (a list, or a list under one key), CSV with a header, or Parquet.

    Raises TaskError where the file is of another kind or cannot be read.
    """
    if path.suffix not in ROW_FILE_SUFFIXES:
        raise TaskError(
            f"files that end in {path.suffix!r} cannot be read, got {path}",
            f"Save it as {', '.join(ROW_FILE_SUFFIXES)}.",
        )
    fix = "Check that the file exists and that its content fits its suffix."
    try:
        with translate_errors(TaskError, f"{path} cannot be read", fix):
            rows = _read_parquet(path) if path.suffix == ".parquet" else _read_text(path)
    except ValueError as error:  # one of our own readers
        raise TaskError(f"{path} cannot be read: {error}", fix) from error
    if not rows or not all(isinstance(row, dict) for row in rows):
        problem = f"{path} holds no rows" if not rows else f"{path} holds entries that are no objects"
        raise TaskError(problem, "Write one object for each row.")
    return rows


def load_hub_rows(repo: str, config: str | None, split: str, revision: str | None) -> list[Row]:
    """The rows of one split of a dataset on the hub, or in the hub's local cache.

    Raises TaskError where the `datasets` library is missing, or the dataset cannot be loaded.
    """
    source = f"{repo} ({config or 'default'}, {split})"
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise TaskError(
            f"{source} cannot be loaded from the hub: the library 'datasets' is not installed", _INSTALL_FIX
        ) from error
    # loading fails without a network, for an unknown dataset, or if the repository holds a script in place of data
    with translate_errors(TaskError, f"{source} cannot be loaded from the hub", _DOWNLOAD_FIX):
        return [dict(row) for row in load_dataset(repo, config, split=split, revision=revision)]


_INSTALL_FIX = "Run pip install 'faithlens[tasks]', or pass a local file: NAME=path/to/file.jsonl."
_DOWNLOAD_FIX = "Check the connection and HF_HUB_OFFLINE, or pass a local file: NAME=path/to/file.jsonl."


def _read_parquet(path: Path) -> list[Row]:
    import pyarrow.parquet as parquet

    return parquet.read_table(path).to_pylist()


def _read_text(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".csv":
        return _parse_csv(text)
    if path.suffix == ".json":
        try:
            return _find_row_list(parse_strictly(text))
        except json.JSONDecodeError:
            pass  # some datasets call their JSON lines .json
    return [parse_strictly(line) for line in text.split("\n") if line.strip()]


def _find_row_list(parsed: Any) -> list[Any]:
    """A list, or the one list of objects among the values of an object; anything else is a single row."""
    if isinstance(parsed, list):
        return parsed
    inner = parsed.values() if isinstance(parsed, dict) else []
    lists = [value for value in inner if isinstance(value, list) and value and isinstance(value[0], dict)]
    return lists[0] if len(lists) == 1 else [parsed]


def _parse_csv(text: str) -> list[Row]:
    """The rows under a header of distinct names, each with as many cells. Raises ValueError for any other."""
    reader = csv.reader(io.StringIO(text), strict=True)
    filled = (cells for cells in reader if cells)
    header = next(filled, [])
    check_header(header)
    rows: list[Row] = []
    for cells in filled:
        if len(cells) != len(header):
            raise ValueError(f"line {reader.line_num} has {len(cells)} cells, and the header has {len(header)}")
        rows.append({name: _parse_cell(cell) for name, cell in zip(header, cells, strict=True)})
    return rows


def check_header(names: Sequence[str]) -> None:
    """Raise ValueError, as the end of a sentence, where two columns of a table have one name; names may be empty."""
    if repeated := [name for place, name in enumerate(names) if name and name in names[:place]]:
        raise ValueError(f"two columns are named {repeated[0]!r}")


def _parse_cell(value: str) -> Any:
    """The value of a cell: a list or an object if it is written as one, else its text."""
    if not value or value[0] not in "[{":
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value
