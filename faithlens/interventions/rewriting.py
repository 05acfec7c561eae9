"""Rewriting the words of steps: one of them, or the whole chain of thought, with the rest fixed or written anew."""

from collections.abc import Sequence
from dataclasses import replace

from faithlens.interventions.case import Case
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition


def replace_step(model: Model, case: Case, step: int, text: str, name: str) -> Condition:
    """The trace with the words of `step` replaced by `text`.

    Raises:
        TraceError: the tokenizer cannot write `text` there.
    """
    prompt, *steps = case.trace.pieces
    written = append_pieces(model, [prompt, *steps[:step]], [(steps[step].name, text)])
    return case.make_condition(name, (*written, *steps[step + 1 :]))


def append_pieces(model: Model, before: Sequence[Piece], texts: Sequence[tuple[str, str]]) -> list[Piece]:
    """`before`, and after it one piece for each (name, text) of `texts`.

    Raises:
        TraceError: the tokenizer cannot write a text there.
    """
    pieces = list(before)
    for name, text in texts:
        pieces.append(Piece(name, model.continue_ids([token for piece in pieces for token in piece.ids], text)))
    return pieces


def append_tail(case: Case, name: str, pieces: Sequence[Piece], tail: str) -> Condition:
    """`pieces`, followed by what the model wrote after them, which is `case.written[tail]`."""
    ids = case.generated_texts[tail].ids
    return case.make_condition(name, (*pieces, Piece("tail", ids)) if ids else pieces)


def delete_step(case: Case, step: int, name: str) -> Condition:
    """The trace without one of its steps."""
    steps = case.trace.steps
    return case.make_condition(name, (case.trace.prompt, *steps[:step], *steps[step + 1 :]))


def reorder_steps(case: Case, order: Sequence[int], name: str) -> Condition:
    """The trace with its steps in another order; each piece is named after its place."""
    steps = [replace(case.trace.steps[i], name=f"step {place}") for place, i in enumerate(order)]
    return case.make_condition(name, (case.trace.prompt, *steps))
