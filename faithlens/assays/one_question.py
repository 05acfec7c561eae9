"""One question from close by: have a model think about it, and lay out what each edit answers and attends to."""

from collections.abc import Sequence

import pandas as pd

from faithlens.assays.cases import make_cases
from faithlens.execution.sample import Sampling
from faithlens.interventions.case import Case
from faithlens.measures.answers import option_probabilities
from faithlens.model.model import Model
from faithlens.plan.capture import Record
from faithlens.tasks.question import Question, Task


def think(model: Model, task: Task, question: Question, sampling: Sampling = Sampling(), seed: int = 0) -> Case:
    """A chain of thought of the model about one question, cut into steps, with the stem under which it answers.

    Raises:
        ModelError: it wrote no chain of thought, or answers under none of the task's stems.
    """
    return make_cases(model, task, [question], sampling, seed)[0]


def answer_table(case: Case, records: Sequence[Record]) -> pd.DataFrame:
    """What each condition answers: a row a condition, a column a candidate, in probability over the candidates."""
    rows = [option_probabilities(record.logprobs).tolist() for record in records]
    names = pd.Index([record.condition.name for record in records], name="condition")
    return pd.DataFrame(rows, index=names, columns=pd.Index(case.candidates, name="answer"))


def attention_table(record: Record, reader: str = "answer") -> pd.DataFrame:
    """Where a captured reader looks: a row a (layer, head), a column a piece, as fractions that add up to one."""
    mass = record.attention[reader]
    index = pd.MultiIndex.from_product([range(mass.shape[0]), range(mass.shape[1])], names=["layer", "head"])
    return pd.DataFrame(mass.flatten(0, 1).numpy(), index=index, columns=pd.Index(record.condition.spans, name="piece"))
