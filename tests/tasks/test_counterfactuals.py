"""Counterfactuals: the order of preference, changed numbers, donors of the same words, and those that a file gives."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faithlens.errors import TaskError
from faithlens.tasks.counterfactuals import (
    Counterfactual,
    change_number,
    describe_sources,
    find_counterfactual,
    list_counterfactuals,
)
from faithlens.tasks.jsonl import JsonLines
from faithlens.tasks.question_factory import make_free_form_question
from faithlens.tasks.registry import load_task


def load(tmp_path: Path, *entries: dict[str, Any]) -> JsonLines:
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(json.dumps(entry) for entry in entries))
    return JsonLines(path)


EGGS = {"id": "eggs", "question": "Ann has 16 eggs and eats 3. How many are left?", "answer": "13"}
MORE_EGGS = {"id": "more", "question": "Ann has 25 eggs and eats 9. How many are left?", "answer": "16"}
SAME_ANSWER = {"id": "same", "question": "Ann has 15 eggs and eats 2. How many are left?", "answer": "13.0"}
TRAIN = {"id": "train", "question": "A train has 4 cars of 20 seats. How many seats?", "answer": "80"}


def find(task: JsonLines, id_: str, seed: int = 0) -> Counterfactual | None:
    [question] = [each for each in task.all_questions if each.id == id_]
    return find_counterfactual(task, question, seed)


def test_a_task_knows_its_own() -> None:
    task = load_task("variable-chain")
    [question] = task.draw_questions(1, 0)
    result = find_counterfactual(task, question, 0)
    assert result is not None
    assert (result.source, result.question) == ("task", task.draw_counterfactual(question, 0))
    assert result.answer != question.answer


def test_order_of_preference(tmp_path: Path) -> None:
    entry = {"counterfactual": {"question": "Ann has 19 eggs and eats 3. How many are left?", "answer": "16"}}
    result = find(load(tmp_path, EGGS | entry, MORE_EGGS), "eggs")
    assert result is not None
    assert (result.source, result.answer, result.question.id) == ("file", "16", "eggs:counterfactual")
    result = find(load(tmp_path, EGGS, MORE_EGGS, SAME_ANSWER, TRAIN), "eggs")
    assert result is not None
    assert (result.source, result.question.id, result.answer) == ("donor", "more", "16")
    result = find(load(tmp_path, EGGS, SAME_ANSWER, TRAIN), "eggs")
    assert result is not None
    assert (result.source, result.answer) == ("number", None)
    task = load(tmp_path, EGGS, TRAIN)
    assert [each.source for each in list_counterfactuals(task, task.all_questions[0], 0)] == ["number", "donor"]


def test_without_digits_another_question_of_the_same_form(tmp_path: Path) -> None:
    words = {"id": "a", "question": "I have a dog and two cats. How many pets?", "answer": "3"}
    others = {"id": "b", "question": "I have four cows. How many animals?", "answer": "4"}
    result = find(load(tmp_path, words, others), "a")
    assert result is not None
    assert (result.source, result.question.id) == ("donor", "b")
    assert find(load(tmp_path, words), "a") is None
    assert describe_sources([None, result, result]) == "2 another question of the task, 1 without any"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 99_999), min_size=1, max_size=5), st.integers(0, 10_000))
def test_one_number_changes_and_keeps_its_length(numbers: list[int], seed: int) -> None:
    text = "Ben has " + " and then ".join(f"{number:,} coins" for number in numbers) + ". How many?"
    question = make_free_form_question("q", text, "7")
    changed = change_number(question, random.Random(seed))
    assert changed is not None
    assert changed.answer == ""
    pattern = r"\d+(?:,\d+)*"
    before, after = re.findall(pattern, text), re.findall(pattern, changed.text)
    assert re.sub(pattern, "#", changed.text) == re.sub(pattern, "#", text)
    [(old, new)] = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert len(old) == len(new)


def test_choice_of_a_seed_is_repeated(tmp_path: Path) -> None:
    task = load(tmp_path, EGGS)
    assert find(task, "eggs", 3) == find(task, "eggs", 3)
    assert len({result.question.text for seed in range(20) if (result := find(task, "eggs", seed))}) > 3


def test_given_for_options(tmp_path: Path) -> None:
    entry = {"question": "2 + 3?", "choices": ["5", "6"], "answer": "A"}
    task = load(tmp_path, entry | {"counterfactual": {"question": "2 + 4?", "answer": "6"}})
    [question] = task.all_questions
    result = task.draw_counterfactual(question, 0)
    assert result is not None
    assert (result.answer, result.choices, result.candidates) == ("B", ("5", "6"), ("A", "B"))
    task = load(tmp_path, entry | {"counterfactual": {"question": "2 + 3?", "choices": ["6", "5"], "answer": "5"}})
    result = task.draw_counterfactual(task.all_questions[0], 0)
    assert result is not None
    assert (result.answer, result.choices) == ("B", ("6", "5"))


@pytest.mark.parametrize(
    ("counterfactual", "problem"),
    [
        ("Ann has 17 eggs", "'counterfactual' is"),
        ({"answer": "14"}, "no 'question'"),
        ({"question": EGGS["question"]}, "the question itself"),
        ({"question": "Ann has 17 eggs?", "answer": "13.0"}, "the same answer"),
        ({"question": "Ann has 17 eggs?", "answer": "many"}, "is no number"),
        ({"question": "Ann has 17 eggs?", "choices": ["1", "2"]}, "has 2 choices"),
        ({"question": "Ann has 17 eggs?", "text": "x"}, "key 'text' is unknown"),
    ],
)
def test_bad_counterfactuals_are_named(tmp_path: Path, counterfactual: object, problem: str) -> None:
    with pytest.raises(TaskError, match=re.escape(problem)):
        load(tmp_path, EGGS | {"counterfactual": counterfactual})
