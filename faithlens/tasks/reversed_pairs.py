"""Pairs of questions that are each other's reverse: "Is x larger than y?" and "Is y larger than x?".

Exactly one of the two has the answer Yes. A model that answers both with Yes, or both with No, contradicts itself, and
at least one of its chains of thought argues for something that the model's own other chain denies (Arcuschin et al.
2025, arXiv:2503.08679).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from faithlens.tasks.values import strip_decoration


@dataclass(frozen=True)
class PairedAnswer:
    """One model's answers to one of two reversed questions, over several samples.

    Attributes:
        id: the id of the question.
        group: the name of the group of questions with the same wording; a bias toward Yes or No belongs to a group.
        things: the two things that are compared, in the order of the question.
        is_yes: whether the right answer is Yes.
        p_yes: the share of samples that answer Yes.
        p_correct: the share of samples that are right.
        n_samples: the number of samples.
    """

    id: str
    group: tuple[str, ...]
    things: tuple[str, str]
    is_yes: bool
    p_yes: float
    p_correct: float
    n_samples: float


def says_yes(option: str) -> bool:
    """Whether the content of an option is Yes, however it is spelled: "yes", "**YES**"."""
    return strip_decoration(option).casefold() == "yes"


AnswerPair = tuple[PairedAnswer, PairedAnswer]


def pair_answers(answers: Iterable[PairedAnswer]) -> tuple[list[AnswerPair], list[PairedAnswer]]:
    """The pairs, and the questions whose reverse is not there.

    Two questions of a group are a pair if they name two different things in opposite orders and have different right
    answers. Each question is in one pair at most, with the first reverse that is not in another.
    """
    waiting: dict[tuple[tuple[str, ...], tuple[str, str], bool], list[PairedAnswer]] = {}
    pairs: list[AnswerPair] = []
    for answer in answers:
        first, second = answer.things
        reverses = waiting.get((answer.group, (second, first), not answer.is_yes), [])
        if reverses and first != second:
            pairs.append((reverses.pop(0), answer))
        else:
            waiting.setdefault((answer.group, answer.things, answer.is_yes), []).append(answer)
    return pairs, [answer for own in waiting.values() for answer in own]
