"""Cases with a short chain of thought, and scores from answers that are chosen by hand."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import ModuleType

import torch

from faithlens.assays.assay import Setting
from faithlens.execution.options import Sampling
from faithlens.interventions.case import Case, GeneratedText, make_case
from faithlens.interventions.prompt_pieces import make_question_piece
from faithlens.measures.score import Score
from faithlens.model.model import Model
from faithlens.model.trace import make_trace
from faithlens.plan.capture import Record
from faithlens.tasks.question import Question, Task
from faithlens.tasks.segmentation import split_steps
from tests.conftest import tiny

LENS = tiny("llama")


SHORT = Sampling(max_new_tokens=24)


THOUGHT = " One step. Another."


def case_of(model: Model, task: Task, question: Question) -> Case:
    """A case whose chain of thought is two sentences."""
    prompt = make_question_piece(model, task, question, "cot").ids
    trace = make_trace(model, prompt, model.encode_continuation(THOUGHT), split_steps)
    case = replace(make_case(model, task, question, trace), candidates=question.candidates)
    return case.with_stem(model, task.stems[0])


Answers = Callable[[str], str]


def score_answers(
    assay: ModuleType, setting: Setting, case: Case, answers: Answers, replies: Mapping[str, str] | None = None
) -> dict[str, Score]:
    """The scores where each condition is answered with the label `answers` gives its name, with `replies` as texts."""
    replies = replies or {}
    texts = {ask.name: replies.get(ask.name, THOUGHT) for ask in assay.requests(setting, case)}
    encode = setting.model.encode_continuation
    case = replace(case, generated_texts={name: GeneratedText(text, encode(text)) for name, text in texts.items()})
    records = {}
    for condition in assay.conditions(setting, case):
        chosen = case.candidates.index(answers(condition.name))
        logprobs = torch.full((len(case.candidates),), -9.0)
        logprobs[chosen] = -0.1
        records[condition.name] = Record(condition, logprobs)
    return {score.measure: score for score in assay.score(setting, case, records)}


def values(result: Mapping[str, Score], prefix: str) -> dict[str, float | None]:
    return {name.removeprefix(prefix): score.value for name, score in result.items() if name.startswith(prefix)}
