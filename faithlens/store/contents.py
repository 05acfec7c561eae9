"""The files of a run as objects: JSON whose entries have the shape that faithlens writes, and tables whose rows do."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from faithlens.measures.catalogue import list_measures
from faithlens.store.faults import READERS_NAME, VERDICT_NAME, Fault, is_part
from faithlens.store.manifest import parse_json
from faithlens.store.shapes import ReadersFile, UnitsFile, VerdictFile
from faithlens.store.tables import SCHEMAS, TEXT, parse_table
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
        ValueError: as `parse_table`; a row is of a model, task or question of no such unit; or a question is left out.
    """
    table = str(name_table(name))
    rows = parse_table(table, content)
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
                f"has rows of the {column} {min(foreign)[:40]!r}, which is none of its {'unit' if own else 'run'}"
            )
    if owners and (own or not is_part(name)):
        _check_counts(table, rows, owners)
    return rows


def _check_counts(table: str, rows: pa.Table, units: Iterable[Mapping[str, Any]]) -> None:
    """Raise ValueError where `rows` leave out a question of the units: those used and those dropped are all asked.

    It shows in measures that also say why a lost chain has no score; other tables and measures have no row of it.
    """
    if table not in ("scores", "estimates"):
        return
    questions = {(unit["model"], unit["task"], question) for unit in units for question in unit["questions"]}
    measures = pa.array([measure.name for measure in list_measures(place="lost chain")], TEXT)
    rows = rows.filter(pc.is_in(rows["measure"], measures))
    if table == "estimates":
        counts = Counter((model, task) for model, task, _ in questions)
        for row in rows.to_pylist():
            n, expected = row["n_used"] + row["n_dropped"], counts[row["model"], row["task"]]
            if n != expected:
                raise ValueError(f"counts {n} questions for {row['measure']}, and {expected} were asked")
        return
    by_measure = dict[str, set[tuple[str, str, str]]]()
    for row in rows.group_by(["measure", "model", "task", "question"]).aggregate([]).to_pylist():
        by_measure.setdefault(row["measure"], set()).add((row["model"], row["task"], row["question"]))
    for measure, present in by_measure.items():
        if missing := questions - present:
            raise ValueError(f"has no row of {measure} for the question {min(missing)[2]!r}, which was asked")


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
