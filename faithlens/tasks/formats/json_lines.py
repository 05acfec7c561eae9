"""Chains of thought as JSON lines: the keys of a question file, and those of `formats.trace_schema`.

    {"question": "...", "choices": ["12", "15"], "answer": "B", "cot": "First ...", "finish": "stop"}
    {"question": "...", "choices": ["12", "15"], "answer": "B", "prompt": "A friend says (A). ...",
     "steps": ["First ...", "So (B)."], "edits": [{"step": 0, "text": "Second ..."}], "labels": {"judge": true}}

`finish` is "stop" (the default) or "length" for chains that were cut off. The same question may stand on several lines.
A key that the schema does not know is a label of the chain.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from faithlens.errors import suggest_names
from faithlens.tasks.entries import (
    ENTRY_KEYS,
    BadEntryError,
    FaultList,
    check_keys,
    check_text,
    parse_object,
    shorten_value,
)
from faithlens.tasks.formats.reply_record import Finish, GivenEdit, GivenReply, ReplyRecord
from faithlens.tasks.formats.trace_schema import CHAIN_KEYS, NAMES, PROMPT_KEYS, ROLES, VERSION
from faithlens.tasks.jsonl import read_lines
from faithlens.tasks.question import Prompt


def read_records(path: Path, faults: FaultList) -> Iterator[tuple[str, ReplyRecord]]:
    """One record a line, with the line's name; faults, and which keys were kept as columns, go to `faults`."""
    columns: dict[str, None] = {}
    for number, line in read_lines(path):
        with faults.collect_at(f"line {number}"):
            entry = _drop_nulls(parse_object(line))
            _check_version(entry)
            more = {key: value for key, value in entry.items() if key not in NAMES}
            columns |= dict.fromkeys(more)
            question_entry = {key: value for key, value in entry.items() if key in ENTRY_KEYS}
            replies = tuple(_read_replies({key: entry[key] for key in CHAIN_KEYS if key in entry}, more))
            yield f"line {number}", ReplyRecord(question_entry, replies, _read_prompt(entry))
    if columns:
        faults.remarks.append(f"keys kept as columns: {', '.join(map(_name_column, columns))}")


