"""Chains of thought that other programs or people wrote, with the questions they answer.

They are read from our own JSON lines, from sample logs of lm-evaluation-harness, from logs of Inspect, and from files
that were released with papers; `formats/` has a module for each. If our JSON lines or a released file give the prompt
of a chain, the chain is scored after that prompt. A closing statement ("The answer is (B).") stays part of the chain of
thought, as in chains that faithlens samples. In a reply with markers of thoughts, the chain of thought is the text
between the markers (`faithlens.thoughts`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from faithlens.errors import TaskError, check_choice
from faithlens.tasks.entries import FaultList, QuestionCollection, read_question
from faithlens.tasks.fixed_task import FixedTask
from faithlens.tasks.formats import inspect_logs, json_lines, lm_eval_logs, released
from faithlens.tasks.formats.reply_record import GivenEdit, ReplyRecord
from faithlens.tasks.given_prompts import exchange_question, place_question
from faithlens.tasks.jsonl import read_lines
from faithlens.tasks.question import Prompt, Question, Strategy
from faithlens.thoughts import Finish, read_reply

_MOST_DAMAGED = 20  # lines at the beginning of a file, by any of which its format is told


@dataclass(frozen=True)
class Transcript:
    """One chain of thought that was written for a question.

    Attributes:
        question: what it answers.
        cot: the chain of thought; empty where the model wrote none.
        sample: its number among those of the same question, from 0.
        finish: "stop" if the model ended it, "length" if it was cut off.
        reply: what the model said after the markers of its thoughts; empty where there are none.
        steps: the steps of the chain, where the file gives them; else empty, and the chain is cut here.
        edits: steps with mistakes that the file gives; other mistakes are not made then.
        given_answer: the answer that the model gave when the chain was published; empty where the file does not say.
        labels: what is said of the chain, by name: labels of judges, and keys of the file that have no other use.
        step_labels: the same of each step, by name.
    """

    question: Question
    cot: str
    sample: int
    finish: Finish
    reply: str = ""
    steps: tuple[str, ...] = ()
    edits: tuple[GivenEdit, ...] = ()
    given_answer: str = ""
    labels: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    step_labels: Mapping[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]], hash=False)

    def __post_init__(self) -> None:
        check_choice(self.finish, get_args(Finish), "finish of a chain of thought", TaskError)


class TranscriptTask(FixedTask):
    """The questions of a file of transcripts, as a task.

    Attributes:
        transcripts: the chains of thought in the file, in its order.
        left_out: the number of bad entries that were left out, by reason; empty without `skip_bad`.
        remarks: what else is to say about the file, such as which of several filters was read.
        prompts: the prompts that the file gives, by the id of their question.

    Args:
        path: the file; its name and its first lines tell its format.
        skip_bad: whether bad entries are left out; otherwise a file that has any is refused.

    Raises:
        TaskError: the file cannot be read, is empty, mixes forms, or has broken entries (the first ten are named); or
            it is a log of Inspect and inspect-ai is not installed.
    """

    def __init__(self, path: str | Path, *, skip_bad: bool = False) -> None:
        self.transcripts, faults, entered = _read_file(Path(path), skip_bad)
        self.left_out, self.remarks, self.prompts = dict(faults.counts), tuple(faults.remarks), entered.prompts
        super().__init__(str(path), list(dict.fromkeys(t.question for t in self.transcripts)), entered.counterfactuals)

    def make_prompt(self, question: Question, strategy: Strategy) -> Prompt:
        """The prompt that the file gives for `question`, the same with a chain of thought and without; else our words.

        A question that was made from one of the file (its options in another order, its counterfactual) is put into
        that one's prompt, if it can take its place word by word. Options that cannot be moved stay in their places.
        """
        origin = self._by_id.get(question.id.removesuffix(":counterfactual"))
        prompt = self.prompts.get(origin.id) if origin else None
        if origin is None or prompt is None:
            return super().make_prompt(question, strategy)
        if (question.text, question.choices) == (origin.text, origin.choices):
            return prompt
        exchanged = exchange_question(prompt, origin, question)
        if exchanged is None and question.text == origin.text:
            return prompt
        return exchanged or super().make_prompt(question, strategy)

    @cached_property
    def _by_id(self) -> dict[str, Question]:
        return {question.id: question for question in self.all_questions}


def _read_file(path: Path, skip_bad: bool) -> tuple[list[Transcript], FaultList, QuestionCollection]:
    """The chains of thought, what is wrong with the entries that were left out, and the questions as entered."""
    read, noun = _choose_reader(path)
    faults = FaultList(path, noun)
    entered, seen = QuestionCollection(), Counter[Question]()
    transcripts: list[Transcript] = []
    for where, record in read(path, faults):
        with faults.collect_at(where):
            question = read_question(record.entry, where.replace(" ", "-"))
            prompt = place_question(record.prompt, question) if record.prompt else None
            question = entered.get_or_add(question, where, prompt)
            entered.add_counterfactual(record.entry, question)
            for reply in record.replies:
                published = (reply.steps, reply.edits, reply.answer, reply.labels, reply.step_labels)
                read_back, n = read_reply(reply.text, reply.finish), seen[question]
                chain = (read_back.thoughts, n, read_back.finish, read_back.rest)
                transcripts.append(Transcript(question, *chain, *published))
                seen[question] += 1
    if not skip_bad:
        faults.raise_if_any(f"Correct or remove each {noun} named, or leave bad ones out with --skip-bad.")
    if not transcripts:
        faults.raise_if_any(f"No entry can be used; correct at least one {noun}.")
    if not transcripts:
        raise TaskError(f"{path} holds no chains of thought", "Pass a file that has at least one.")
    return transcripts, faults, entered


def _choose_reader(path: Path) -> tuple[Callable[[Path, FaultList], Iterator[tuple[str, ReplyRecord]]], str]:
    """The reader for a file, and what it calls one entry."""
    if released.is_released(path):
        return released.read_records, "chain"
    if path.suffix in (".eval", ".json"):
        return inspect_logs.read_records, "sample"
    begin = read_lines(path)[:_MOST_DAMAGED]
    is_log = any(lm_eval_logs.is_log_line(line) for _, line in begin)
    return lm_eval_logs.read_records if is_log else json_lines.read_records, "line"
