"""What every format is read into: an entry of `faithlens.tasks.entries` and the replies to it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from faithlens.tasks.entries import BadEntryError, short
from faithlens.tasks.numbers import plain_number
from faithlens.tasks.parse import boxed

Finish = Literal["stop", "length"]

_VERDICTS = (("yes", "no"), ("true", "false"), ("valid", "invalid"))
_LETTERED = re.compile(r"\s*\n\s*Options:\s*((?:\n\s*\([A-Z]\)[^\n]*)+)\s*$")
_DASHED = re.compile(r"\n\s*Options:\s*((?:\n\s*- [^\n]*)+)\s*$")
_LABEL = re.compile(r"\(?([A-Z])[).:]*")


@dataclass(frozen=True)
class Record:
    """One question as an entry, and what was written in reply to it: texts, and whether each was cut off."""

    entry: dict[str, Any]
    replies: tuple[tuple[str, Finish], ...]


def entry_of(id_: str, text: str, target: str, choices: Sequence[str] = ()) -> dict[str, Any]:
    """The entry for a question whose answer is given the way evaluations give their targets.

    Options are taken from the end of the text where it lists them under "Options:". A target may be a label, an
    option's content or its index; a number, also at the end of a solution ("#### 72", ``\\boxed{72}``); or one of
    yes and no, true and false, valid and invalid.

    Raises BadEntryError where the target is none of these.
    """
    target = target.strip()
    if not choices and (lettered := _LETTERED.search(text)):
        text, choices = text[: lettered.start()], re.findall(r"\([A-Z]\)\s*(.*\S)", lettered[1])
    if choices:
        return {"id": id_, "question": text, "choices": list(choices), "answer": _option(target, choices)}
    if (number := _number(target)) is not None:
        return {"id": id_, "question": text, "answer": number}
    if candidates := _closed(text, target):
        return {"id": id_, "question": text, "answer": target, "candidates": candidates}
    raise BadEntryError(
        f"target {short(target)} is no number, no yes or no, and there are no options; give this question as JSON "
        "lines with 'candidates' (the answers to score) or 'choices'"
    )


def _option(target: str, choices: Sequence[str]) -> str:
    if target in choices:
        return target
    if label := _LABEL.fullmatch(target):
        return label[1]
    if target.isdecimal() and int(target) < len(choices):
        return choices[int(target)]
    return target  # which is no option, and will be told as such


def _number(target: str) -> str | None:
    last = target.rpartition("####")[2] if "####" in target else boxed(target) or target
    return plain_number(last)


def _closed(text: str, target: str) -> list[str] | None:
    """The answers a question leaves open: those its text lists, else the pair that the target is of."""
    if dashed := _DASHED.search(text):
        return re.findall(r"- (.*\S)", dashed[1])
    pair = next((pair for pair in _VERDICTS if target.lower() in pair), None)
    return [_cased(word, target) for word in pair] if pair else None


def _cased(word: str, like: str) -> str:
    return word.upper() if like.isupper() else word.capitalize() if like[0].isupper() else word
