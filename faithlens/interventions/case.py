"""A case: one question with one chain of thought, and all that edited versions of the chain are made from.

A case is made in two parts, because the stem is chosen only after some chains of thought are known:

1. `make_case` adds to question and trace the candidate answers and the two prompts that have no chain of thought.
2. `Case.with_stem` adds the stem, and each candidate as it continues the stem, in tokens, with its further spellings.

For example, with the steps " First 5." and " Then 9." and ``Stem("\\nAnswer: (", ")")``::

    question    2 + 3 + 4?                    candidates   "A", "B"
    trace       [prompt] [ First 5.] [ Then 9.]
    stem        "\\nAnswer: ("                 options      "A)", "B)"

    case.make_condition("cut@1", trace.pieces[:2])     [prompt] [ First 5.] [stem], scored for "A)" and "B)"
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import get_args

from faithlens.console import format_html_table
from faithlens.errors import TraceError, check_choice, check_type
from faithlens.execution.sample import Continuation
from faithlens.interventions.prompt_pieces import make_empty_think_piece, make_question_piece
from faithlens.model.model import Model
from faithlens.model.trace import Finish, Piece, Trace
from faithlens.plan.condition import Condition, Edit
from faithlens.tasks.candidates import (
    Notation,
    collect_notations,
    list_spellings,
    merge_candidates,
    write_stated_value,
)
from faithlens.tasks.conclusions import find_conclusion
from faithlens.tasks.counterfactuals import Counterfactual
from faithlens.tasks.question import Question, Stem, Task
from faithlens.tasks.transcripts import Transcript
from faithlens.tasks.values import is_same_answer

LONGEST_STATED = 40
"""Characters of a number that a chain of thought states and that is scored as an answer, at most."""


@dataclass(frozen=True)
class GeneratedText:
    """A text that was written for an edited version.

    Attributes:
        text: the text.
        ids: its tokens, if the model under test wrote it.
        finish: "length" if the token limit cut it off.
        unusable_reason: why no answer can be read after it; None if one can.
        draft: the tokens as the model under test wrote them, before anything was cut off; None if an editor wrote it.
    """

    text: str
    ids: tuple[int, ...] = ()
    finish: Finish = "stop"
    unusable_reason: str | None = None
    draft: Continuation | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class AnswerSlot:
    """The tokens that make a model answer after a chain of thought.

    Attributes:
        words: the stem as text, as the task has it.
        stem: the stem's tokens; for a reasoning model they close the thoughts first.
        plain_stem: the same without closing anything, for prompts in which no thoughts are open.
        options: the tokens of each candidate as it continues the stem, in the order of `Case.candidates`.
        spellings: for each candidate, its further spellings in tokens; empty if no candidate has any.
    """

    words: Stem
    stem: Piece
    plain_stem: Piece
    options: tuple[tuple[int, ...], ...]
    spellings: tuple[tuple[tuple[int, ...], ...], ...] = ()


@dataclass(frozen=True)
class FailedChain:
    """A question for which no usable chain of thought was written.

    Attributes:
        question: the question.
        sample: the number of the chain among the question's chains.
        reason: why there is no usable chain.
        drafts: what the model wrote, by name.
    """

    question: Question
    sample: int
    reason: str
    drafts: Mapping[str, Continuation] = field(default_factory=dict[str, Continuation], compare=False, repr=False)


@dataclass(frozen=True)
class Case:
    """One question, a chain of thought that a model wrote for it, and the answers that are scored.

    `fl.think(model, task, question)` makes one.

    Attributes:
        question: the question.
        trace: the model's chain of thought.
        candidates: the answers that are scored: the question's own, and perhaps more; each value once.
        direct_prompt: the prompt that asks for the answer at once, without a chain of thought.
        empty_think_prompt: the prompt with a closed empty block of thoughts; None for a model without such blocks.
        counterfactual: the trace of the counterfactual question; None if there is none.
        sample: the number of this chain among the question's chains.
        counterfactual_question: what `counterfactual` answers, and where it comes from; None if there is none.
        slot: the stem and the options in tokens; None until `with_stem` is called.
        generated_texts: the texts that were written for edited versions, by name.
        transcript: what the chain was read from, with edits and labels that came with it; None if it was sampled.
        drafts: the tokens of the sampled chain ("chain") and of the one for the counterfactual question
            ("counterfactual"), as the model wrote them, before anything was cut off.
    """

    question: Question
    trace: Trace
    candidates: tuple[str, ...]
    direct_prompt: Piece
    empty_think_prompt: Piece | None = None
    counterfactual: Trace | None = None
    sample: int = 0
    counterfactual_question: Counterfactual | None = None
    slot: AnswerSlot | None = None
    generated_texts: Mapping[str, GeneratedText] = field(
        default_factory=dict[str, GeneratedText], hash=False, repr=False
    )
    transcript: Transcript | None = field(default=None, compare=False, repr=False)
    drafts: Mapping[str, Continuation] = field(default_factory=dict[str, Continuation], compare=False, repr=False)

    def __repr__(self) -> str:
        steps = len(self.trace.texts) - 1
        return (
            f"Case({self.question.id!r}, chain {self.sample}, {steps} steps, candidates {', '.join(self.candidates)})"
        )

    def _repr_html_(self) -> str:
        rows = [(piece.name, text) for piece, text in zip(self.trace.pieces, self.trace.texts, strict=True)]
        answers = [("right answer", self.question.answer or None), ("candidates", ", ".join(self.candidates))]
        return format_html_table(f"Case {self.question.id}", ("part", "text"), [*rows, *answers])

    @property
    def key(self) -> str:
        """The question's id with the number of the chain. Seeds are made of it."""
        return make_key(self.question, self.sample)

    @property
    def answer_index(self) -> int:
        """The index of the right answer among the candidates; -1, which is no index, where nobody knows it."""
        return self.candidates.index(self.question.answer) if self.question.answer else -1

    def get_slot(self) -> AnswerSlot:
        """The stem and the options in tokens.

        Raises:
            TraceError: `with_stem` was not called.
        """
        if self.slot is None:
            raise TraceError(
                f"the case of question {self.question.id!r} has no answer stem yet, so nothing can be answered in it",
                "Call case.with_stem(model, stem) and use the case that it returns.",
            )
        return self.slot

    @property
    def stem(self) -> Piece:
        """The stem after a chain of thought, in tokens."""
        return self.get_slot().stem

    @property
    def plain_stem(self) -> Piece:
        """The stem where no thoughts are open, in tokens."""
        return self.get_slot().plain_stem

    @property
    def options(self) -> tuple[tuple[int, ...], ...]:
        """The tokens of each candidate as it continues the stem."""
        return self.get_slot().options

    def with_stem(self, model: Model, stem: Stem) -> "Case":
        """This case, with `stem` and the candidates in tokens as they follow the trace.

        The stem of a reasoning model closes the thoughts first, and its text then needs no white space at its start.
        The closing marker is part of the stem piece, so that every row after the steps belongs to the answer. If the
        marker were a piece of its own, the answer could read hidden steps through it.

        Raises:
            TraceError: the tokenizer cannot write the stem or a candidate there.
        """
        before = [token for piece in self.trace.pieces for token in piece.ids]
        end = model.continue_ids(before, model.thinking.ending) if model.thinking else ()
        text = stem.text.lstrip() if model.thinking else stem.text
        words = model.continue_ids([*before, *end], text)
        slot = AnswerSlot(stem, Piece("stem", (*end, *words)), Piece("stem", words), ())
        written = [self._encode_answer(model, (*before, *end, *words), each, stem) for each in self.candidates]
        options, more = tuple(own for own, *_ in written), tuple(tuple(rest) for _, *rest in written)
        return replace(self, slot=replace(slot, options=options, spellings=more if any(more) else ()))

    def add_options(self, model: Model, condition: Condition, answers: Iterable[str | None]) -> Condition:
        """The condition, with those of `answers` that `list_new_answers` names as further options.

        It stays as it is if the tokenizer cannot write one of them after it: a model cannot give such an answer.

        Args:
            model: the model, whose tokenizer writes the answers.
            condition: an edited version of this case; what is among its options already is left out.
            answers: texts of answers; None is no answer.
        """
        words, more = self.get_slot().words, self.list_new_answers(model, answers)
        try:
            written = [self._encode_answer(model, condition.ids, answer, words) for answer in more]
        except TraceError:
            return condition
        new = [each for each in written if each[0] not in condition.options]
        known = condition.spellings or ((),) * len(condition.options)
        spellings = (*known, *(tuple(more) for _, *more in new))
        options = (*condition.options, *(own for own, *_ in new))
        return replace(condition, options=options, spellings=spellings if any(spellings) else ())

    def add_conclusion(self, model: Model, condition: Condition, text: str, finish: Finish) -> Condition:
        """The condition, with what `text` concludes as a further option of a free-form question.

        A text that the model wrote anew may conclude a value that no candidate has. If it were not scored, the most
        likely candidate would pass for the answer, however unlikely it is.

        Args:
            model: the model, whose tokenizer writes the answer.
            condition: an edited version of this case.
            text: what the model wrote anew in it.
            finish: "length" if the token limit cut the text off.

        Raises:
            TraceError: there is no such `finish`.
        """
        check_choice(finish, get_args(Finish), "finish", TraceError)
        if self.question.form == "choice":
            return condition
        return self.add_options(model, condition, [find_conclusion(text, self.question, finish)])

    def list_new_answers(self, model: Model, answers: Iterable[str | None]) -> list[str]:
        """Those of `answers` that are no candidates, short enough to score, and can be written; each value once.

        Args:
            model: the model, whose tokenizer writes the answers.
            answers: texts of answers; None is no answer.
        """
        out, stem = list[str](), self.make_condition("full", self.trace.pieces).ids
        for answer in answers:
            mark = self.question.decimal_mark
            if answer is None or len(answer) > LONGEST_STATED or self.find_candidate(answer) is not None:
                continue
            with suppress(TraceError):
                self._encode_answer(model, stem, answer, self.get_slot().words)
                out += [] if any(is_same_answer(known, answer, mark) for known in out) else [answer]
        return out

    def find_candidate(self, answer: str | None) -> str | None:
        """The candidate that has the value of `answer`; None if there is none."""
        mark = self.question.decimal_mark
        return next((known for known in self.candidates if is_same_answer(known, answer, mark)), None)

    def _encode_answer(self, model: Model, before: Sequence[int], answer: str, stem: Stem) -> list[tuple[int, ...]]:
        """Each spelling of `answer` in tokens, its own first; further ones that cannot be written are left out."""
        out = [model.continue_ids(before, answer + stem.close)]
        for spelling in self.list_spellings(answer)[1:]:
            with suppress(TraceError):
                out.append(model.continue_ids(before, spelling + stem.close))
        return list(dict.fromkeys(out))

    def list_spellings(self, answer: str) -> tuple[str, ...]:
        """The ways in which the model may write an answer of this question, its own first."""
        if self.question.form == "choice":
            return (answer,)
        same = [each for each in self.question.candidates if is_same_answer(each, answer, self.question.decimal_mark)]
        spellings = list_spellings(answer, self._notations, self.question.decimal_mark)
        return tuple(dict.fromkeys([answer, *same, *spellings]))

    @cached_property
    def _notations(self) -> tuple[Notation, ...]:
        steps = [text for trace in (self.trace, self.counterfactual) if trace for text in trace.texts[1:]]
        return collect_notations(self.question, self.candidates, steps)

    def has_room_after(self, model: Model, n_tokens: int) -> bool:
        """Whether the model can read the stem and the longest option after `n_tokens`."""
        spelled = [sequence for more in self.get_slot().spellings for sequence in more]
        answer = len(self.stem.ids) + max(map(len, [*self.options, *spelled]))
        return n_tokens + answer <= model.context_length

    def make_condition(self, name: str, pieces: Sequence[Piece], edits: tuple[Edit, ...] = ()) -> Condition:
        """An edited version of the trace: `pieces`, then the stem.

        Args:
            name: the name of the condition, which is its row in tables.
            pieces: what the model reads, from the prompt on.
            edits: edits of the forward pass, in the order in which they apply.
        """
        return self._make_condition(name, (*pieces, self.stem), edits)

    def make_direct_condition(self, name: str, *prompt: Piece) -> Condition:
        """A prompt in which no thoughts are open, then the stem.

        Args:
            name: the name of the condition, which is its row in tables.
            prompt: what the model reads before the stem.
        """
        return self._make_condition(name, (*prompt, self.plain_stem))

    def _make_condition(self, name: str, pieces: tuple[Piece, ...], edits: tuple[Edit, ...] = ()) -> Condition:
        return Condition(name, pieces, self.options, edits, spellings=self.get_slot().spellings)


