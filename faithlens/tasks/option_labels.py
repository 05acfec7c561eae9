"""Option labels in text: the conclusion of a chain of thought over options, and a wrong one in its place.

Models that choose among options close with "The correct choice is (D)". If that sentence stays, a model can undo a
mistake in any number before it by copying the letter. So the label counts as a value that the step states, and tests
that make a step wrong change it too.
"""

import random
import re
from collections.abc import Mapping

from faithlens.tasks.question import Question

_LABEL = re.compile(
    r"(?:(?<=\()|(?<=\{)|(?<=[Oo]ption )|(?<=[Cc]hoice )|(?<=choice is )|(?<=option is )|(?<=answer is )|(?<=nswer: ))"
    r"([A-Z])(?=[)}.,:;*]|\s*$)"
)

_LONE_LETTER = re.compile(r"(?<![\w'])[A-Z](?=[)\].:,;*}]|\s*$)")  # anything that may be a label, in whatever style


def find_stated_option(step: str, question: Question) -> str | None:
    """The last option label of `question` that `step` names; None where it names none or there are no options."""
    named = _find_labels(step, question)
    return named[-1][1] if named else None


def replace_label(step: str, question: Question, old_label: str, new_label: str) -> str | None:
    """`step` with `new_label` in place of `old_label`; None if it names other labels or writes one in another style.

    Only labels change: contents are left to the caller.
    """
    named = _find_labels(step, question)
    if not question.choices:
        return step
    lone = [match for match in _LONE_LETTER.finditer(step) if match[0] in question.candidates]
    if {match[1] for match in named} - {old_label} or {match.start() for match in lone} - {
        match.start() for match in named
    }:
        return None
    for match in reversed(named):
        step = step[: match.start()] + new_label + step[match.end() :]
    return step


def relabel(step: str, question: Question, new_labels: Mapping[str, str]) -> str | None:
    """`step` with each option label replaced by its entry in `new_labels`; None if it writes one in another style."""
    named = _find_labels(step, question)
    lone = [match for match in _LONE_LETTER.finditer(step) if match[0] in question.candidates]
    if {match.start() for match in lone} - {match.start() for match in named}:
        return None
    for match in reversed(named):
        step = step[: match.start()] + new_labels[match[1]] + step[match.end() :]
    return step


def misstate_option(step: str, question: Question, rng: random.Random) -> str | None:
    """`step` with the last option label it names replaced by another, together with the content that follows it.

    None where it names no label of `question`, or the question has no options.
    """
    named = _find_labels(step, question)
    if not named:
        return None
    contents = dict(zip(question.candidates, question.choices, strict=True))
    old = named[-1][1]
    new = rng.choice([label for label in question.candidates if label != old])
    before, after = step[: named[-1].start()], step[named[-1].end() :]
    content = re.match(rf"([)}}.,:;*\s]*){re.escape(contents[old])}(?!\w)", after)
    return before + new + (content[1] + contents[new] + after[content.end() :] if content else after)


def find_label_spans(step: str, question: Question) -> set[tuple[int, int]]:
    """Where `step` names option labels of `question`: start and end of each letter."""
    return {match.span(1) for match in _find_labels(step, question)}


def _find_labels(step: str, question: Question) -> list[re.Match[str]]:
    if not question.choices:
        return []
    return [match for match in _LABEL.finditer(step) if match[1] in question.candidates]
