"""What is left of a step's effect if filler of the same length takes its place?

1. Count how many tokens a copy of the filler takes in a run of 64 copies; a tokenizer may merge copies.
2. Divide the number of tokens of the replaced text by this, and round: the number of copies.
3. Write that many copies after the steps that stay.

For example, if 64 copies of " ..." take 32 tokens, a copy takes 0.5 tokens, and 9 tokens need round(9 / 0.5) = 18
copies.
"""

from collections.abc import Sequence

from faithlens.errors import check_choice
from faithlens.interventions.case import Case
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.tasks.kinds import FILLERS

_COPIES_COUNTED = 64


def count_copies(model: Model, before: Sequence[int], kind: str, tokens: int) -> int:
    """The number of copies of a filler that take about `tokens` tokens.

    Raises:
        ConfigError: an unknown kind of filler.
    """
    return round(tokens / count_tokens_per_copy(model, before, kind))


def count_tokens_per_copy(model: Model, before: Sequence[int], kind: str) -> float:
    """The number of tokens of one copy of a filler in a long run of copies; below 1 if the tokenizer merges copies.

    Raises:
        ConfigError: an unknown kind of filler.
    """
    check_choice(kind, FILLERS, "kind of filler")
    return len(model.continue_ids(before, FILLERS[kind] * _COPIES_COUNTED)) / _COPIES_COUNTED


def append_filler(model: Model, case: Case, n_steps: int, kind: str, tokens: int, name: str) -> Condition:
    """The first `n_steps` steps, followed by about `tokens` tokens of filler after them.

    Raises:
        ConfigError: an unknown kind of filler.
        TraceError: the tokenizer cannot write the filler there.
    """
    pieces = case.trace.pieces[: 1 + n_steps]
    before = [token for piece in pieces for token in piece.ids]
    words = FILLERS[kind] * count_copies(model, before, kind, tokens)
    return case.make_condition(name, (*pieces, Piece("filler", model.continue_ids(before, words))) if words else pieces)


def replace_step_with_filler(model: Model, case: Case, step: int, kind: str, name: str) -> Condition:
    """The trace with filler of about its length in the place of one step.

    Raises:
        ConfigError: an unknown kind of filler.
        TraceError: the tokenizer cannot write the filler there.
    """
    steps = case.trace.steps
    start = append_filler(model, case, step, kind, len(steps[step].ids), name).pieces[:-1]
    return case.make_condition(name, (*start, *steps[step + 1 :]))
