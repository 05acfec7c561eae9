"""Logs of Inspect (``.eval``, or the same as ``.json``), read by inspect-ai itself.

The output of a sample is its chain of thought, unless the log has a field of its own for reasoning: then the chain is
that field. Messages of the
prompt, such as worked examples, are never read as replies. Epochs are samples of the same question. A sample on which
the evaluation failed is a bad entry: the log has no reply of the model.

Solvers may shuffle the options. The log then holds the options in the order of the dataset, while the model saw, and
names, them in another. Some of these solvers also put ``ANSWER: B`` in the place of the reply, in the letters of the
dataset. So options stand in the order of the model's prompt here, and a reply that was replaced is read from the
record of the model's call. An example: the options 6, 7, 8 with the target B were shown as ``A) 7``, ``B) 8``, ``C) 6``
and the model wrote "It is A". The question has the options 7, 8, 6 and the right answer A.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from faithlens.errors import TaskError
from faithlens.tasks.entries import BadEntryError, FaultList, check_text, find_right_option, shorten_value
from faithlens.tasks.formats.reply_record import Finish, GivenReply, ReplyRecord, make_entry
from faithlens.tasks.prompts import make_labels

_CUT_OFF_REASONS = ("max_tokens", "model_length")
_SHUFFLED = "Choices were shuffled"  # begins the explanation of a score of shuffled options


@dataclass(frozen=True)
class _Call:
    """What the model was asked last in a sample, and the choice of inspect-ai that holds what it wrote."""

    prompt: str
    reply: Any


def read_records(path: Path, faults: FaultList) -> Iterator[tuple[str, ReplyRecord]]:
    """One record a sample, with its name; faults go to `faults`. Raises TaskError where the log cannot be read."""
    seen: dict[tuple[str, int], int] = {}
    samples = _read_samples(path)
    is_shuffled = any(map(_says_shuffled, samples))
    for number, sample in sorted(enumerate(samples, start=1), key=lambda pair: pair[1].epoch):
        where = f"sample {sample.id}, epoch {sample.epoch}"
        with faults.collect_at(where):
            first = seen.setdefault((str(sample.id), sample.epoch), number)
            if first != number:
                raise BadEntryError(
                    f"the samples at places '{first}' and '{number}' of the log have one id and epoch",
                    "give each sample an id of its own",
                )
            call = _find_call(sample, is_shuffled)
            reply = GivenReply(*read_choice(call.reply))
            yield where, ReplyRecord(describe_question(sample, call.prompt, is_shuffled), (reply,))


def _read_samples(path: Path) -> list[Any]:
    try:
        from inspect_ai.log import read_eval_log  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise TaskError(
            f"{path} cannot be read: inspect-ai is not installed", "Run pip install 'faithlens[inspect]'."
        ) from error
    try:
        log = read_eval_log(str(path), resolve_attachments=True)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        reason = str(error).partition("\n")[0]
        raise TaskError(
            f"{path} is no log of Inspect: {reason}",
            "Check the path; the name of a file of JSON lines must end in .jsonl.",
        ) from error
    if not log.samples and log.status != "success":
        reason = f": {shorten_value(log.error.message)}" if log.error else ""
        raise TaskError(
            f"{path} is the log of an evaluation that itself did not finish (status {log.status!r}{reason}), "
            "so it holds no replies",
            "Run the evaluation again, then pass its log.",
        )
    return log.samples or []


def _find_call(sample: Any, is_shuffled: bool) -> _Call:
    """The call of the model that gave the sample's output; `is_shuffled` says whether a solver shuffled options."""
    if sample.error:
        raise BadEntryError(
            f"the evaluation failed on this sample ({shorten_value(sample.error.message)})", "run it again"
        )
    if sample.output.error:
        raise BadEntryError(f"the call of the model failed ({shorten_value(sample.output.error)})", "run it again")
    if not sample.output.choices:
        raise BadEntryError("the log holds no reply of the model, only the prompt", "run this sample again")
    written = sample.output.choices[0]  # not the last of the messages: a prompt may hold example replies
    events = [event for event in sample.events if event.event == "model" and event.output.choices]
    calls = [_Call(find_last_user_text(event.input), event.output.choices[0]) for event in events]
    if not calls and not (is_shuffled and re.fullmatch(r"ANSWER: [A-Z, ]*", written.message.text)):
        return _Call(find_last_user_text(sample.messages), written)
    for call in reversed(calls):
        if call.reply.message.text == written.message.text:
            return call
    if calls and _read_order(calls[-1].prompt, sample.choices or []):
        return calls[-1]
    raise BadEntryError(
        "its reply was replaced after the model wrote it, as solvers that shuffle options do, and the log does not "
        "say what the model wrote",
        "run it without shuffling, or with the model's calls in the log",
    )


