"""A case: everything about one question that its edited versions are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from faithlens.model.model import Model
from faithlens.model.trace import Finish, Piece, Trace
from faithlens.plan.condition import Condition, Edit
from faithlens.tasks.question import Question, Stem


@dataclass(frozen=True)
class GeneratedText:
    """Something that was written for an edited version.

    Attributes:
        text: the words.
        ids: their tokens, where the model under test wrote them.
        finish: "length" where the token limit broke it off.
        unusable_reason: why it cannot be answered after; None where it can.
    """

    text: str
    ids: tuple[int, ...] = ()
    finish: Finish = "stop"
    unusable_reason: str | None = None


@dataclass(frozen=True)
class Case:
    """One question, a chain of thought a model wrote for it, and the answers that are scored.

    Attributes:
        question: what was asked.
        trace: what the model wrote.
        direct_prompt: the prompt that asks for the answer at once, without a chain of thought.
        stem: what forces the answer after a chain of thought; it first closes the thoughts of a reasoning model.
        plain_stem: the same without closing anything, for prompts in which no thoughts are open.
        candidates: the answers that are scored; at least the question's own.
        options: the tokens of each candidate, as they continue the stem.
        close: the words that end an answer.
        counterfactual: the counterfactual question's own trace; None where the task knows none.
        empty_think_prompt: the prompt in which thoughts are closed with nothing thought; None where the model has no think block.
        sample: which of the question's chains of thought this is.
        generated_texts: what was written for its edited versions, by name.
    """

    question: Question
    trace: Trace
    direct_prompt: Piece
    stem: Piece
    plain_stem: Piece
    candidates: tuple[str, ...]
    options: tuple[tuple[int, ...], ...]
    close: str = ""
    counterfactual: Trace | None = None
    empty_think_prompt: Piece | None = None
    sample: int = 0
    generated_texts: Mapping[str, GeneratedText] = field(
        default_factory=dict[str, GeneratedText], hash=False, repr=False
    )

    @property
    def key(self) -> str:
        """The question's id and the number of the chain: what seeds are made of."""
        return f"{self.question.id}:{self.sample}" if self.sample else self.question.id

    @property
    def answer_index(self) -> int:
        """Which candidate is right."""
        return self.candidates.index(self.question.answer)

    def make_condition(self, name: str, pieces: Sequence[Piece], edits: tuple[Edit, ...] = ()) -> Condition:
        """An edited version of the trace, answered by the stem."""
        return Condition(name, (*pieces, self.stem), self.options, edits)

    def make_direct_condition(self, name: str, *prompt: Piece) -> Condition:
        """A prompt, and what else stands there, that is answered with no thoughts open."""
        return Condition(name, (*prompt, self.plain_stem), self.options)


def make_case(
    model: Model,
    question: Question,
    trace: Trace,
    direct_prompt: Sequence[int],
    stem: Stem,
    candidates: Sequence[str],
    counterfactual: Trace | None = None,
    empty_think_prompt: Sequence[int] | None = None,
    sample: int = 0,
) -> Case:
    """Put a stem and candidate answers into tokens, as they follow the trace.

    A reasoning model's stem closes its thoughts, and what stands after the marker takes the place of the white space
    before the stem's first word. Closing belongs to the stem so that all rows after the steps answer: else the answer
    could look at hidden steps through the marker's eyes.

    Raises:
        TraceError: the tokenizer cannot write the stem or a candidate.
    """
    before = [token for piece in trace.pieces for token in piece.ids]
    end = model.continue_ids(before, model.thinking.ending) if model.thinking else ()
    text = stem.text.lstrip() if model.thinking else stem.text
    words = model.continue_ids([*before, *end], text)
    options = tuple(model.continue_ids([*before, *end, *words], c + stem.close) for c in candidates)
    return Case(
        question=question,
        trace=trace,
        direct_prompt=Piece("prompt", tuple(direct_prompt)),
        stem=Piece("stem", (*end, *words)),
        plain_stem=Piece("stem", words),
        candidates=tuple(candidates),
        options=options,
        close=stem.close,
        counterfactual=counterfactual,
        empty_think_prompt=None if empty_think_prompt is None else Piece("prompt", tuple(empty_think_prompt)),
        sample=sample,
    )
