"""An option may be written in several ways: several token sequences are one option, and their probabilities add up.

1. A sequence stands for the event that the model writes these tokens next, whatever follows them. So if one sequence
   begins another, the event of the longer one lies within that of the shorter one.
2. The probability of an option is that of the union of its own events, less the events of other options within it. So
   the options never overlap, and together they have at most probability 1 (`add_spellings`).
3. If no option has another spelling and no sequence begins another, the log-probabilities are returned as they are.

For example, with the stem "The answer is " and the close ".", in tokens of one character::

    option     sequences                  probabilities     of the option
    19         "19."                      .5                .5 - .1 = .4      "19.5." begins with "19."
    19.5       "19.5."                    .1                .1
    1200       "1200.", "1,200."          .2, .15           .35
    7          "7.", "7.0."               .05, .01          .05               "7.0." lies within "7."
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from faithlens.errors import PlanError
from faithlens.plan.condition import Condition

Sequences = tuple[tuple[int, ...], ...]


class Union(NamedTuple):
    """The event of one option: the sequences that it holds, and those of other options to be taken out of it."""

    held: list[int]
    taken_out: list[int]


def check_spellings(condition: Condition) -> None:
    """Refuse options that are not apart.

    Raises:
        PlanError: two options have the same tokens, or the spellings do not belong to the options.
    """
    if condition.spellings and len(condition.spellings) != len(condition.options):
        raise PlanError(
            f"condition {condition.name!r} has {len(condition.options)} options, and further spellings of"
            f" {len(condition.spellings)}",
            "Give a tuple of spellings for each option; it may be empty.",
        )
    list_unions(condition.options, condition.spellings)


def add_spellings(condition: Condition, logprobs: Float[Tensor, " sequence"]) -> Float[Tensor, " option"]:
    """The log-probability of each option, from those of the sequences in the order of `Condition.sequences`; in nats.

    A difference below the rounding of the precision counts as this rounding, so that no probability is 0.
    """
    unions = list_unions(condition.options, condition.spellings)
    if all(union == ([i], []) for i, union in enumerate(unions)):
        return logprobs[: len(unions)]
    return torch.stack([measure_union(union, logprobs) for union in unions])


def measure_union(union: Union, logprobs: Float[Tensor, " sequence"]) -> Float[Tensor, ""]:
    """The log-probability of one option, from those of all sequences; in nats."""
    held = logprobs[union.held]
    whole = held.logsumexp(0) if len(held) > 1 else held[0]
    if not union.taken_out:
        return whole
    # log(1 - exp(rest)), by the form that keeps its digits on either side of 1/2
    rest = (logprobs[union.taken_out].logsumexp(0) - whole).clamp(max=-torch.finfo(whole.dtype).eps)
    return whole + (torch.log(-torch.expm1(rest)) if rest > -0.7 else torch.log1p(-torch.exp(rest)))


@lru_cache(maxsize=1024)
def list_unions(options: Sequences, spellings: tuple[Sequences, ...]) -> tuple[Union, ...]:
    """The event of each option, as numbers of sequences in the order of `Condition.sequences`.

    Raises:
        PlanError: two options have the same tokens.
    """
    owners = [*range(len(options)), *(i for i, more in enumerate(spellings) for _ in more)]
    sequences = [*options, *(sequence for more in spellings for sequence in more)]
    first: dict[tuple[int, ...], int] = {}
    for number, sequence in enumerate(sequences):
        pair = {owners[first.setdefault(sequence, number)], owners[number]}
        if len(pair) == 2:
            raise PlanError(
                f"the options number {min(pair) + 1} and {max(pair) + 1} of a condition have the same tokens"
                f" {list(sequence)}, so they are one option",
                "Give options that differ, or give the second as a spelling of the first.",
            )
    above = {number: _find_start(sequence, first) for sequence, number in first.items()}
    unions = tuple(Union([], []) for _ in options)
    for number, start in above.items():
        if start == number or owners[start] != owners[number]:
            unions[owners[number]].held.append(number)
        if owners[start] != owners[number]:
            unions[owners[start]].taken_out.append(number)
    return unions


def _find_start(sequence: tuple[int, ...], numbers: dict[tuple[int, ...], int]) -> int:
    """The number of the longest shorter sequence that begins `sequence`; its own number if none does."""
    starts = (sequence[:length] for length in range(len(sequence) - 1, 0, -1))
    return next((numbers[start] for start in starts if start in numbers), numbers[sequence])


def list_first_tokens(condition: Condition) -> Sequences:
    """For each option, the first tokens of its spellings; those that other options share too, only if it has no other.

    The logit lens sees no more of an option than these tokens.
    """
    return _list_first_tokens(condition.options, condition.spellings)


@lru_cache(maxsize=1024)
def _list_first_tokens(options: Sequences, spellings: tuple[Sequences, ...]) -> Sequences:
    every = [
        {option[0], *(each[0] for each in more)}
        for option, more in zip(options, spellings or ((),) * len(options), strict=True)
    ]
    shared = {token for tokens in every for token in tokens if sum(token in others for others in every) > 1}
    return tuple(tuple(sorted(tokens - shared)) or (option[0],) for option, tokens in zip(options, every, strict=True))
