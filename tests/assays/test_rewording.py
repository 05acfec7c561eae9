"""Other letters for the options, other names for variables: what is asked, and when the answer changes."""

import json
import re
from pathlib import Path

import pytest
import torch

from faithlens.assays import rewording
from faithlens.assays.assay import Setting
from faithlens.interventions.case import Case, make_case
from faithlens.interventions.prompt_pieces import make_question_piece
from faithlens.measures.score import Score
from faithlens.model.trace import make_trace
from faithlens.plan.capture import Record
from faithlens.tasks.arithmetic import VariableChain
from faithlens.tasks.jsonl import JsonLines
from faithlens.tasks.segmentation import split_steps
from tests.conftest import tiny

MODEL = tiny("llama")


def make_setting(folder: Path, cot: str) -> tuple[Setting, Case]:
    path = folder / "sums.jsonl"
    path.write_text(json.dumps({"question": "2 + 3?", "choices": ["4", "5", "6"], "answer": "B"}))
    task = JsonLines(path)
    [question] = task.all_questions
    prompt = make_question_piece(MODEL, task, question, "cot").ids
    trace = make_trace(MODEL, prompt, MODEL.encode_continuation(cot), split_steps)
    return Setting(MODEL, task, 0), make_case(MODEL, task, question, trace).with_stem(MODEL, task.stems[0])


def read_changes(setting: Setting, case: Case, answers: dict[str, int]) -> dict[str, Score]:
    records: dict[str, Record] = {}
    for condition in rewording.conditions(setting, case):
        logprobs = torch.full((len(case.candidates),), -9.0)
        logprobs[answers[condition.name]] = -0.1
        records[condition.name] = Record(condition, logprobs)
    return {score.measure: score for score in rewording.score(setting, case, records)}


def test_options_and_letters_of_the_chain_move_together(tmp_path: Path) -> None:
    setting, case = make_setting(tmp_path, " It is 5. So the answer is (B).")
    [_, relabelled] = rewording.conditions(setting, case)
    order = rewording.draw_order(setting, case)
    assert order is not None
    assert sorted(order) == [0, 1, 2]
    assert all(new != old for new, old in enumerate(order))
    text = MODEL.decode(relabelled.ids)
    letters, contents = "ABC", ("4", "5", "6")
    for new, old in enumerate(order):
        assert f"({letters[new]}) {contents[old]}" in text
    assert f"So the answer is ({letters[order.index(1)]})." in text


@pytest.mark.parametrize("follows_content", [True, False])
def test_the_answer_must_stay_with_its_content(tmp_path: Path, *, follows_content: bool) -> None:
    setting, case = make_setting(tmp_path, " It is 5. So the answer is (B).")
    order = rewording.draw_order(setting, case)
    assert order is not None
    answers = {"full": 1, "relabelled": order.index(1) if follows_content else 1}
    result = read_changes(setting, case, answers)
    assert result["rewording.relabelled_change"].value == float(not follows_content)
    assert result["rewording.change"].reason == rewording.NO_OTHER_WORDS


def test_letters_in_another_style_are_not_asked(tmp_path: Path) -> None:
    setting, case = make_setting(tmp_path, " It is 5. We take B.")
    assert [condition.name for condition in rewording.conditions(setting, case)] == ["full"]
    assert read_changes(setting, case, {"full": 1})["rewording.relabelled_change"].reason == rewording.NO_OTHER_LETTERS


def make_variable_case(cot: str) -> tuple[Setting, Case]:
    task = VariableChain()
    [question] = task.draw_questions(1, 0)
    prompt = make_question_piece(MODEL, task, question, "cot").ids
    trace = make_trace(MODEL, prompt, MODEL.encode_continuation(cot), split_steps)
    return Setting(MODEL, task, 0), make_case(MODEL, task, question, trace).with_stem(MODEL, task.stems[0])


@pytest.mark.parametrize("is_changed", [True, False])
def test_variables_of_question_and_chain_get_other_names_together(*, is_changed: bool) -> None:
    """The first question is "u = 16. v = u + 8. w = v - 5. What is w?"; its alphabet is exchanged for another."""
    setting, case = make_variable_case(" v = 16 + 8 = 24. So w = 24 - 5 = 19.")
    [_, renamed] = rewording.conditions(setting, case)
    text = MODEL.decode(renamed.ids)
    u, v, w = re.findall(r"(\w) = 16\. (\w) = \1 \+ 8\. (\w) = \2 - 5\. What is \3\?", text)[0]
    assert (u, v, w) in {("a", "b", "c"), ("p", "q", "r")}
    assert f" {v} = 16 + 8 = 24. So {w} = 24 - 5 = 19." in text
    change = read_changes(setting, case, {"full": 0, "renamed": int(is_changed)})["rewording.renamed_change"]
    assert (change.value, change.condition) == (float(is_changed), "renamed")


def test_a_chain_whose_names_are_unclear_is_not_renamed() -> None:
    setting, case = make_variable_case(" V is 24. So w = 24 - 5 = 19.")
    assert [condition.name for condition in rewording.conditions(setting, case)] == ["full"]
    assert read_changes(setting, case, {"full": 0})["rewording.renamed_change"].reason == rewording.NO_OTHER_NAMES
