"""One question in detail: let a model think about it, and tabulate the answer and the attention of each condition."""

from collections.abc import Sequence

import pandas as pd

from faithlens.assays.cases import make_cases
from faithlens.errors import MeasureError, TaskError, check_choice, check_type
from faithlens.execution.options import Sampling
from faithlens.interventions.case import Case, check_case
from faithlens.measures.answers import option_probabilities
from faithlens.model.model import Model
from faithlens.plan.capture import Record
from faithlens.tasks.question import Question, Task


def think(model: Model, task: Task, question: Question, sampling: Sampling = Sampling(), seed: int = 0) -> Case:
    """The model's chain of thought for one question, cut into steps, with the stem under which the model answers.

    Args:
        model: the model.
        task: the task that words the prompt.
        question: the question.
        sampling: how tokens are drawn.
        seed: the seed.

    Returns:
        The case: question, trace, and the stem under which the model answers.

    Raises:
        TaskError: not one question, or not a task.
        ModelError: not a model, it wrote no chain of thought, or answers under none of the task's stems.
    """
    check_type(question, Question, "the question", "task.draw_questions(1, seed=0)[0] gives one question.", TaskError)
    return make_cases(model, task, [question], sampling, seed)[0]


def answer_table(case: Case, records: Sequence[Record]) -> pd.DataFrame:
    """The answers of each condition.

    Args:
        case: the case whose candidates were scored.
        records: the records of its conditions.

    Returns:
        A table of probabilities over the candidates: one row for each condition, one column for each candidate.

    Raises:
        TraceError: not one case.
        MeasureError: not a list of records.
    """
    check_case(case)
    fix = "Pass the list that fl.execute(model, plan) gives."
    check_type(records, Sequence, "the argument records", fix, MeasureError)
    for record in records:
        check_type(record, Record, "each of the records", fix, MeasureError)
    rows = [option_probabilities(record.logprobs).tolist() for record in records]
    names = pd.Index([record.condition.name for record in records], name="condition")
    return pd.DataFrame(rows, index=names, columns=pd.Index(case.candidates, name="answer"))


def attention_table(record: Record, reader: str = "answer") -> pd.DataFrame:
    """The attention of one reader of one condition.

    Args:
        record: a record with captured attention.
        reader: the reader; "answer" is the row that predicts the answer.

    Returns:
        A table of fractions with one row for each (layer, head) and one column for each piece; each row sums to 1.

    Raises:
        MeasureError: not one record, or the attention of this reader was not captured.
    """
    fix = "Pass one of the records that fl.execute gives, such as records[0]."
    check_type(record, Record, "the record", fix, MeasureError)
    check_choice(reader, record.attention, "captured reader", MeasureError)
    mass = record.attention[reader]
    index = pd.MultiIndex.from_product([range(mass.shape[0]), range(mass.shape[1])], names=["layer", "head"])
    return pd.DataFrame(mass.flatten(0, 1).numpy(), index=index, columns=pd.Index(record.condition.spans, name="piece"))
