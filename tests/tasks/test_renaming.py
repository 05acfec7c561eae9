"""Other names for people and variables: the question that the task itself writes with them, and steps refused."""

import random
import re

import pytest

from faithlens.tasks.arithmetic import Arithmetic, VariableChain
from faithlens.tasks.coin_flip import CoinFlip
from faithlens.tasks.names import PEOPLE
from faithlens.tasks.ordering import Ordering
from faithlens.tasks.question import RenamedChain, RenamingTask
from faithlens.tasks.registry import load_task
from faithlens.tasks.renaming import SUBSTITUTES, draw_people, rename_people, rename_variables
from faithlens.tasks.stories import PRONOUNS, Stories
from faithlens.tasks.tracking import Tracking

TASKS = (Arithmetic(), Arithmetic(form="choice"), VariableChain(), Ordering(), CoinFlip(), Tracking(), Stories())
OLD = {name for group, _ in SUBSTITUTES for name in group}
NEW = {name for _, others in SUBSTITUTES for name in others}


def rename_question(task: RenamingTask, steps: tuple[str, ...] = (), index: int = 0) -> RenamedChain | None:
    question = task.draw_questions(index + 1, 0)[index]
    return task.rename(question, steps, random.Random(index))


def test_every_generated_name_has_another_and_no_two_begin_alike() -> None:
    questions = [question.text for task in TASKS for question in task.draw_questions(30, 0)]
    named = set(re.findall(r"(?<!^)\b[A-Z][a-z]+\b", " ".join(questions))) & (OLD | {*PEOPLE, *PRONOUNS})
    assert named <= OLD
    assert not OLD & NEW
    assert len({name[0] for name in NEW}) == len(NEW)
    for names in (["Anna", "Carla", "Emma", "Grace", "Julia", "Kate"], ["Ben", "Sam"]):
        new_names = draw_people(names, random.Random(0))
        assert list(new_names) == names
        for old, new in new_names.items():
            assert any(old in group and new in others for group, others in SUBSTITUTES)  # the same pronouns fit


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_renamed_question_differs_in_its_names_alone(task: RenamingTask) -> None:
    for index in range(10):
        question, renamed = task.draw_questions(index + 1, 0)[index], rename_question(task, index=index)
        assert renamed is not None
        names = r"\b(?:[a-z]|[A-Z][a-z]+)\b"  # variables, and words with a capital
        assert re.split(names, renamed.question.text) == re.split(names, question.text)
        pairs = set(zip(re.findall(names, question.text), re.findall(names, renamed.question.text), strict=True))
        changed = {(old, new) for old, new in pairs if old != new}
        assert changed
        assert len({old for old, _ in changed}) == len({new for _, new in changed}) == len(changed)
        assert not {old for old, _ in changed} & {new for _, new in changed}
        assert (renamed.question.candidates, renamed.question.answer) == (question.candidates, question.answer)
        mapped = dict(changed)
        assert renamed.question.choices == tuple(mapped.get(choice, choice) for choice in question.choices)
        assert renamed.question.values == tuple(mapped.get(value, value) for value in question.values)


def test_a_renamed_story_is_the_one_that_the_task_writes_about_the_other_person() -> None:
    task = Stories()
    for index in range(12):
        question = task.draw_questions(index + 1, 0)[index]
        renamed = task.rename(question, (), random.Random(index))
        assert renamed is not None
        parts = [int(part) for part in question.id.split("-")[1:]]
        operands, words = parts[:4], parts[4:]
        about_others = [task.make_question(operands, [who, *words[1:]]) for who in range(len(PRONOUNS))]
        same = [other for other in about_others if other.text == renamed.question.text]
        assert len(same) == 1
        assert same[0].text != question.text
        pronouns = [re.findall(r"\b(?:he|she)\b", text) for text in (same[0].text, question.text)]
        assert pronouns[0] == pronouns[1]


def test_people_are_renamed_in_steps_or_the_step_is_refused() -> None:
    [question] = Ordering().draw_questions(1, 0)
    names = {"Anna": "Eva", "Ben": "Dan"}
    assert rename_people("Anna is taller than Ben, so Anna's rank is 1.", question, names) == (
        "Eva is taller than Dan, so Eva's rank is 1."
    )
    assert rename_people("The correct choice is (B).", question, names) == "The correct choice is (B)."
    assert rename_people("I think she is taller than he is.", question, names) is not None
    for unclear in ("A > B.", "ANNA is taller.", "Eva is not here, Anna is.", "The two Bens.", "benches for ben"):
        assert rename_people(unclear, question, names) is None, unclear


def test_variables_are_renamed_in_steps_or_the_step_is_refused() -> None:
    question = VariableChain(form="choice").draw_questions(1, 0)[0]
    names = {"a": "p", "b": "q", "c": "r"}
    step = "Since a = 3 and b = a + 4, the value of b is 7, so \\(c = b - 2\\). It's (C)."
    renamed = "Since p = 3 and q = p + 4, the value of q is 7, so \\(r = q - 2\\). It's (C)."
    assert rename_variables(step, question, names) == renamed
    assert rename_variables("What is a? a is 3.", question, names) == "What is p? p is 3."
    for unclear in ("This gives a value of 3.", "A = 3.", "2b = 6.", "3 x 4 = 12.", "p = 3.", "Some value, e.g. 3."):
        assert rename_variables(unclear, question, names) is None, unclear


def test_a_chain_is_renamed_as_a_whole() -> None:
    question = VariableChain().draw_questions(1, 0)[0]
    letters = re.findall(r"\b[a-z]\b", question.text)
    renamed = VariableChain().rename(question, (f"{letters[0]} is 16. ", "Then 24."), random.Random(0))
    assert renamed is not None
    assert renamed.steps == (f"{renamed.question.text[0]} is 16. ", "Then 24.")
    assert VariableChain().rename(question, ("Then 24.", f"2{letters[0]} is 32. "), random.Random(0)) is None


def test_tasks_without_such_names_are_not_renamed() -> None:
    assert not any(isinstance(load_task(name), RenamingTask) for name in ("running-sum", "dates", "addition-2d-4"))