def _says_shuffled(sample: Any) -> bool:
    """Whether a score of the sample says that a solver shuffled the options."""
    return any((score.explanation or "").startswith(_SHUFFLED) for score in (sample.scores or {}).values())


def describe_question(sample: Any, prompt: str, is_shuffled: bool) -> dict[str, Any]:
    """The sample's question, with the options in the order in which the model was asked.

    Args:
        sample: has `id`, `input`, `target` and `choices`.
        prompt: what the user said last.
        is_shuffled: whether a solver says that it shuffled the options.

    Raises BadEntryError where the question cannot be scored.
    """
    targets = [sample.target] if isinstance(sample.target, str) else sample.target
    if len(targets) != 1:
        raise BadEntryError(f"{len(targets)} right answers", "keep questions that have one")
    text = sample.input if isinstance(sample.input, str) else find_last_user_text(sample.input)
    entry = make_entry(f"sample-{sample.id}", check_text(text, "the input"), targets[0], sample.choices or [])
    order = _read_order(prompt, sample.choices or [])
    if order is None:
        if is_shuffled:
            raise BadEntryError("its options were shuffled in an order that the log does not say", "do not shuffle")
        return entry
    if order == sorted(order):
        return entry
    labels, options = make_labels(len(order)), [sample.choices[place] for place in order]
    right = order.index(find_right_option(entry["answer"], sample.choices))
    id_ = f"{entry['id']}-{''.join(labels[place] for place in order)}"
    return entry | {"id": id_, "choices": options, "answer": labels[right]}


def _read_order(prompt: str, options: Sequence[str]) -> list[int] | None:
    """The places of `options` in the order in which `prompt` lists them with letters; None if it does not list them."""
    for start in reversed([match.start() for match in re.finditer(r"^\s*\(?A[).:]", prompt, re.MULTILINE)]):
        order: list[int] = []
        at = start
        for label in make_labels(len(options)):
            left = (place for place in range(len(options)) if place not in order)
            for place in sorted(left, key=lambda place: -len(options[place])):
                line = re.compile(rf"\s*\(?{label}[).:]\s*{re.escape(options[place].strip())}[ \t]*(?:\n|\Z)")
                if listed := line.match(prompt, at):
                    order.append(place)
                    at = listed.end()
                    break
        if len(order) == len(options) > 0:
            return order
    return None


def find_last_user_text(messages: list[Any]) -> str:
    """What the user said last."""
    return next((message.text for message in reversed(messages) if message.role == "user"), "")


def read_choice(written: Any) -> tuple[str, Finish]:
    """The reply in a choice of a model's output, its reasoning where it has some, and whether it was cut off.

    Raises BadEntryError where the provider withheld it.
    """
    if written.stop_reason == "content_filter":
        raise BadEntryError("its reply was withheld by a filter of the provider", "take a model that shows it")
    content = [] if isinstance(written.message.content, str) else written.message.content
    reasoning = [part for part in content if part.type == "reasoning"]
    if any(part.redacted for part in reasoning):
        raise BadEntryError("its reasoning was withheld by the provider", "take a model that shows it")
    thought, answer = "\n\n".join(part.reasoning for part in reasoning), written.message.text
    is_complete = thought and answer  # the model wrote an answer after its reasoning, so the reasoning is not cut off
    is_cut_off = written.stop_reason in _CUT_OFF_REASONS and not is_complete
    return check_text(thought or answer, "the reply", may_be_empty=True), "length" if is_cut_off else "stop"
