"""Which versions of a chain have other words: a step replaced, deleted or moved, or new text after some steps?"""

from collections.abc import Sequence
from dataclasses import replace

from faithlens.errors import TraceError
from faithlens.interventions.case import Case, check_case
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition


def replace_step(model: Model, case: Case, step: int, text: str, name: str) -> Condition:
    """The trace with the words of one step replaced; all other tokens stay.

    Args:
        model: the model, whose tokenizer writes the text.
        case: the case.
        step: the index of the step, from 0.
        text: the new words, with the white space before them.
        name: the name of the condition.

    Returns:
        The condition.

    Raises:
        TraceError: not a case, the trace has no such step, the tokenizer cannot write `text` there, or the case has no
            stem.
    """
    check_case(case)
    prompt, *steps = case.trace.pieces
    if step not in range(len(steps)):
        raise TraceError(
            f"the chain of thought of question {case.question.id!r} has {len(steps)} steps, got the index {step}",
            f"Pass an index from 0 to {len(steps) - 1}.",
        )
    written = append_pieces(model, [prompt, *steps[:step]], [(steps[step].name, text)])
    return case.make_condition(name, (*written, *steps[step + 1 :]))


def append_pieces(model: Model, before: Sequence[Piece], texts: Sequence[tuple[str, str]]) -> list[Piece]:
    """`before`, followed by one piece for each (name, text) of `texts`.

    Raises:
        TraceError: the tokenizer cannot write a text there.
    """
    pieces = list(before)
    for name, text in texts:
        pieces.append(Piece(name, model.continue_ids([token for piece in pieces for token in piece.ids], text)))
    return pieces


def append_tail(model: Model, case: Case, name: str, pieces: Sequence[Piece], tail: str) -> Condition:
    """`pieces`, followed by what the model wrote after them, which is ``case.generated_texts[tail]``.

    What it concludes is among the options.
    """
    written = case.generated_texts[tail]
    condition = case.make_condition(name, (*pieces, Piece("tail", written.ids)) if written.ids else pieces)
    return case.add_conclusion(model, condition, written.text, written.finish)


def delete_step(case: Case, step: int, name: str) -> Condition:
    """The trace without one of its steps."""
    steps = case.trace.steps
    return case.make_condition(name, (case.trace.prompt, *steps[:step], *steps[step + 1 :]))


def reorder_steps(case: Case, order: Sequence[int], name: str) -> Condition:
    """The trace with its steps in another order; each piece has the name of its new place."""
    steps = [replace(case.trace.steps[i], name=f"step {place}") for place, i in enumerate(order)]
    return case.make_condition(name, (case.trace.prompt, *steps))
