"""Read the rows of datasets, which differ in shape: nested keys, options with labels in their texts, answers."""

import re
from collections.abc import Sequence
from typing import Any

from faithlens.tasks.candidates import write_plainly
from faithlens.tasks.prompts import make_labels
from faithlens.tasks.question_factory import BadEntryError
from faithlens.tasks.rows import Row
from faithlens.tasks.values import read_number

_TRUTH_INDEX = {"true": 0, "yes": 0, "false": 1, "no": 1}
_MAX_CLASSES = 10
_OPTION_LINE = re.compile(r"^\s*(?:\([A-Z]\)|-)\s*(.+?)\s*$", re.M)


def read_place(row: Row, place: str) -> Any:
    """The value of a row at `place` (see `DatasetLayout`): a list for several keys, None if one of them is missing."""
    for alternative in filter(None, place.split("|")):
        values = [_follow_key(row, key) for key in alternative.split(",")]
        if None not in values:
            return values if len(values) > 1 else values[0]
    return None


def _follow_key(row: Any, key: str) -> Any:
    """The value under a key with dots, which lead into objects; a list of objects gives a list of their values."""
    for name in key.split("."):
        if isinstance(row, list) and all(isinstance(item, dict) for item in row):
            row = [item.get(name) for item in row]
        else:
            row = row.get(name) if isinstance(row, dict) else None
    return row


def read_options(value: Any) -> tuple[str, ...]:
    """Options as texts, without the labels that some datasets write into them ("A)5"); empty where there are none."""
    if not isinstance(value, list):
        return ()
    texts = [str(option).strip() for option in value]
    numbered = [
        re.match(rf"\(?{label}[).:]\s*", text) for label, text in zip(make_labels(len(texts)), texts, strict=False)
    ]
    if texts and len(texts) == len(numbered) and all(numbered):
        texts = [text[match.end() :] for text, match in zip(texts, numbered, strict=True) if match]
    if not all(texts):
        raise BadEntryError("an option is empty", "write it out")
    return tuple(texts)


def find_right_option(answer: Any, options: Sequence[str], option_labels: Any = None) -> int:
    """The place of the right option: `answer` is its label, its index, yes or no, its content, or a list of marks."""
    if isinstance(answer, list):
        return _find_index(answer, 1, "no option is marked as right")
    if isinstance(option_labels, list):
        return _find_index(option_labels, answer, f"answer {answer!r} is none of the labels {option_labels}")
    text = str(answer).strip()
    if tuple(options) == ("Yes", "No") and text.lower() in _TRUTH_INDEX:
        return _TRUTH_INDEX[text.lower()]
    if letter := re.fullmatch(r"\(?([A-Z])\)?", text):
        return ord(letter[1]) - ord("A")
    if re.fullmatch(r"[0-9]+(\.0)?", text):
        return int(float(text))
    return _find_index(list(options), text, f"answer {text[:40]!r} is none of the options")


def _find_index(values: list[Any], value: Any, fault: str) -> int:
    if value not in values:
        raise BadEntryError(fault, "correct the row")
    return values.index(value)


def prepare_gsm8k(rows: Sequence[Row]) -> list[Row]:
    """GSM8K's answers: what stands after "####", and the results of the calculations in double angle brackets."""
    prepared = []
    for row in rows:
        answer = str(row.get("answer", ""))
        results = [read_number(value) for value in re.findall(r"<<[^<>]*=([^<>]*)>>", answer)]
        final = write_plainly(answer.rpartition("####")[2])
        values = [str(value) for value in results if value is not None]
        values += [final] if final and values[-1:] != [final] else []
        prepared.append({**row, "answer": final or answer, "values": values})
    return prepared


def prepare_bbh(rows: Sequence[Row]) -> list[Row]:
    """BIG-Bench Hard: options taken out of the question; where it has none, the few different answers of all rows."""
    answers = sorted({str(row.get("target", "")).strip() for row in rows})
    few = 2 <= len(answers) <= _MAX_CLASSES and not any(map(read_number, answers))
    prepared = []
    for row in rows:
        text, _, tail = str(row.get("input", "")).partition("\nOptions:")
        options = _OPTION_LINE.findall(tail) or (answers if few else [])
        prepared.append({**row, "input": text.removeprefix("Question:").strip(), "options": options or None})
    return prepared
