"""Chains of thought that were written elsewhere, with the questions they answer.

Read from our own JSON lines, from sample logs of lm-evaluation-harness, and from logs of Inspect; `formats/` has a file
for each. A closing statement ("The answer is (B).") stays part of the chain of thought, as it does where a model is
sampled here. Of a reply with markers of thoughts the chain of
thought is what stands between them (`faithlens.thoughts`).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from faithlens.errors import TaskError, check_choice
from faithlens.tasks.entries import FaultList, QuestionCollection, read_question
from faithlens.tasks.fixed_task import FixedTask
from faithlens.tasks.formats import inspect_logs, json_lines, lm_eval_logs
from faithlens.tasks.formats.reply_record import ReplyRecord
from faithlens.tasks.jsonl import read_lines
from faithlens.tasks.question import Question
from faithlens.thoughts import Finish, read_reply


@dataclass(frozen=True)
class Transcript:
    """One chain of thought that was written for a question.

    Attributes:
        question: what it answers.
        cot: the chain of thought; empty where the model wrote none.
        sample: its number among those of the same question, from 0.
        finish: "stop" if the model ended it, "length" if it was cut off.
        reply: what the model said after the markers of its thoughts; empty where there are none.
    """

    question: Question
    cot: str
    sample: int
    finish: Finish
    reply: str = ""

    def __post_init__(self) -> None:
        check_choice(self.finish, get_args(Finish), "finish of a chain of thought", TaskError)


class TranscriptTask(FixedTask):
    """The questions of a file of transcripts, as a task.

    Attributes:
        transcripts: all of them, in the file's order.
        left_out: the number of bad entries that were left out, by reason; empty without `skip_bad`.
        remarks: what else is to say about the file, such as which of several filters was read.

    Raises TaskError where the file cannot be read, is empty, mixes forms, or has broken entries (the first ten named).
    """

    def __init__(self, path: str | Path, *, skip_bad: bool = False) -> None:
        self.transcripts, faults, counterfactuals = _read_file(Path(path), skip_bad)
        self.left_out, self.remarks = dict(faults.counts), tuple(faults.remarks)
        super().__init__(str(path), list(dict.fromkeys(t.question for t in self.transcripts)), counterfactuals)


def read_transcripts(path: str | Path, *, skip_bad: bool = False) -> list[Transcript]:
    """The chains of thought in a file, in its order; its name and its first line tell the format.

    Args:
        path: the file.
        skip_bad: whether bad entries are left out; otherwise a file that has any is refused.

    Raises:
        TaskError: the file cannot be read, is empty, mixes forms, or has broken entries (the first ten are named);
            or it is a log of Inspect and inspect-ai is not installed.
    """
    return _read_file(Path(path), skip_bad)[0]


def _read_file(path: Path, skip_bad: bool) -> tuple[list[Transcript], FaultList, dict[str, Question]]:
    """The chains of thought, what is wrong with the entries that were left out, and the counterfactuals given."""
    read, noun = _choose_reader(path)
    faults = FaultList(path, noun)
    entered, seen = QuestionCollection(), Counter[Question]()
    transcripts: list[Transcript] = []
    for where, record in read(path, faults):
        with faults.collect_at(where):
            question = entered.get_or_add(read_question(record.entry, where.replace(" ", "-")), where)
            entered.add_counterfactual(record.entry, question)
            for reply, finish in record.replies:
                read_back = read_reply(reply, finish)
                transcripts.append(
                    Transcript(question, read_back.thoughts, seen[question], read_back.finish, read_back.rest)
                )
                seen[question] += 1
    if not skip_bad:
        faults.raise_if_any(f"Correct or remove each {noun} named, or leave bad ones out with --skip-bad.")
    if not transcripts:
        faults.raise_if_any(f"No entry can be used; correct at least one {noun}.")
    if not transcripts:
        raise TaskError(f"{path} holds no chains of thought", "Pass a file that has at least one.")
    return transcripts, faults, entered.counterfactuals


def _choose_reader(path: Path) -> tuple[Callable[[Path, FaultList], Iterator[tuple[str, ReplyRecord]]], str]:
    """The reader for a file, and what it calls one entry."""
    if path.suffix in (".eval", ".json"):
        return inspect_logs.read_records, "sample"
    lines = read_lines(path)
    return (
        lm_eval_logs.read_records if lines and lm_eval_logs.is_log_line(lines[0][1]) else json_lines.read_records
    ), "line"
