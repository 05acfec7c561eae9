import json
import random
from pathlib import Path

import pytest

from faithlens.errors import TaskError
from faithlens.tasks.jsonl import JsonLines
from faithlens.tasks.question import Question

CHOICE = {"question": "2 + 3?", "choices": ["4", "5", "6"], "answer": "B"}
FREE_FORM = {"question": "2 + 3?", "answer": "5"}


def write(folder: Path, *lines: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(TaskError) as caught:
        JsonLines(path)
    return str(caught.value)


def test_choices_are_labelled_and_answers_given_either_way(tmp_path: Path) -> None:
    path = write(tmp_path, CHOICE, "", CHOICE | {"question": "3 + 3?", "answer": "6", "id": "six", "values": ["6"]})
    task = JsonLines(path)
    assert sorted(task.draw_questions(2, 0), key=lambda q: q.id) == [
        Question("line-1", "2 + 3?", ("A", "B", "C"), "B", ("4", "5", "6"), (), "choice"),
        Question("six", "3 + 3?", ("A", "B", "C"), "C", ("4", "5", "6"), ("6",), "choice"),
    ]
    assert task.name == str(path)
    assert task.stems[0].close == ""


def test_free_form_numbers_get_near_misses_and_other_answers_their_own(tmp_path: Path) -> None:
    (number,) = JsonLines(write(tmp_path, FREE_FORM | {"values": ["2", "5", "by hand"]})).draw_questions(1, 0)
    assert number.candidates == ("0", "2", "3", "4", "5", "6", "7", "8", "10", "15")[:0] + tuple(
        sorted({"5", "2", "6", "4", "7", "3", "15", "8", "10", "0"}, key=int)
    )
    (word,) = JsonLines(write(tmp_path, FREE_FORM | {"answer": "blue", "candidates": ["red", "blue"]})).draw_questions(
        1, 0
    )
    assert (word.candidates, word.answer, word.form) == (("red", "blue"), "blue", "free-form")


def test_order_depends_on_the_seed_alone(tmp_path: Path) -> None:
    task = JsonLines(write(tmp_path, *({**FREE_FORM, "question": f"{i}?"} for i in range(30))))
    assert task.draw_questions(30, 1)[:9] == task.draw_questions(9, 1)
    assert task.draw_questions(30, 1) != task.draw_questions(30, 2)
    assert {q.text for q in task.draw_questions(30, 1)} == {f"{i}?" for i in range(30)}
    for n, problem in ((0, "from 1 on, got 0"), (31, "Pass n of 1 to 30")):
        with pytest.raises(TaskError, match=problem):
            task.draw_questions(n, 0)


def test_a_donor_has_the_same_labels_and_another_answer(tmp_path: Path) -> None:
    lines = [CHOICE | {"question": f"{i}?", "answer": "ABC"[i % 3]} for i in range(6)]
    task = JsonLines(write(tmp_path, *lines, {"question": "yes?", "choices": ["y", "n"], "answer": "A"}))
    for question in task.draw_questions(7, 0):
        donor = task.draw_counterfactual(question, 4)
        if len(question.choices) == 2:
            assert donor is None
        else:
            assert donor is not None
            assert donor.candidates == question.candidates
            assert donor.answer != question.answer
            assert donor == task.draw_counterfactual(question, 4)


def test_steps_are_misstated_by_number(tmp_path: Path) -> None:
    task = JsonLines(write(tmp_path, CHOICE))
    (question,) = task.draw_questions(1, 0)
    edited = task.misstate("2 + 3 = 5", question, random.Random(0))
    assert edited in {"2 + 3 = 1", "2 + 3 = 7", "2 + 3 = 8", "2 + 3 = 9"}
    assert task.misstate("Let me see.", question, random.Random(0)) is None


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "not JSON: Expecting property name enclosed in double quotes at column 2"),
        ("[1]", "a list; write an object"),
        ({"question": "?"}, "no 'answer'; add it"),
        ({"answer": "5"}, "no 'question'; add it"),
        (FREE_FORM | {"anwser": "5"}, "key 'anwser' is unknown. Did you mean 'answer'?"),
        (FREE_FORM | {"answer": 5}, "'answer' is 5; write a text in double quotes"),
        (FREE_FORM | {"question": " "}, "'question' is empty"),
        (FREE_FORM | {"question": "\ud800"}, "'question' has half of a character"),
        (FREE_FORM | {"answer": "blue"}, "answer 'blue' is no number, date or time; add 'candidates'"),
        (FREE_FORM | {"candidates": ["4", "6"]}, "answer '5' is not among 'candidates'"),
        (FREE_FORM | {"values": "5"}, "'values' is \"5\"; write a list"),
        (CHOICE | {"answer": "D"}, "answer 'D' is no option; write one of A, B, C"),
        (CHOICE | {"choices": ["B", "A"], "answer": "A"}, "answer 'A' is one option's label and another's content"),
        (CHOICE | {"choices": ["5"]}, "'choices' is [\"5\"]; write a list of 2 to 26 texts"),
        (CHOICE | {"choices": ["5", "5", "B"]}, "'choices' repeats an entry"),
        (CHOICE | {"candidates": ["5", "6"]}, "both 'choices' and 'candidates'"),
        (
            CHOICE | {"question": "new", "id": "line-1"},
            "id 'line-1' names another question at 'line 1'; give each question an id of its own",
        ),
        (CHOICE, "the same question as 'line-1' at 'line 1'; remove one of them"),
        (FREE_FORM, "of form 'free-form' after questions of form 'choice'"),
    ],
)
def test_a_broken_line_is_named_with_its_fault(tmp_path: Path, line: object, fault: str) -> None:
    message = refusal(write(tmp_path, CHOICE, "", line))
    assert "has 1 bad line; nothing was loaded" in message
    assert f"line 3: {fault}" in message
    assert message.count("Correct these lines") == 1


def test_up_to_ten_broken_lines_are_reported_at_once(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, CHOICE, *["{"] * 13))
    assert "has 13 bad lines" in message
    assert "line 11: not JSON" in message
    assert "line 12" not in message
    assert "and 3 more" in message


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes('\ufeff{"question": "a\u2028b", "answer": "5"}\r\n'.encode())
    assert [q.text for q in JsonLines(path).draw_questions(1, 0)] == ["a\u2028b"]


def test_files_that_cannot_be_read_or_are_empty_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.jsonl")
    assert "directory" in refusal(tmp_path)
    assert "holds no questions" in refusal(write(tmp_path, "", "  "))
    (tmp_path / "mine.jsonl").write_bytes(b'{"question": "\xff"}')
    assert "not UTF-8 at byte 14" in refusal(tmp_path / "mine.jsonl")
