"""Chains of thought as JSON lines: the keys of a question file, and `cot` (one text) or `cots` (several).

    {"question": "...", "choices": ["12", "15"], "answer": "B", "cot": "First ...", "finish": "stop"}

`finish` is "stop" (the default) or "length" for chains that were cut off. The same question may stand on several lines.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faithlens.tasks.entries import (
    ENTRY_KEYS,
    BadEntryError,
    FaultList,
    check_keys,
    check_text,
    parse_object,
    shorten_value,
)
from faithlens.tasks.formats.reply_record import Finish, ReplyRecord
from faithlens.tasks.jsonl import read_lines

_REPLY_KEYS = ("cot", "cots", "finish")


def read_records(path: Path, faults: FaultList) -> Iterator[tuple[str, ReplyRecord]]:
    """One record a line, with the line's name; faults go to `faults`."""
    for number, line in read_lines(path):
        with faults.collect_at(f"line {number}"):
            entry = parse_object(line)
            check_keys(entry, (*ENTRY_KEYS, *_REPLY_KEYS))
            finish = _read_finish(entry)
            question_entry = {key: value for key, value in entry.items() if key not in _REPLY_KEYS}
            yield f"line {number}", ReplyRecord(question_entry, tuple((cot, finish) for cot in _read_cots(entry)))


def _read_cots(entry: dict[str, Any]) -> list[str]:
    """The chains of thought of one line; an empty one is a chain, of a model that wrote nothing."""
    if ("cot" in entry) == ("cots" in entry):
        both = ("both 'cot' and 'cots'", "keep one")
        raise BadEntryError(*(both if "cot" in entry else ("no 'cot'", "add it, or 'cots'")))
    if "cot" in entry:
        return [check_text(entry["cot"], "'cot'", may_be_empty=True)]
    if not isinstance(entry["cots"], list) or not entry["cots"]:
        raise BadEntryError(f"'cots' is {shorten_value(entry['cots'])}", "write a list of texts")
    return [check_text(cot, "an entry of 'cots'", may_be_empty=True) for cot in entry["cots"]]


def _read_finish(entry: dict[str, Any]) -> Finish:
    match entry.get("finish", "stop"):
        case "stop":
            return "stop"
        case "length":
            return "length"
        case other:
            raise BadEntryError(f"'finish' is {shorten_value(other)}", 'write "stop" or "length"')
