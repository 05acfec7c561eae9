"""The JSON files of a run as objects, whose entries have the shape that faithlens writes."""

from typing import Any

from faithlens.store.faults import READERS_NAME, VERDICT_NAME, Fault
from faithlens.store.manifest import parse_json
from faithlens.store.shapes import ReadersFile, UnitsFile, VerdictFile
from faithlens.store.units import UNITS_NAME
from faithlens.strict_json import find_misfit

SHAPES: dict[str, Any] = {VERDICT_NAME: VerdictFile, UNITS_NAME: UnitsFile, READERS_NAME: ReadersFile}
"""The shape of each file whose entries are read."""


def parse_file(name: str, content: bytes) -> dict[str, Any]:
    """The content of the JSON file `name` of a run. Raises ValueError, as the end of a sentence, otherwise."""
    try:
        entries = parse_json(content)
    except ValueError as error:
        raise ValueError(f"cannot be read: {error}") from error
    if misfit := find_misfit(entries, SHAPES.get(name, Any)):
        raise ValueError(misfit)
    return entries


def find_shape_fault(name: str, content: bytes) -> Fault | None:
    """What is wrong with the entries of a JSON file of a run, whose content is as it was written."""
    try:
        parse_file(name, content)
    except ValueError as error:
        return Fault(name, str(error))
    return None
