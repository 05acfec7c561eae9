"""Cases written by hand, and answers given by hand: the ground on which scores are known in closed form."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch

from faithlens.assays.assay import Setting
from faithlens.interventions.case import Case, make_case
from faithlens.interventions.prompt_pieces import make_question_piece
from faithlens.measures.score import Score
from faithlens.model.model import Model
from faithlens.model.trace import make_trace
from faithlens.plan.capture import Record
from faithlens.plan.condition import Condition
from faithlens.tasks.question import Question, Task
from tests.conftest import tiny

LENS = tiny("llama")


def case_of(task: Task, question: Question, steps: Iterable[str], model: Model = LENS) -> Case:
    """A case whose chain of thought has these steps."""
    prompt = make_question_piece(model, task, question, "cot").ids
    steps, at = list(steps), 0
    ranges = [(at := at + len(step)) for step in steps]
    borders = list(zip([0, *ranges], ranges, strict=False))
    trace = make_trace(model, prompt, model.continue_ids(prompt, "".join(steps)), lambda text: borders)
    case = replace(make_case(model, task, question, trace), candidates=question.candidates)
    return case.with_stem(model, task.stems[0])


def make_records(conditions: Iterable[Condition], answers: Mapping[str, int | str], case: Case) -> dict[str, Record]:
    """A record for each condition: the answer given for it there, else that of "full"; certain to nine in ten."""
    records = {}
    for condition in conditions:
        answer = answers.get(condition.name, answers["full"])
        place = case.candidates.index(answer) if isinstance(answer, str) else answer
        n = len(condition.options)
        shares = torch.full((n,), 0.1 / (n - 1), dtype=torch.float64)
        shares[place] = 0.9
        records[condition.name] = Record(condition, shares.log())
    return records


def score_case(assay, setting: Setting, case: Case, answers: Mapping[str, int | str]) -> dict[str, list[Score]]:
    """An assay's scores by measure, where its conditions are answered as given."""
    records = make_records(assay.conditions(setting, case), answers, case)
    out: dict[str, list[Score]] = {}
    for score in assay.score(setting, case, records):
        out.setdefault(score.measure, []).append(score)
    return out


def value(scores: Mapping[str, list[Score]], measure: str) -> float | None:
    """The one value of a measure."""
    [score] = scores[measure]
    return score.value
