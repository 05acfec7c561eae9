"""Sample logs of lm-evaluation-harness (`--log_samples`, ``samples_<task>_<date>.jsonl``), as of its release 0.4.13.

A line holds one document (`doc`, `doc_id`, `target`) and the texts generated for it (`resps`, a list for each request).
A task with several filters logs every document once a filter, with the same texts: the lines of the first filter are
read, and a remark in the manifest names it and the others. Repeats of a document stand on one line, so a document that
stands on two lines of a filter is doubled, and the second is a bad entry.

The right option may be given as a letter, as an index from 0 or as its text, and a text may look like an index. A
number that is written without quotes is an index first. A target that could mean two options means the one that the
document's own keys name too (`GOLD_KEYS`).

The logs do not say which texts were cut off at the token limit, so all count as finished, except those with a think
block that is not closed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from faithlens.errors import escape_controls
from faithlens.tasks.entries import BadEntryError, FaultList, check_text, parse_object, shorten_value
from faithlens.tasks.formats.reply_record import LABEL, GivenReply, ReplyRecord, make_entry
from faithlens.tasks.jsonl import read_lines
from faithlens.tasks.prompts import make_labels

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
"""Keys of a document that may hold its options: a list of texts, lists of "text" and "label", or texts by label."""

GOLD_KEYS = ("answer", "gold", "label", "gold_index", "answer_index", "answer_idx", "answerKey", "correct")
"""Keys of a document that may hold the right option: its index from 0, its label or its text."""

_INDEX_KEYS = ("gold", "gold_index", "answer_index")
_LABEL_KEY = "answerKey"


def is_log_line(line: str) -> bool:
    """Whether `line` is of such a log, by its keys."""
    try:
        return {"doc", "resps"} <= parse_object(line).keys()
    except BadEntryError:
        return False


def read_records(path: Path, faults: FaultList) -> Iterator[tuple[str, ReplyRecord]]:
    """One record a document, with its line's name; faults and the remark on filters go to `faults`."""
    lines_by_filter = Counter[str]()
    places: dict[str, str] = {}
    for number, line in read_lines(path):
        with faults.collect_at(where := f"line {number}"):
            logged = _parse_line(line)
            lines_by_filter[str(logged.get("filter"))] += 1
            if str(logged.get("filter")) != next(iter(lines_by_filter)):
                continue
            first = places.setdefault(str(logged["doc_id"]), where)
            if first != where:
                raise BadEntryError(
                    f"document {shorten_value(str(logged['doc_id']))} stands at '{first}' too",
                    "keep one line for each document and filter",
                )
            yield where, _make_record(logged)
    if len(lines_by_filter) > 1:
        read, *others = (f"{name!r} (lines: {n})" for name, n in lines_by_filter.items())
        faults.remarks.append(f"of several filters of lm-evaluation-harness {read} was read, not {', '.join(others)}")


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
    entry = make_entry(f"doc-{logged['doc_id']}", _read_question(doc), *_read_answer(doc, _unwrap(logged["target"])))
    return ReplyRecord(entry, tuple(GivenReply(text) for text in _read_texts(logged["resps"])))


def _read_question(doc: Mapping[str, Any]) -> str:
    for keys in QUESTION_KEYS:
        if all(key in doc for key in keys):
            return "\n".join(check_text(doc[key], f"{key!r} of 'doc'") for key in keys)
    known = ", ".join(" + ".join(keys) for keys in QUESTION_KEYS)
    raise BadEntryError(
        f"'doc' has the keys {escape_controls(', '.join(doc))}, and none known to hold a question ({known})",
        "give these chains of thought as JSON lines with 'question', 'answer' and 'cot'",
    )


def _read_answer(doc: Mapping[str, Any], stated: object) -> tuple[str, list[str]]:
    """The target and the options; a target that means an option becomes that option.

    Raises BadEntryError where the document's index or label of the right option contradicts the target.
    """
    labels, texts = _read_options(doc)
    target = str(stated)
    if not texts:
        return target, []
    indices = _list_possible_options(stated, labels, texts) if isinstance(stated, int) else []
    places = list(dict.fromkeys([*indices, *_list_possible_options(target.strip(), labels, texts)]))
    golds = {key: _list_possible_options(_unwrap(doc[key]), labels, texts) for key in GOLD_KEYS if key in doc}
    for gold in golds.values():
        if len(places) > 1 and len(both := [place for place in places if place in gold]) == 1:
            places = both
    if not places:
        return target, texts
    for key in (*_INDEX_KEYS, _LABEL_KEY):
        gold = golds.get(key, [])
        may_mean = {places[0]} if key == _LABEL_KEY else {places[0], places[0] + 1}  # some datasets count from 1
        if gold and not may_mean & {*gold}:
            raise BadEntryError(
                f"target {shorten_value(target)} and {key!r}, {shorten_value(doc[key])}, name different options",
                "correct the document",
            )
    return texts[places[0]], texts


def _read_options(doc: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The labels and the texts of the options; letters where the document gives no labels."""
    options = next((doc[key] for key in OPTION_KEYS if key in doc), [])
    labels: object = None
    if isinstance(options, dict):
        labels, options = (
            (options.get("label"), options["text"]) if "text" in options else ([*options], [*options.values()])
        )
    if not isinstance(options, list) or not all(isinstance(option, str | int | float) for option in options):
        return [], []
    options = [str(option) for option in options]
    if isinstance(labels, list) and len(labels) == len(options):
        return [str(label) for label in labels], options
    return list(make_labels(len(options))), options


def _unwrap(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _list_possible_options(value: object, labels: Sequence[str], texts: Sequence[str]) -> list[int]:
    """The places of the options that a label, a text or an index may mean, the likeliest first."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return []
    if isinstance(value, int):
        return [value] if value in range(len(texts)) else []
    label = LABEL.fullmatch(value)
    letters = make_labels(len(texts))  # what the prompt may show in place of labels such as 1, 2, 3
    places = [names.index(value) for names in (labels, texts) if value in names]
    places += [names.index(label[1]) for names in (labels, letters) if label and label[1] in names]
    if not places:  # "b" or "Blue"
        folded = [[name.casefold() for name in names] for names in (labels, texts)]
        places = [names.index(value.casefold()) for names in folded if names.count(value.casefold()) == 1]
    bare = value.strip("[]")
    if bare.isdecimal() and int(bare) < len(texts):
        places.append(int(bare))
    return list(dict.fromkeys(places))


def _read_texts(resps: object) -> list[str]:
    """The generated texts. Raises BadEntryError where the log is of answers that were scored, not written."""
    match resps:
        case [[*texts]] if texts and all(isinstance(text, str) for text in texts):
            return [check_text(text, "an entry of 'resps'", may_be_empty=True) for text in texts]
    raise BadEntryError(
        f"'resps' is {shorten_value(resps)}, not one list of texts", "log a task with output_type: generate_until"
    )
