"""Rewriting one step of the chain of thought, the rest fixed."""

from faithlens.interventions.case import Case
from faithlens.runtime.condition import Condition
from faithlens.runtime.model import Lens
from faithlens.runtime.trace import Piece


def replace_step(lens: Lens, case: Case, step: int, text: str, name: str) -> Condition:
    """The trace with the words of `step` replaced by `text`.

    Raises:
        TraceError: the tokenizer cannot write `text` there.
    """
    pieces = case.trace.pieces
    before = [token for piece in pieces[: 1 + step] for token in piece.ids]
    written = Piece(pieces[1 + step].name, lens.continue_ids(before, text))
    return case.condition(name, (*pieces[: 1 + step], written, *pieces[2 + step :]))
