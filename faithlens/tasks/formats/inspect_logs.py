"""Logs of Inspect (``.eval``, or the same as ``.json``), read by inspect-ai itself.

A sample's output is its chain of thought; where the model reasons in a field of its own, that field is. Messages of the
prompt, such as worked examples, are never read as replies. Epochs are samples of the same question. A sample on which
the evaluation failed is a bad entry: the log has no reply of the model. Solvers that shuffle options replace the reply
by its answer when they are done; such a sample is a bad entry too, since its chain of thought is lost.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from faithlens.errors import TaskError
from faithlens.tasks.entries import BadEntryError, FaultList, check_text, shorten_value
from faithlens.tasks.formats.reply_record import Finish, ReplyRecord, make_entry

_CUT_OFF_REASONS = ("max_tokens", "model_length")


def read_records(path: Path, faults: FaultList) -> Iterator[tuple[str, ReplyRecord]]:
    """One record a sample, with its name; faults go to `faults`. Raises TaskError where the log cannot be read."""
    for sample in sorted(_read_samples(path), key=lambda sample: sample.epoch):
        where = f"sample {sample.id}, epoch {sample.epoch}"
        with faults.collect_at(where):
            yield where, ReplyRecord(_make_entry(sample), (_read_reply(sample),))


def _read_samples(path: Path) -> list[Any]:
    try:
        from inspect_ai.log import read_eval_log  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise TaskError(
            f"{path} cannot be read: inspect-ai is not installed", "Run pip install 'faithlens[inspect]'."
        ) from error
    try:
        log = read_eval_log(str(path))
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


def _make_entry(sample: Any) -> dict[str, Any]:
    targets = [sample.target] if isinstance(sample.target, str) else sample.target
    if len(targets) != 1:
        raise BadEntryError(f"{len(targets)} right answers", "keep questions that have one")
    asked = sample.input if isinstance(sample.input, str) else _find_last_user_text(sample.input)
    return make_entry(f"sample-{sample.id}", check_text(asked, "the input"), targets[0], sample.choices or [])


def _find_last_user_text(messages: list[Any]) -> str:
    """What the user said last."""
    return next((message.text for message in reversed(messages) if message.role == "user"), "")


def _read_reply(sample: Any) -> tuple[str, Finish]:
    if sample.error:
        raise BadEntryError(
            f"the evaluation failed on this sample ({shorten_value(sample.error.message)})", "run it again"
        )
    if not sample.output.choices:
        raise BadEntryError("the log holds no reply of the model, only the prompt", "run this sample again")
    written = sample.output.choices[0].message  # not the last of the messages: a prompt may hold example replies
    if _is_replaced(sample, written.text):
        raise BadEntryError(
            "its reply was replaced after the model wrote it, as solvers that shuffle options do",
            "run it without shuffling",
        )
    content = [] if isinstance(written.content, str) else written.content
    reasoning = [part for part in content if part.type == "reasoning"]
    if any(part.redacted for part in reasoning):
        raise BadEntryError("its reasoning was withheld by the provider", "take a model that shows it")
    thought, said = "\n\n".join(part.reasoning for part in reasoning), written.text
    stop = sample.output.choices[0].stop_reason
    cut = stop in _CUT_OFF_REASONS and not (thought and said)  # once the model speaks, it has thought to the end
    return check_text(thought or said, "the reply", may_be_empty=True), "length" if cut else "stop"


def _is_replaced(sample: Any, text: str) -> bool:
    """Whether the model wrote other texts than the logged reply, by the log of its calls where there is one."""
    calls = [event for event in sample.events if event.event == "model" and event.output.choices]
    return bool(calls) and text not in {event.output.choices[0].message.text for event in calls}