def check_case(case: object) -> None:
    """Refuse what is no `Case`, such as a list of cases.

    Raises:
        TraceError: with the class of `case`.
    """
    fix = "fl.think(model, task, question) gives a case; pass the cases of a list one by one."
    check_type(case, Case, "the case", fix, TraceError)


def make_key(question: Question, sample: int = 0) -> str:
    """A name for one chain of one question: the question's id, and the chain's number if it is not the first."""
    return f"{question.id}:{sample}" if sample else question.id


def collect_candidates(question: Question, *traces: Trace | None, also: Sequence[str] = ()) -> tuple[str, ...]:
    """The answers to score: the question's own, and for a free-form question `also` and what `traces` state.

    A trace states what its steps come to and what it concludes, which may be in words ("so twenty-four"). Each value is
    one answer, in the spelling of the right one if it is that, else as it was written first. A stated number of more
    than `LONGEST_STATED` characters is left out: a model that repeats itself wrote it, and scoring it as an answer
    would take the room of a whole chain.
    """
    if question.form == "choice":
        return question.candidates
    known = [trace for trace in traces if trace]
    stated = [write_stated_value(text, question.decimal_mark) for trace in known for text in trace.texts[1:]]
    stated += [find_conclusion(trace.reply or trace.cot, question, trace.finish) for trace in known]
    short = (text for text in stated if text is not None and len(text) <= LONGEST_STATED)
    candidates = [*question.candidates, *short, *also]
    return tuple(merge_candidates(candidates, question.decimal_mark, keep=question.answer))


def make_case(
    model: Model,
    task: Task,
    question: Question,
    trace: Trace,
    counterfactual: Trace | None = None,
    sample: int = 0,
    *,
    counterfactual_question: Counterfactual | None = None,
) -> Case:
    """A case of `question`, without a stem; `Case.with_stem` adds one.

    Args:
        model: the model that wrote the traces.
        task: the task that words the prompts.
        question: the question.
        trace: the chain of thought that the model wrote for it.
        counterfactual: the chain of thought that the model wrote for the counterfactual question, if there is one.
        sample: the number of this chain among the question's chains.
        counterfactual_question: the counterfactual question, whose right answer is scored too where it is known.
    """
    also = (
        [counterfactual_question.answer]
        if counterfactual_question and counterfactual_question.answer and question.form == "free-form"
        else []
    )
    return Case(
        question=question,
        trace=trace,
        candidates=collect_candidates(question, trace, counterfactual, also=also),
        direct_prompt=make_question_piece(model, task, question, "no_cot"),
        empty_think_prompt=make_empty_think_piece(model, task, question),
        counterfactual=counterfactual,
        sample=sample,
        counterfactual_question=counterfactual_question,
    )
