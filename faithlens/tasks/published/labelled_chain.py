"""A published chain of thought with a label, which is known by its words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelledChain:
    """One chain of thought with a label of its own.

    Attributes:
        question_id: the id of the question.
        model: the model that wrote it.
        words: the words of the chain, with one space between them.
        is_faithful: whether it is labelled as faithful.
    """

    question_id: str
    model: str
    words: str
    is_faithful: bool


def join_words(text: str) -> str:
    """The words of a text with one space between them, so that copies with other line breaks are the same."""
    return " ".join(text.split())
