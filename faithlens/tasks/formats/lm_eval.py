"""Sample logs of lm-evaluation-harness (`--log_samples`, ``samples_<task>_<date>.jsonl``), as of its release 0.4.13.

A line holds one document (`doc`, `doc_id`, `target`) and the texts generated for it (`resps`, a list for each request).
A task with several filters logs every document once a filter, with the same texts: those of the first filter are read.
The logs do not say which texts were cut off at the token limit, so all count as finished, but for an open think block.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from faithlens.tasks.entries import BadEntryError, Faults, checked, object_of, short
from faithlens.tasks.formats.record import Record, entry_of
from faithlens.tasks.jsonl import read_lines

KEYS = ("doc_id", "doc", "target", "resps")
"""What a line of such a log must have."""

QUESTIONS = (
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

CHOICES = ("choices", "options")
"""Keys of a document that may hold its options: a list of texts, or lists of "text" and "label"."""


def is_log_line(line: str) -> bool:
    """Whether `line` is of such a log, by its keys."""
    try:
        return {"doc", "resps"} <= object_of(line).keys()
    except BadEntryError:
        return False


def records(path: Path, faults: Faults) -> Iterator[tuple[str, Record]]:
    """One record a document, with its line's name; faults go to `faults`."""
    first: list[object] = []
    for number, line in read_lines(path):
        with faults.collect_at(f"line {number}"):
            logged = _logged(line)
            first = first or [logged.get("filter")]
            if [logged.get("filter")] == first:
                yield f"line {number}", _record(logged)


def _logged(line: str) -> dict[str, Any]:
    logged = object_of(line)
    for key in KEYS:
        if key not in logged:
            raise BadEntryError(f"no {key!r}; give the file as lm-evaluation-harness wrote it")
    return logged


def _record(logged: Mapping[str, Any]) -> Record:
    doc = logged["doc"]
    if not isinstance(doc, dict):
        raise BadEntryError(f"'doc' is {short(doc)}; only documents with named keys can be read")
    entry = entry_of(f"doc-{logged['doc_id']}", _question(doc), *_answer(doc, str(logged["target"])))
    return Record(entry, tuple((text, "stop") for text in _texts(logged["resps"])))


def _question(doc: Mapping[str, Any]) -> str:
    for keys in QUESTIONS:
        if all(key in doc for key in keys):
            return "\n".join(checked(doc[key], f"{key!r} of 'doc'") for key in keys)
    known = ", ".join(" + ".join(keys) for keys in QUESTIONS)
    raise BadEntryError(
        f"'doc' has the keys {', '.join(doc)}, and none known to hold a question ({known}); "
        "give these chains of thought as JSON lines with 'question', 'answer' and 'cot'"
    )


def _answer(doc: Mapping[str, Any], target: str) -> tuple[str, list[str]]:
    """The target and the options; an index or an outside label among the targets becomes the option it stands for."""
    found = next((doc[key] for key in CHOICES if key in doc), [])
    names, texts = (found.get("label", []), found.get("text", [])) if isinstance(found, dict) else ([], found)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return target, []
    if target in names:
        return texts[names.index(target)], texts
    if isinstance(doc.get("answer"), int) and target == str(doc["answer"]) and doc["answer"] in range(len(texts)):
        return texts[doc["answer"]], texts
    return target, texts


def _texts(resps: object) -> list[str]:
    """The generated texts. Raises BadEntryError where the log is of answers that were scored, not written."""
    match resps:
        case [[*texts]] if texts and all(isinstance(text, str) for text in texts):
            return [checked(text, "an entry of 'resps'", may_be_empty=True) for text in texts]
    raise BadEntryError(
        f"'resps' is {short(resps)}, not one list of texts; log a task that generates (output_type: generate_until)"
    )
