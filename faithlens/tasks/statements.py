"""The statements of a step of a chain: its sentences without questions, and those that deny or suppose something."""

import re

from faithlens.tasks.segmentation import split_steps

_DENIED_OR_SUPPOSED = re.compile(
    r"\b(?:not|never|neither|nor|no longer|if|would|suppose|assum\w+|whether)\b|n't\b", re.I
)
_ASKED = re.compile(
    r"\?[\"'”’)*_\s]*$|\b(?:determine|find out|figure out|check|see|decide|know) (?:if|whether|who|what)\b", re.I
)


def list_statements(step: str) -> list[str]:
    """The sentences and clauses between semicolons of `step`, in their order, without those that ask something.

    "We need to determine if it is heads up" asks, as a question does.
    """
    sentences = [step[start:stop] for start, stop in split_steps(step)]
    clauses = [clause for sentence in sentences for clause in sentence.split(";")]
    return [clause for clause in clauses if not _ASKED.search(clause)]


def is_denied_or_supposed(statement: str) -> bool:
    """True where a word of `statement` denies or supposes something."""
    return _DENIED_OR_SUPPOSED.search(statement) is not None