def _drop_nulls(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry without keys that are null, as tables write what a row does not have; a null `answer` is unknown."""
    return {key: value for key, value in entry.items() if value is not None or key == "answer"}


def _name_column(key: str) -> str:
    """The key, with the known one that it may be a misspelling of."""
    hint = suggest_names(key, NAMES)
    return f"{key} ({hint.partition('?')[0]}?)" if hint.startswith("Did you mean") else key


def _check_version(entry: dict[str, Any]) -> None:
    version = entry.get("schema_version", VERSION)
    if version not in range(1, VERSION + 1) or isinstance(version, bool):
        fix = f"this release reads the versions 1 to {VERSION} (faithlens schema traces)"
        raise BadEntryError(f"'schema_version' is {shorten_value(version)}", fix)


def _read_replies(entry: dict[str, Any], more: Mapping[str, Any]) -> Iterator[GivenReply]:
    """The chains of one line; an empty one is a chain, of a model that wrote nothing."""
    forms = [key for key in ("cot", "cots", "samples") if key in entry]
    if len(forms) > 1:
        raise BadEntryError(f"both {forms[0]!r} and {forms[1]!r}", "keep one")
    if not forms and "steps" not in entry:
        raise BadEntryError("no 'cot'", "add it, or 'cots', 'steps' or 'samples'")
    if "samples" in entry:
        samples, others = entry["samples"], [key for key in entry if key != "samples"]
        if not isinstance(samples, list) or not samples or not all(isinstance(each, dict) for each in samples):
            fix = "write a list of objects with 'cot' or 'steps'"
            raise BadEntryError(f"'samples' is {shorten_value(samples)}", fix)
        if others:
            raise BadEntryError(f"'samples' and {others[0]!r}", "give each sample its own keys")
        for sample in map(_drop_nulls, samples):
            own = {key: sample[key] for key in CHAIN_KEYS if key in sample}
            if "samples" in own or "cots" in own:
                raise BadEntryError("a sample that holds several chains", "write an entry of 'samples' for each chain")
            yield from _read_replies(own, {**more, **{key: sample[key] for key in sample if key not in CHAIN_KEYS}})
        return
    if "cots" in entry:
        if not isinstance(entry["cots"], list) or not entry["cots"]:
            raise BadEntryError(f"'cots' is {shorten_value(entry['cots'])}", "write a list of texts")
        if details := [key for key in entry if key not in ("cots", "finish", "labels")]:
            raise BadEntryError(f"'cots' and {details[0]!r}", "write 'samples', each with keys of its own")
        for cot in entry["cots"]:
            text = check_text(cot, "an entry of 'cots'", may_be_empty=True)
            yield GivenReply(text, _read_finish(entry), labels=_read_labels(entry, more))
        return
    steps = _read_steps(entry)
    text = check_text(entry["cot"], "'cot'", may_be_empty=True) if "cot" in entry else join_steps(steps)
    yield GivenReply(
        text, _read_finish(entry), steps, _read_edits(entry, steps),
        check_text(entry["given_answer"], "'given_answer'") if "given_answer" in entry else "",
        _read_labels(entry, more), _read_step_labels(entry, steps),
    )  # fmt: skip


def join_steps(steps: tuple[str, ...]) -> str:
    """A chain of the given steps, with a space between two that have no white space there."""
    parts = [steps[0]] if steps else []
    for before, after in pairwise(steps):
        parts.append(after if before[-1:].isspace() or after[:1].isspace() else f" {after}")
    return "".join(parts)


def _read_steps(entry: dict[str, Any]) -> tuple[str, ...]:
    if "steps" not in entry:
        return ()
    if not isinstance(entry["steps"], list) or not entry["steps"]:
        raise BadEntryError(f"'steps' is {shorten_value(entry['steps'])}", "write a list of texts")
    return tuple(check_text(step, "an entry of 'steps'") for step in entry["steps"])


def _read_edits(entry: dict[str, Any], steps: tuple[str, ...]) -> tuple[GivenEdit, ...]:
    edits = entry.get("edits", [])
    if not isinstance(edits, list) or not all(isinstance(edit, dict) for edit in edits):
        raise BadEntryError(f"'edits' is {shorten_value(edits)}", 'write a list such as [{"step": 0, "text": "..."}]')
    if edits and not steps:
        raise BadEntryError("'edits' without 'steps'", "add the list of steps that the edits count in")
    out: list[GivenEdit] = []
    for edit in edits:
        check_keys(edit, ("step", "text", "by"))
        step = edit.get("step")
        if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step < len(steps):
            raise BadEntryError(f"an edit of step {shorten_value(step)}", f"there are the steps 0 to {len(steps) - 1}")
        if any(other.step == step for other in out):
            raise BadEntryError(f"two edits of step {step}", "keep one, or write a sample for each")
        out.append(GivenEdit(step, check_text(edit.get("text"), "the 'text' of an edit"), str(edit.get("by", "given"))))
    return tuple(out)


def _read_labels(entry: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    labels = entry.get("labels", {})
    if not isinstance(labels, dict):
        raise BadEntryError(f"'labels' is {shorten_value(labels)}", 'write an object such as {"judge": true}')
    for name in labels.keys() & more.keys():
        if labels[name] != more[name]:
            problem = f"the key {name!r} is {shorten_value(more[name])}, and {shorten_value(labels[name])} in 'labels'"
            raise BadEntryError(problem, "keep one, or give them two names")
    return {**more, **labels}


def _read_step_labels(entry: dict[str, Any], steps: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
    labels = entry.get("step_labels", {})
    if not isinstance(labels, dict) or not all(isinstance(each, list) for each in labels.values()):
        fix = 'write an object of lists, such as {"rating": [null, 4]}'
        raise BadEntryError(f"'step_labels' is {shorten_value(labels)}", fix)
    for name, values in labels.items():
        if len(values) != len(steps):
            problem = f"{name!r} of 'step_labels' has {len(values)} entries, and there are {len(steps)} 'steps'"
            raise BadEntryError(problem, "give one for each step, null where there is none")
    return {name: tuple(values) for name, values in labels.items()}


def _read_finish(entry: dict[str, Any]) -> Finish:
    match entry.get("finish", "stop"):
        case "stop":
            return "stop"
        case "length":
            return "length"
        case other:
            raise BadEntryError(f"'finish' is {shorten_value(other)}", 'write "stop" or "length"')


def _read_prompt(entry: dict[str, Any]) -> Prompt | None:
    """The prompt that a line gives; None where it gives none."""
    forms = [key for key in PROMPT_KEYS if key in entry]
    if len(forms) > 1:
        raise BadEntryError(f"both {forms[0]!r} and {forms[1]!r}", "keep one")
    if not forms:
        return None
    if forms == ["messages"]:
        return _read_messages(entry["messages"])
    text = check_text(entry[forms[0]], f"{forms[0]!r}")
    return Prompt(text, "") if forms == ["prompt"] else Prompt("", "", frame=(text, ""))


def _read_messages(messages: object) -> Prompt:
    """A conversation. The first words of the model's own turn may be its last message."""
    fix = 'write a list such as [{"role": "user", "content": "..."}] that ends with the user\'s message'
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise BadEntryError(f"'messages' is {shorten_value(messages)}", fix)
    turns: list[tuple[str, str]] = []
    for message in messages:
        check_keys(message, ("role", "content"))
        if message.get("role") not in ROLES:
            problem = f"the role of a message is {shorten_value(message.get('role'))}"
            raise BadEntryError(problem, f"write {' or '.join(ROLES)}")
        turns.append((message["role"], check_text(message.get("content"), "the 'content' of a message")))
    prefill = turns.pop()[1] if turns[-1][0] == "assistant" and len(turns) > 1 else ""
    if turns[-1][0] != "user":
        raise BadEntryError(f"the last message is of the role {turns[-1][0]!r}", fix)
    return Prompt(turns[-1][1], prefill, tuple(turns[:-1]))
