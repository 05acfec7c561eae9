"""The files of a run as objects: JSON whose entries have the shape that faithlens writes, and tables whose rows do."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from faithlens.store.faults import READERS_NAME, VERDICT_NAME, Fault
from faithlens.store.manifest import parse_json
from faithlens.store.shapes import ReadersFile, UnitsFile, VerdictFile
from faithlens.store.tables import SCHEMAS, parse_table
from faithlens.store.units import UNITS_NAME
from faithlens.strict_json import find_misfit

SHAPES: dict[str, Any] = {VERDICT_NAME: VerdictFile, UNITS_NAME: UnitsFile, READERS_NAME: ReadersFile}
"""The shape of each file whose entries are read."""
CHAINS_FOLDER = "chains"
"""Where chains of thought lie that units take over from another run, until the run is concluded."""


def parse_file(name: str, content: bytes) -> dict[str, Any]:
    """The content of the JSON file `name` of a run. Raises ValueError, as the end of a sentence, otherwise."""
    try:
        entries = parse_json(content)
    except ValueError as error:
        raise ValueError(f"cannot be read: {error}") from error
    if misfit := find_misfit(entries, SHAPES.get(name, Any)):
        raise ValueError(misfit)
    return entries


def name_table(name: str) -> str | None:
    """The table that the file `name` of a run holds, or a part of it; None for other files."""
    folder, *rest = PurePosixPath(name).parts
    if folder == CHAINS_FOLDER:
        return "drafts"
    table = rest[0] if rest else folder.removesuffix(".parquet")
    return table if table in SCHEMAS and name.endswith(".parquet") else None


def parse_rows(name: str, content: bytes, units: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    """The rows in the file `name` of a run with these `units`: of one of them in its part, of any in other files.

    Raises:
        ValueError: as `parse_table`; or a row is of a model, task or question of no such unit.
    """
    rows = parse_table(str(name_table(name)), content)
    own = units.get(unquote(PurePosixPath(name).stem))
    owners = [own] if own else list(units.values())
    known = {
        "model": {unit["model"] for unit in owners},
        "task": {unit["task"] for unit in owners},
        "question": {question for unit in owners for question in unit["questions"]},
    }
    for column, values in known.items() if owners else ():
        if column in rows.column_names and (foreign := {*rows[column].unique().to_pylist()} - values):
            raise ValueError(
                f"has rows of the {column} {min(foreign)!r}, which is none of its {'unit' if own else 'run'}"
            )
    return rows


def find_shape_fault(name: str, content: bytes, units: Mapping[str, Mapping[str, Any]]) -> Fault | None:
    """What is wrong with the entries or rows of a file of a run, whose content is as it was written."""
    try:
        if name in SHAPES:
            parse_file(name, content)
        elif name_table(name):
            parse_rows(name, content, units)
    except ValueError as error:
        return Fault(name, str(error))
    return None
