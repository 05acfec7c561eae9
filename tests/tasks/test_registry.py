from pathlib import Path

import pytest

from faithlens.errors import TaskError
from faithlens.tasks.jsonl import JsonLines
from faithlens.tasks.registry import TASKS, task


@pytest.mark.parametrize("name", sorted(TASKS))
def test_each_task_answers_to_its_name(name: str) -> None:
    made = task(name)
    (question,) = made.questions(1, 0)
    assert question.answer in question.candidates
    assert made.stems
    assert question.text in made.prompt(question, "cot").user
    if not name.endswith(("-2", "-4")):
        assert made.name == name


@pytest.mark.parametrize("name", [name for name in sorted(TASKS) if not name.startswith("running-sum")])
def test_sized_tasks_carry_their_size(name: str) -> None:
    assert task(name).name == name


def test_a_path_is_a_file_of_questions(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "2 + 3?", "answer": "5"}\n')
    assert isinstance(task(str(path)), JsonLines)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(TaskError, match="did you mean 'arithmetic-mc'") as caught:
        task("arithmetic-mcq")
    assert ".jsonl" in caught.value.do
