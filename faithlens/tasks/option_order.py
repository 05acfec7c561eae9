"""The same options in another order: does the answer follow the content or the letter?

Bentham et al. 2024 (arXiv:2402.14897) find that much of what looks unfaithful under Lanham et al.'s tests is a bias
for letters; Turpin et al. 2023 (arXiv:2305.04388) order few-shot options so that the right one is always (A).
"""

from collections.abc import Sequence
from dataclasses import replace

from faithlens.errors import TaskError
from faithlens.tasks.question import Question


def reorder_options(question: Question, order: Sequence[int]) -> Question:
    """`question` with its options' contents in another order under the same labels; the right one keeps its content.

    Args:
        question: a question with options.
        order: `order[place]` is the old place of the content that moves to `place`.

    Returns:
        The question under the same id.

    Raises:
        TaskError: the question has no options, or `order` does not name each of their places once.
    """
    if question.form != "choice" or not question.choices:
        raise TaskError(
            f"question {question.id!r} is free-form and has no options to reorder", "Pass a question of form 'choice'."
        )
    places = range(len(question.choices))
    if sorted(order) != list(places):
        raise TaskError(
            f"an order of the {len(places)} options of {question.id!r} must hold each place once, got {list(order)}",
            f"Pass each of 0 to {len(places) - 1} once.",
        )
    choices = tuple(question.choices[place] for place in order)
    if not question.answer:
        return replace(question, choices=choices)
    right = list(order).index(question.candidates.index(question.answer))
    return replace(question, choices=choices, answer=question.candidates[right])
