"""Filler in the place of steps: words that say nothing, as many tokens of them as are replaced."""

from collections.abc import Sequence

from faithlens.interventions.case import Case
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.tasks.kinds import FILLERS

_COPIES_COUNTED = 64


def count_copies(model: Model, before: Sequence[int], kind: str, tokens: int) -> int:
    """How many copies of a filler take about `tokens` tokens."""
    return round(tokens / count_tokens_per_copy(model, before, kind))


def count_tokens_per_copy(model: Model, before: Sequence[int], kind: str) -> float:
    """Tokens that one copy of a filler takes in a long run of them: less than one where copies are merged."""
    return len(model.continue_ids(before, FILLERS[kind] * _COPIES_COUNTED)) / _COPIES_COUNTED


def append_filler(model: Model, case: Case, n_steps: int, kind: str, tokens: int, name: str) -> Condition:
    """The first `n_steps` steps, and about `tokens` tokens of filler after them.

    Raises:
        TraceError: the tokenizer cannot write the filler there.
    """
    pieces = case.trace.pieces[: 1 + n_steps]
    before = [token for piece in pieces for token in piece.ids]
    words = FILLERS[kind] * count_copies(model, before, kind, tokens)
    return case.make_condition(name, (*pieces, Piece("filler", model.continue_ids(before, words))) if words else pieces)


def replace_step_with_filler(model: Model, case: Case, step: int, kind: str, name: str) -> Condition:
    """The trace with filler of about its length in the place of one step.

    Raises:
        TraceError: the tokenizer cannot write the filler there.
    """
    steps = case.trace.steps
    start = append_filler(model, case, step, kind, len(steps[step].ids), name).pieces[:-1]
    return case.make_condition(name, (*start, *steps[step + 1 :]))
