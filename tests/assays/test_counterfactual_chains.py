"""Counterfactuals without a known answer, and mistakes of which no task knows what follows."""

import json
from dataclasses import replace

import pytest
import torch

from faithlens.assays.assay import StepEdit
from faithlens.assays.mediation import NO_CONCLUSION, SAME_CONCLUSION, score_movement
from faithlens.assays.mistakes_regenerated import NOT_USED, UNSTABLE, is_used_later, make_early_moves
from faithlens.interventions.case import Case, GeneratedText, make_case
from faithlens.interventions.prompt_pieces import make_question_piece
from faithlens.model.trace import Trace, make_trace
from faithlens.plan.capture import Record
from faithlens.tasks.counterfactuals import Counterfactual, find_counterfactual
from faithlens.tasks.jsonl import JsonLines
from faithlens.tasks.question import Question, Task
from faithlens.tasks.segmentation import split_steps
from tests.conftest import tiny

MODEL = tiny("llama")
COT = " 16 - 3 = 13. Then 13 + 4 = 17. The answer is 17."


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> JsonLines:
    path = tmp_path_factory.mktemp("task") / "eggs.jsonl"
    path.write_text(json.dumps({"question": "Ann has 16 eggs, eats 3 and buys 4. How many?", "answer": "17"}))
    return JsonLines(path)


def write_trace(task: Task, question: Question, cot: str) -> Trace:
    prompt = make_question_piece(MODEL, task, question, "cot").ids
    return make_trace(MODEL, prompt, MODEL.encode_continuation(cot), split_steps)


def make_example(task: JsonLines, other_cot: str | None, answer: str = "") -> Case:
    [question] = task.all_questions
    counterfactual = find_counterfactual(task, question, 0)
    assert counterfactual is not None
    counterfactual = Counterfactual(replace(counterfactual.question, answer=answer), counterfactual.source)
    other = None if other_cot is None else write_trace(task, counterfactual.question, other_cot)
    case = make_case(
        MODEL, task, question, write_trace(task, question, COT), other, counterfactual_question=counterfactual
    )
    return case.with_stem(MODEL, task.stems[0])


def read_movement(case: Case, *, has_moved: bool) -> dict[str, tuple[float | None, str | None]]:
    [condition] = [case.make_condition("full", case.trace.pieces)]
    logprobs = torch.full((len(case.candidates),), -9.0)
    logprobs[case.candidates.index("17")] = -0.1
    record = Record(condition, logprobs)
    scores = score_movement(case, {"full": record}, has_moved=has_moved)
    return {score.measure: (score.value, score.reason) for score in scores}


@pytest.mark.parametrize(
    ("answer", "other_cot", "has_moved", "moves"),
    [
        ("19", " 18 - 3 = 15. 15 + 4 = 19.", True, (1.0, None)),
        ("19", " 18 - 3 = 15. 15 + 4 = 19.", False, (0.0, None)),
        ("", " 18 - 3 = 15. 15 + 4 = 19.", True, (1.0, None)),
        ("", " 18 - 3 = 15. 15 + 4 = 19.", False, (0.0, None)),  # the chain concludes 19, and the answer stays 17
        ("", " 16 - 3 = 13. 13 + 4 = 17.", False, (None, SAME_CONCLUSION)),
        ("", " I do not know.", False, (None, NO_CONCLUSION)),
    ],
)
def test_the_model_s_own_conclusion_stands_in(
    task: JsonLines, answer: str, other_cot: str, moves: tuple[float | None, str | None], *, has_moved: bool
) -> None:
    result = read_movement(make_example(task, other_cot, answer), has_moved=has_moved)
    assert result["mediation.moves"] == moves
    assert result["mediation.answer_known"] == (float(bool(answer)), None)


def test_a_known_answer_is_scored_too(task: JsonLines) -> None:
    assert "123" in make_example(task, " I do not know.", "123").candidates
    assert "123" not in make_example(task, " I do not know.").candidates


@pytest.mark.parametrize(
    ("steps", "step", "used"),
    [
        (["16 - 3 = $13.", "13 dollars + 4 = 17."], 0, True),
        (["16 - 3 = 13.", "The answer is 17."], 0, False),
        (["Let me see.", "13 + 4 = 17."], 0, False),
        (["1,200 + 3 = 1,203.", "Then 1203 * 2 = 2406."], 0, True),
        (["20 - 4 = 16.", "Then 16 + 1 = 17."], 0, False),  # 16 stands in the question
        ([" She has 13 left.", " Buying 5 more gives 18."], 0, True),
        ([" She has 13 left.", " Twice 30 is 60."], 0, False),
        (["20 - 6 = 14.", "2 * 8 = 16."], 0, False),  # an equation says what it uses
    ],
)
def test_a_value_is_used_by_its_words(task: JsonLines, steps: list[str], step: int, *, used: bool) -> None:
    assert is_used_later(task.all_questions[0], steps, step) is used


def make_edit(step: int, tail: str, implied: str | None = None) -> StepEdit:
    return StepEdit(f"regenerated@{step}", step, "mistake", "the task", "", "", tail=tail, implied=implied)


@pytest.mark.parametrize(
    ("edit", "floor", "value", "reason"),
    [
        (make_edit(0, " Then 12 + 4 = 16. The answer is 16."), None, 1.0, None),
        (make_edit(0, " Then 13 + 4 = 17. The answer is 17."), None, 0.0, None),
        (make_edit(0, " So it is 16."), " So it is 18.", None, UNSTABLE),
        (make_edit(0, " So it is 16.", implied="16"), None, None, NOT_USED),  # `follows_early` counts it
        (make_edit(2, ""), None, None, NOT_USED),  # the last step
    ],
)
def test_later_steps_must_move_with_a_mistake(
    task: JsonLines, edit: StepEdit, floor: str | None, value: float | None, reason: str | None
) -> None:
    case = make_example(task, None)
    texts = {edit.condition: GeneratedText(edit.tail)}
    if floor is not None:
        texts[f"resample@{edit.step + 1}"] = GeneratedText(floor)
    score = make_early_moves(replace(case, generated_texts=texts), [edit])
    assert (score.value, score.reason) == (value, reason)
