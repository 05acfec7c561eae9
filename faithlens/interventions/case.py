"""A case: everything about one question that its edited versions are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from faithlens.runtime.condition import Condition, Edit
from faithlens.runtime.model import Lens
from faithlens.runtime.trace import Finish, Piece, Trace
from faithlens.tasks.question import Question, Stem


@dataclass(frozen=True)
class Written:
    """Something that was written for an edited version: the words, their tokens where the model wrote them, the end."""

    text: str
    ids: tuple[int, ...] = ()
    finish: Finish = "stop"


@dataclass(frozen=True)
class Case:
    """One question, a chain of thought a model wrote for it, and the answers that are scored.

    Attributes:
        question: what was asked.
        trace: what the model wrote.
        direct: the prompt that asks for the answer at once, without a chain of thought.
        stem: the words that force the answer after a chain of thought.
        candidates: the answers that are scored; at least the question's own.
        options: the tokens of each candidate, as they continue the stem.
        twin: the counterfactual question's own trace; None where the task knows none.
        sample: which of the question's chains of thought this is.
        written: what was written for its edited versions, by name.
    """

    question: Question
    trace: Trace
    direct: Piece
    stem: Piece
    candidates: tuple[str, ...]
    options: tuple[tuple[int, ...], ...]
    twin: Trace | None = None
    sample: int = 0
    written: Mapping[str, Written] = field(default_factory=dict[str, Written], hash=False, repr=False)

    @property
    def key(self) -> str:
        """The question's id and the number of the chain: what seeds are made of."""
        return f"{self.question.id}:{self.sample}" if self.sample else self.question.id

    @property
    def answer(self) -> int:
        """Which candidate is right."""
        return self.candidates.index(self.question.answer)

    def condition(self, name: str, pieces: Sequence[Piece], edits: tuple[Edit, ...] = ()) -> Condition:
        """An edited version of the trace, answered by the stem."""
        return Condition(name, (*pieces, self.stem), self.options, edits)


def make_case(
    lens: Lens,
    question: Question,
    trace: Trace,
    direct: Sequence[int],
    stem: Stem,
    candidates: Sequence[str],
    twin: Trace | None = None,
    sample: int = 0,
) -> Case:
    """Put a stem and candidate answers into tokens, as they follow the trace.

    Raises:
        TraceError: the tokenizer cannot write the stem or a candidate.
    """
    before = [token for piece in trace.pieces for token in piece.ids]
    words = lens.continue_ids(before, stem.text)
    options = tuple(lens.continue_ids([*before, *words], c + stem.close) for c in candidates)
    asked, closing = Piece("prompt", tuple(direct)), Piece("stem", words)
    return Case(question, trace, asked, closing, tuple(candidates), options, twin, sample)
