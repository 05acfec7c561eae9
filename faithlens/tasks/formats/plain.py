"""Chains of thought as JSON lines: the keys of a question file, and `cot` (one text) or `cots` (several).

    {"question": "...", "choices": ["12", "15"], "answer": "B", "cot": "First ...", "finish": "stop"}

`finish` is "stop" (the default) or "length" for chains that were cut off. The same question may stand on several lines.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faithlens.tasks.entries import KEYS, BadEntryError, Faults, check_keys, checked, object_of, short
from faithlens.tasks.formats.record import Finish, Record
from faithlens.tasks.jsonl import read_lines

_OWN = ("cot", "cots", "finish")


def records(path: Path, faults: Faults) -> Iterator[tuple[str, Record]]:
    """One record a line, with the line's name; faults go to `faults`."""
    for number, line in read_lines(path):
        with faults.collect_at(f"line {number}"):
            entry = object_of(line)
            check_keys(entry, (*KEYS, *_OWN))
            finish = _finish(entry)
            asked = {key: value for key, value in entry.items() if key not in _OWN}
            yield f"line {number}", Record(asked, tuple((cot, finish) for cot in _cots(entry)))


def _cots(entry: dict[str, Any]) -> list[str]:
    """The chains of thought of one line; an empty one is a chain, of a model that wrote nothing."""
    if ("cot" in entry) == ("cots" in entry):
        raise BadEntryError("both 'cot' and 'cots'; keep one" if "cot" in entry else "no 'cot'; add it, or 'cots'")
    if "cot" in entry:
        return [checked(entry["cot"], "'cot'", may_be_empty=True)]
    if not isinstance(entry["cots"], list) or not entry["cots"]:
        raise BadEntryError(f"'cots' is {short(entry['cots'])}; write a list of texts")
    return [checked(cot, "an entry of 'cots'", may_be_empty=True) for cot in entry["cots"]]


def _finish(entry: dict[str, Any]) -> Finish:
    match entry.get("finish", "stop"):
        case "stop":
            return "stop"
        case "length":
            return "length"
        case other:
            raise BadEntryError(f'\'finish\' is {short(other)}; write "stop" or "length"')
