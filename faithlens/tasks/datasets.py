"""Published datasets by name: `gsm8k`, `arc-challenge`, `bbh:object_counting`, or `gsm8k=my/copy.jsonl`.

Each has a `DatasetLayout`: its place on the hub, and the keys of a row that hold the question, context, options and
answer. Each dataset has its own licence; faithlens holds no copy of one.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from faithlens.errors import TaskError
from faithlens.tasks.candidates import write_plainly
from faithlens.tasks.fixed_task import FixedTask
from faithlens.tasks.option_order import reorder_options
from faithlens.tasks.question import Question
from faithlens.tasks.question_factory import (
    MAX_UNUSABLE_SHARE,
    BadEntryError,
    make_choice_question,
    make_free_form_question,
)
from faithlens.tasks.row_parsing import find_right_option, prepare_bbh, prepare_gsm8k, read_options, read_place
from faithlens.tasks.rows import Row

_MAX_REPORTED = 5


@dataclass(frozen=True)
class DatasetLayout:
    """Where a dataset lies on the hub, and which keys of its rows hold the question, the options and the answer.

    A place is a key; dots lead into objects ("choices.text"), a bar gives alternatives ("label|answer_label"), commas
    several keys ("ans0,ans1,ans2").

    Attributes:
        hub: repository on the Hugging Face hub.
        split: the split that is asked.
        question: place of the question; empty if rows hold none, and `default_question` is used.
        answer: place of the right answer: a number, a label, an index, yes or no, or a list with a 1 at the right one.
        options: place of the options; none for a free-form question.
        fixed_options: the options, where all questions have the same.
        labels: place of the options' own labels, where the answer is one of them.
        context: place of what stands before the question.
        values: place of true intermediate values.
        config, revision: the configuration and the revision of the dataset on the hub.
        part: what the name's part after ":" chooses, the config or the split; "" where there are no parts.
        shuffles_options: whether options are put in a drawn order, because the right one comes first in all rows.
        prepare: a function that brings rows into this layout, where naming keys is not enough.
    """

    hub: str
    split: str
    question: str
    answer: str
    options: str = ""
    fixed_options: tuple[str, ...] = ()
    labels: str = ""
    context: str = ""
    default_question: str = ""
    values: str = ""
    config: str | None = None
    revision: str | None = None
    part: Literal["", "config", "split"] = ""
    shuffles_options: bool = False
    prepare: Callable[[Sequence[Row]], list[Row]] = list


_ARC = DatasetLayout("allenai/ai2_arc", "test", "question", "answerKey", "choices.text", labels="choices.label")

DATASET_LAYOUTS: dict[str, DatasetLayout] = {
    "gsm8k": DatasetLayout(
        "openai/gsm8k", "test", "question", "answer", values="values", config="main", prepare=prepare_gsm8k
    ),
    "svamp": DatasetLayout("ChilleD/SVAMP", "test", "Question", "Answer", context="Body"),
    "aqua": DatasetLayout("deepmind/aqua_rat", "test", "question", "correct", "options", config="raw"),
    "arc-challenge": replace(_ARC, config="ARC-Challenge"),
    "arc-easy": replace(_ARC, config="ARC-Easy"),
    "mmlu": DatasetLayout("cais/mmlu", "test", "question", "answer", "choices|A,B,C,D", config="all", part="config"),
    "bbh": DatasetLayout("SaylorTwift/bbh", "test", "input", "target", "options", part="config", prepare=prepare_bbh),
    "logiqa": DatasetLayout(
        "lucasmccabe/logiqa",
        "test",
        "query|question",
        "correct_option|answer",
        "options",
        context="context|text",
        revision="refs/convert/parquet",  # the main branch holds a loading script, which `datasets` no longer runs
    ),
    "truthfulqa": DatasetLayout(
        "truthfulqa/truthful_qa",
        "validation",
        "question",
        "mc1_targets.labels",
        "mc1_targets.choices",
        config="multiple_choice",
        shuffles_options=True,
    ),
    "openbookqa": DatasetLayout(
        "allenai/openbookqa",
        "test",
        "question_stem|question.stem",
        "answerKey",
        "choices.text",
        labels="choices.label",
        config="main",
    ),
    "hellaswag": DatasetLayout(
        "Rowan/hellaswag",
        "validation",
        "",
        "label",
        "endings",
        context="ctx",
        default_question="How does this most likely go on?",
    ),
    "strategyqa": DatasetLayout("ChilleD/StrategyQA", "test", "question", "answer", fixed_options=("Yes", "No")),
    "bbq": DatasetLayout(
        "Elfsong/BBQ", "age", "question", "label|answer_label", "ans0,ans1,ans2", context="context", part="split"
    ),
}


class DatasetTask(FixedTask):
    """The questions that the rows of a dataset give; `skipped_rows` names each unusable row and the reason.

    Raises TaskError if more than a tenth of the rows are unusable: the layout then does not fit the file.
    """

    def __init__(self, name: str, layout: DatasetLayout, rows: Sequence[Row]) -> None:
        prepared = layout.prepare(rows)
        questions, faults = _read_questions(name.partition("=")[0], layout, prepared)
        if not questions or len(faults) > MAX_UNUSABLE_SHARE * len(prepared):
            lines = [f"{len(faults)} of {len(prepared)} rows of {name} cannot be used", *faults[:_MAX_REPORTED]]
            raise TaskError(
                "\n       ".join(lines), "Check that the file belongs to this dataset, or correct its rows."
            )
        self.skipped_rows = tuple(faults)
        super().__init__(name, questions)


def _read_questions(prefix: str, layout: DatasetLayout, rows: Sequence[Row]) -> tuple[list[Question], list[str]]:
    questions: dict[tuple[str, tuple[str, ...]], Question] = {}
    faults = []
    for number, row in enumerate(rows, start=1):
        try:
            question = _read_question(f"{prefix}:{number}", layout, row)
            if question.form != next(iter(questions.values()), question).form:
                raise BadEntryError(f"of form {question.form!r}, unlike the rows before it", "keep rows of one form")
            if (wording := (question.text, question.choices)) in questions:
                raise BadEntryError(f"the same question as {questions[wording].id!r}", "remove one of them")
            questions[wording] = question
        except BadEntryError as fault:
            faults.append(f"row {number}: {fault}")
    return list(questions.values()), faults


def _read_question(id_: str, layout: DatasetLayout, row: Row) -> Question:
    text = _read_text(layout, row)
    answer = _read_value(row, layout.answer, "the answer")
    values = tuple(map(str, read_place(row, layout.values) or ()))
    options = layout.fixed_options or read_options(read_place(row, layout.options))
    if options:
        right = find_right_option(answer, options, read_place(row, layout.labels))
        question = make_choice_question(id_, text, options, right, values)
        order = random.Random(id_).sample(range(len(options)), len(options))
        return reorder_options(question, order) if layout.shuffles_options else question
    value = write_plainly(str(answer))
    if value is None:
        raise BadEntryError(
            f"answer {str(answer)[:40]!r} is neither a number, date or time nor one of some options", "correct it"
        )
    return make_free_form_question(id_, text, value, values)


def _read_text(layout: DatasetLayout, row: Row) -> str:
    """Context and question, a line each."""
    question = str(_read_value(row, layout.question, "the question")) if layout.question else layout.default_question
    context = str(_read_value(row, layout.context, "the context")) if layout.context else ""
    text = "\n".join(part.strip() for part in (context, question) if part.strip())
    if not text:
        raise BadEntryError("its question is empty", "write it out")
    return text


def _read_value(row: Row, place: str, what: str) -> Any:
    value = read_place(row, place)
    if value is None or value == "":
        raise BadEntryError(f"{what} is missing at {place!r}; the row has {', '.join(row)}", "correct the row")
    return value
