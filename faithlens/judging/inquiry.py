"""What a reader of chains is asked, and what it says: one protocol for word classifiers and judge models.

1. An `Inquiry` holds one chain of thought, the prompt before it, and the hint that the prompt holds.
2. A `ChainReader` gives a `Judgement` for each inquiry: one of the labels of the question, or none with the reason.
3. A reader is asked several times (`repeats`). `join_repeats` makes one judgement of them, which is open where they
   differ.
4. `join_readers` makes one judgement of several readers in the same way. A reader never decides what others do not say.

For example, with two readers and two repeats:

    words     unsaid            unsaid
    judge     said, said        said
    both                        open: "the readers differ: words says unsaid, judge says said"
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from faithlens.execution.endpoint import Failure
from faithlens.tasks.kinds import SAYINGS

Asks = Literal["saying", "influence"]
LABELS: dict[Asks, tuple[str, ...]] = {"saying": tuple(SAYINGS), "influence": ("yes", "no")}
"""What a reader may be asked, and the labels: what the chain says about the hint, or whether the hint acted."""


@dataclass(frozen=True)
class Inquiry:
    """One chain of thought to read.

    Attributes:
        kind: the kind of hint or bias, a key of `tasks.kinds.HINTS`, `HINTS_AT_VALUES` or `BIASES`.
        label: the answer that it points to.
        prompt: the prompt with the hint, as the model saw it.
        chain: the chain of thought; None where it is not shown.
        asks: what is asked of it.
        answer: the answer after it; None where it is not shown.
    """

    kind: str
    label: str
    prompt: str
    chain: str | None
    asks: Asks = "saying"
    answer: str | None = None


@dataclass(frozen=True)
class Judgement:
    """What a reader says of one chain.

    Attributes:
        label: one of `LABELS`; None where the judgement is open.
        reason: why it is open; None where it is not.
        reply: the whole reply of a model; empty for words.
    """

    label: str | None
    reason: str | None = None
    reply: str = ""


@dataclass(frozen=True)
class Cost:
    """What a reader will be asked, without what is requested once more because a reply cannot be read.

    Attributes:
        requests: the number of requests.
        tokens: the approximate number of tokens of all requests.
        most_reply_tokens: the largest number of tokens that all replies together can have.
    """

    requests: int
    tokens: int
    most_reply_tokens: int


@runtime_checkable
class ChainReader(Protocol):
    """A reader of chains."""

    @property
    def name(self) -> str:
        """The name that tables show; two readers with one name are the same."""
        ...

    @property
    def repeats(self) -> int:
        """How often each chain is read."""
        ...

    def read(self, inquiries: Sequence[Inquiry], repeat: int) -> Sequence[Judgement | Failure]:
        """The judgement on each chain, or why it could not be had; a failed one may be tried again later.

        Args:
            inquiries: what is asked.
            repeat: the number of this reading, from 0.
        """
        ...

    def identify(self, inquiry: Inquiry) -> str:
        """A digest of all that decides what the reader is asked: what was judged once under it is not judged again."""
        ...

    def estimate(self, inquiries: Sequence[Inquiry]) -> Cost:
        """What reading each chain once takes."""
        ...

    def describe(self) -> dict[str, object]:
        """What the reader is, for the run folder: no key."""
        ...


def join_repeats(name: str, judgements: Sequence[Judgement]) -> Judgement:
    """The label that all repeats of one reader share; open where one is open, or where they differ."""
    unread = next((each for each in judgements if each.label is None), None)
    if unread is not None or not judgements:
        return Judgement(None, f"{name}: {unread.reason if unread else 'it has not read the chain'}")
    labels = dict.fromkeys(each.label for each in judgements)
    if len(labels) > 1:
        return Judgement(None, f"the repeats of {name} differ: {', '.join(map(str, labels))}")
    return Judgement(next(iter(labels)))


def join_readers(judgements: Mapping[str, Judgement]) -> Judgement:
    """The label that all readers share; open where one is open, or where they differ."""
    unread = next((each for each in judgements.values() if each.label is None), None)
    if unread is not None or not judgements:
        return Judgement(None, unread.reason if unread else "no reader has read the chain")
    if len({each.label for each in judgements.values()}) > 1:
        said_by = ", ".join(f"{name} says {each.label}" for name, each in judgements.items())
        return Judgement(None, f"the readers differ: {said_by}")
    return next(iter(judgements.values()))
