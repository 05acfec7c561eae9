"""Sample logs of lm-evaluation-harness (`--log_samples`, ``samples_<task>_<date>.jsonl``), as of its release 0.4.13.

A line holds one document (`doc`, `doc_id`, `target`) and the texts generated for it (`resps`, a list for each request).
A task with several filters logs every document once a filter, with the same texts: those of the first filter are read.
The logs do not say which texts were cut off at the token limit, so all count as finished, but for an open think block.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from faithlens.tasks.entries import BadEntryError, FaultList, check_text, parse_object, shorten_value
from faithlens.tasks.formats.reply_record import ReplyRecord, make_entry
from faithlens.tasks.jsonl import read_lines

LOG_KEYS = ("doc_id", "doc", "target", "resps")
"""What a line of such a log must have."""

QUESTION_KEYS = (
    ("passage", "question"),
    ("context", "question"),
    ("body", "question"),
    ("Body", "Question"),
    ("question",),
    ("Question",),
    ("input",),
    ("problem",),
    ("Problem",),
    ("query",),
)
"""Keys of a document whose texts, a line each, are its question; the first row that a document has counts."""

OPTION_KEYS = ("choices", "options", "endings")
"""Keys of a document that may hold its options: a list of texts, or lists of "text" and "label"."""


GOLD_KEYS = ("answer", "gold", "label", "gold_index", "answer_index", "answer_idx", "correct")
"""Keys of a document that may hold the right option's index, from 0."""


def is_log_line(line: str) -> bool:
    """Whether `line` is of such a log, by its keys."""
    try:
        return {"doc", "resps"} <= parse_object(line).keys()
    except BadEntryError:
        return False


def read_records(path: Path, faults: FaultList) -> Iterator[tuple[str, ReplyRecord]]:
    """One record a document, with its line's name; faults go to `faults`."""
    first: list[object] = []
    for number, line in read_lines(path):
        with faults.collect_at(f"line {number}"):
            logged = _parse_line(line)
            first = first or [logged.get("filter")]
            if [logged.get("filter")] == first:
                yield f"line {number}", _make_record(logged)


def _parse_line(line: str) -> dict[str, Any]:
    logged = parse_object(line)
    for key in LOG_KEYS:
        if key not in logged:
            raise BadEntryError(f"no {key!r}", "give the file as lm-evaluation-harness wrote it")
    return logged


def _make_record(logged: Mapping[str, Any]) -> ReplyRecord:
    doc = logged["doc"]
    if not isinstance(doc, dict):
        raise BadEntryError(f"'doc' is {shorten_value(doc)}", "only documents with named keys can be read")
    entry = make_entry(f"doc-{logged['doc_id']}", _read_question(doc), *_read_answer(doc, str(logged["target"])))
    return ReplyRecord(entry, tuple((text, "stop") for text in _read_texts(logged["resps"])))


def _read_question(doc: Mapping[str, Any]) -> str:
    for keys in QUESTION_KEYS:
        if all(key in doc for key in keys):
            return "\n".join(check_text(doc[key], f"{key!r} of 'doc'") for key in keys)
    known = ", ".join(" + ".join(keys) for keys in QUESTION_KEYS)
    raise BadEntryError(
        f"'doc' has the keys {', '.join(doc)}, and none known to hold a question ({known})",
        "give these chains of thought as JSON lines with 'question', 'answer' and 'cot'",
    )


def _read_answer(doc: Mapping[str, Any], target: str) -> tuple[str, list[str]]:
    """The target and the options; an index or an outside label among the targets becomes the option it stands for."""
    found = next((doc[key] for key in OPTION_KEYS if key in doc), [])
    names, texts = (found.get("label", []), found.get("text", [])) if isinstance(found, dict) else ([], found)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return target, []
    if target in names:
        return texts[names.index(target)], texts
    for key in GOLD_KEYS:
        gold = doc.get(key)
        gold = gold[0] if isinstance(gold, list) and len(gold) == 1 else gold
        is_index = isinstance(gold, int) and not isinstance(gold, bool) and gold in range(len(texts))
        if is_index and target.strip().strip("[]") == str(gold):
            return texts[gold], texts
    return target, texts


def _read_texts(resps: object) -> list[str]:
    """The generated texts. Raises BadEntryError where the log is of answers that were scored, not written."""
    match resps:
        case [[*texts]] if texts and all(isinstance(text, str) for text in texts):
            return [check_text(text, "an entry of 'resps'", may_be_empty=True) for text in texts]
    raise BadEntryError(
        f"'resps' is {shorten_value(resps)}, not one list of texts", "log a task with output_type: generate_until"
    )
