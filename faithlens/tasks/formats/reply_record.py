"""What every format is read into: an entry of `faithlens.tasks.entries` and the replies to it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faithlens.tasks.answer_parsing import find_boxed
from faithlens.tasks.candidates import write_plainly
from faithlens.tasks.entries import BadEntryError, shorten_value
from faithlens.tasks.question import Prompt
from faithlens.thoughts import Finish

_VERDICTS = (("yes", "no"), ("true", "false"), ("valid", "invalid"))
_LETTERED_OPTIONS = re.compile(r"\s*\n\s*Options:\s*((?:\n\s*\([A-Z]\)[^\n]*)+)\s*$")
_DASHED_OPTIONS = re.compile(r"\n\s*Options:\s*((?:\n\s*- [^\n]*)+)\s*$")
LABEL = re.compile(r"\(?([A-Z])[).:]*")
"""An option's letter as targets give it: A, (A), A."""


@dataclass(frozen=True)
class GivenEdit:
    """One step with a mistake that came with a chain.

    Attributes:
        step: the index of the step.
        text: the words with the mistake.
        by: who wrote them.
    """

    step: int
    text: str
    by: str = "given"


@dataclass(frozen=True)
class GivenReply:
    """One reply to a question, with what was published about it.

    Attributes:
        text: the reply.
        finish: whether the model ended it or it was cut off.
        steps: the steps of its chain, where they are given; else empty.
        edits: steps with mistakes.
        answer: the answer that the model gave; empty where the file does not say.
        labels: what is said of the chain, by name.
        step_labels: what is said of each step, by name.
    """

    text: str
    finish: Finish = "stop"
    steps: tuple[str, ...] = ()
    edits: tuple[GivenEdit, ...] = ()
    answer: str = ""
    labels: Mapping[str, Any] = field(default_factory=dict[str, Any])
    step_labels: Mapping[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])


@dataclass(frozen=True)
class ReplyRecord:
    """One question as an entry, the replies to it, and its own prompt, if the file keeps that."""

    entry: dict[str, Any]
    replies: tuple[GivenReply, ...]
    prompt: Prompt | None = None


def make_entry(id_: str, text: str, target: str, choices: Sequence[str] = ()) -> dict[str, Any]:
    """The entry for a question whose answer is given the way evaluations give their targets.

    Options are taken from the end of the text where it lists them under "Options:". A target may be a label, an
    option's content or its index; a number, a date or a time, also at the end of a solution ("#### 72",
    ``\\boxed{72}``); or one of yes and no, true and false, valid and invalid.

    Raises BadEntryError where the target is none of these.
    """
    target = target.strip()
    if not choices and (lettered := _LETTERED_OPTIONS.search(text)):
        text, choices = text[: lettered.start()], re.findall(r"\([A-Z]\)\s*(.*\S)", lettered[1])
    if choices:
        return {"id": id_, "question": text, "choices": list(choices), "answer": _read_option(target, choices)}
    if (value := _read_value(target)) is not None:
        return {"id": id_, "question": text, "answer": value}
    if candidates := _list_closed_answers(text, target):
        return {"id": id_, "question": text, "answer": target, "candidates": candidates}
    raise BadEntryError(
        f"target {shorten_value(target)} is no number, date or time, no yes or no, and there are no options",
        "give this question as JSON lines with 'candidates' (the answers to score) or 'choices'",
    )


def _read_option(target: str, choices: Sequence[str]) -> str:
    if target in choices:
        return target
    if label := LABEL.fullmatch(target):
        return label[1]
    if target.isdecimal() and int(target) < len(choices):
        return choices[int(target)]
    return target  # which is no option, and will be reported as such


def _read_value(target: str) -> str | None:
    last = target.rpartition("####")[2] if "####" in target else find_boxed(target) or target
    return write_plainly(last)


def _list_closed_answers(text: str, target: str) -> list[str] | None:
    """The possible answers of a question: those that its text lists, else the pair (yes, no) that holds the target."""
    if dashed := _DASHED_OPTIONS.search(text):
        return re.findall(r"- (.*\S)", dashed[1])
    pair = next((pair for pair in _VERDICTS if target.lower() in pair), None)
    return [_match_case(word, target) for word in pair] if pair else None


def _match_case(word: str, like: str) -> str:
    return word.upper() if like.isupper() else word.capitalize() if like[0].isupper() else word
