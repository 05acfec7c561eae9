import random
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from faithlens.errors import TaskError
from faithlens.tasks import registry
from faithlens.tasks.datasets import DATASET_LAYOUTS
from faithlens.tasks.jsonl import JsonLines
from faithlens.tasks.prompts import CHOICE_STEMS, write_prompt
from faithlens.tasks.question import Prompt, Question, Stem, Strategy, Task
from faithlens.tasks.registry import ENTRY_POINTS, TASKS, list_tasks, load_task
from faithlens.tasks.seeds import check_number


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
    with pytest.raises(TaskError, match="Did you mean 'arithmetic-mc'") as caught:
        load_task("arithmetic-mcq")
    assert ".jsonl" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gsm9k", "Did you mean 'gsm8k'"),
        ("addition-2d-5", "Did you mean 'addition-2d-"),
        ("coinflip", "Did you mean 'coin-flip'"),
        ("bbh", "Name one of them: bbh:object_counting"),
        ("gsm8k:main", "Pass 'gsm8k' without a part"),
        ("gsm8k=none.jsonl", "Check that the file exists"),
        ("gsm8k=table.xlsx", "Save it as .jsonl, .json, .csv, .parquet"),
    ],
)
def test_similar_names_of_datasets_are_distinguished(name: str, hint: str) -> None:
    with pytest.raises(TaskError) as caught:
        load_task(name)
    assert hint in caught.value.fix


def test_a_file_of_another_ending_is_named_with_the_near_one(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"question": "2 + 3?", "answer": "5"}')
    for name in ("mine.json", "mine.csv", "mien.json"):
        with pytest.raises(TaskError, match=r"must end in \.jsonl") as caught:
            load_task(tmp_path / name)
        assert f"Did you mean '{tmp_path / 'mine.jsonl'}'" in caught.value.fix


@pytest.mark.parametrize("n", ["3", 2.5, True, None, 0, -1, float("nan")])
def test_the_number_of_questions_is_a_whole_number(n: object) -> None:
    with pytest.raises(TaskError, match="must be a whole number from 1 on"):
        check_number(n)


def test_every_task_checks_the_number_of_questions(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"question": "2 + 3?", "answer": "5"}')
    for name in ("running-sum", "stories", "comparisons", tmp_path / "mine.jsonl"):
        with pytest.raises(TaskError, match="must be a whole number from 1 on, got 0"):
            load_task(name).draw_questions(0, 0)


def test_a_dataset_may_be_a_local_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(r'{"question": "2 + 3?", "answer": "They make <<2+3=5>>5.\n#### 5"}')
    made = load_task(f"gsm8k={path}")
    assert made.name == f"gsm8k={path}"
    assert [question.answer for question in made.draw_questions(1, 0)] == ["5"]


def test_long_additions_and_sized_tasks_are_registered() -> None:
    assert {f"addition-{d}d-{n}" for d in (2, 3) for n in (2, 4, 8, 16)} < set(TASKS)
    assert {"ordering-4", "ordering-5", "coin-flip", "coin-flip-8", "dates", "tracking", "weak-evidence"} < set(TASKS)


class OwnTask:
    """A user's own task with one question. It is for tests."""

    name = "own"
    size = 1
    stems: tuple[Stem, ...] = CHOICE_STEMS

    def draw_questions(self, n: int, seed: int) -> list[Question]:
        return [Question("own:0", "1 + 1?", ("A", "B"), "A", ("2", "3"))]

    def make_prompt(self, question: Question, strategy: Strategy) -> Prompt:
        return write_prompt(question, strategy)

    def draw_counterfactual(self, question: Question, seed: int) -> Question | None:
        return None

    def misstate(self, step: str, question: Question, rng: random.Random) -> str | None:
        return None


class NeedsArguments(OwnTask):
    def __init__(self, path: str) -> None:
        self.path = path


class NoTask:
    name = "no task"


OBJECT = OwnTask()


def install(monkeypatch: pytest.MonkeyPatch, name: str, place: str) -> None:
    """Offer the object at `place` as the task `name`, as an installed package would."""

    def list_points(group: str) -> list[EntryPoint]:
        return [EntryPoint(name, place, group)] if group == ENTRY_POINTS else []

    monkeypatch.setattr(registry, "entry_points", list_points)


def test_a_task_object_is_returned_as_it_is_and_a_class_is_called() -> None:
    task: Task = OwnTask()
    assert load_task(task) is task
    assert isinstance(load_task(OwnTask), OwnTask)


@pytest.mark.parametrize("name", ["OwnTask", "OBJECT"])
def test_a_place_names_a_class_or_an_object(name: str) -> None:
    task = load_task(f"{__name__}:{name}")
    assert isinstance(task, OwnTask)
    assert task.draw_questions(1, 0)[0].answer == "A"


def test_a_path_object_is_a_file_of_questions(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "2 + 3?", "answer": "5"}\n')
    assert isinstance(load_task(path), JsonLines)


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("no_such_module:Task", "cannot be imported: No module named"),
        (f"{__name__}:Missing", "cannot be imported: .*has no attribute 'Missing'"),
        (f"{__name__}:NeedsArguments", "cannot be called without arguments: .*'path'"),
        (f"{__name__}:NoTask", "is no task: it lacks stems, size, draw_questions, make_prompt"),
    ],
)
def test_a_place_without_a_task_is_refused(place: str, problem: str) -> None:
    with pytest.raises(TaskError, match=problem):
        load_task(place)


def test_an_installed_package_offers_a_task_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "installed", f"{__name__}:OwnTask")
    assert isinstance(load_task("installed"), OwnTask)
    assert list_tasks()["installed"] == "A user's own task with one question. It is for tests."
    with pytest.raises(TaskError, match="Did you mean 'installed'"):
        load_task("instaled")


def test_a_broken_entry_point_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "broken", "elsewhere:Missing")
    with pytest.raises(TaskError, match="'broken' of an installed package cannot be imported from elsewhere:Missing"):
        load_task("broken")


def test_a_broken_entry_point_is_described_and_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("broken", "elsewhere:Missing", ENTRY_POINTS), EntryPoint("raises", f"{__name__}:NoSuch.x", "")]
    points.append(EntryPoint("installed", f"{__name__}:OwnTask", ENTRY_POINTS))
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    described = list_tasks()
    assert described["installed"] == "A user's own task with one question. It is for tests."
    assert described["broken"].startswith(
        "Broken: the task 'broken' of an installed package cannot be imported from elsewhere:Missing: ModuleNotFoundErr"
    )
    assert "NoSuch" in described["raises"]
    assert set(TASKS) < set(described)


def test_the_list_describes_every_named_task_in_one_sentence() -> None:
    described = list_tasks()
    assert {*TASKS, *DATASET_LAYOUTS} <= set(described)
    assert all(text.endswith((".", "?")) and "\n" not in text for text in described.values())
