from pathlib import Path

import pytest

from faithlens.errors import TaskError
from faithlens.tasks.jsonl import JsonLines
from faithlens.tasks.registry import TASKS, load_task


@pytest.mark.parametrize("name", sorted(TASKS))
def test_each_task_answers_to_its_name(name: str) -> None:
    made = load_task(name)
    (question,) = made.draw_questions(1, 0)
    assert question.answer in question.candidates
    assert made.stems
    assert question.text in made.make_prompt(question, "cot").user
    assert made.name == name


def test_a_path_is_a_file_of_questions(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "2 + 3?", "answer": "5"}\n')
    assert isinstance(load_task(str(path)), JsonLines)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(TaskError, match="did you mean 'arithmetic-mc'") as caught:
        load_task("arithmetic-mcq")
    assert ".jsonl" in caught.value.do


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gsm9k", "did you mean 'gsm8k'"),
        ("addition-2d-5", "did you mean 'addition-2d-"),
        ("coinflip", "did you mean 'coin-flip'"),
        ("bbh", "name one of them: bbh:object_counting"),
        ("gsm8k:main", "ask for gsm8k"),
        ("gsm8k=none.jsonl", "check that the file exists"),
        ("gsm8k=table.xlsx", "save it as .jsonl, .json, .csv, .parquet"),
    ],
)
def test_names_of_benchmarks_are_told_apart(name: str, hint: str) -> None:
    with pytest.raises(TaskError) as caught:
        load_task(name)
    assert hint in caught.value.do


def test_a_benchmark_may_be_a_local_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(r'{"question": "2 + 3?", "answer": "They make <<2+3=5>>5.\n#### 5"}')
    made = load_task(f"gsm8k={path}")
    assert made.name == f"gsm8k={path}"
    assert [question.answer for question in made.draw_questions(1, 0)] == ["5"]


def test_long_additions_and_sized_tasks_are_registered() -> None:
    assert {f"addition-{d}d-{n}" for d in (2, 3) for n in (2, 4, 8, 16)} < set(TASKS)
    assert {"ordering-4", "ordering-5", "coin-flip", "coin-flip-8", "dates", "tracking", "weak-evidence"} < set(TASKS)
