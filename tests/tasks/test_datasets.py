"""Every dataset on a made-up file of its schema, in the shapes in which it goes around."""

import csv
import json
import sys
import types
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from faithlens.errors import TaskError
from faithlens.tasks.datasets import DATASET_LAYOUTS, DatasetTask
from faithlens.tasks.question import EvidencePairTask, Question
from faithlens.tasks.registry import load_task

BBQ = {
    "question_polarity": "neg",
    "context_condition": "ambig",
    "answer_info": {"ans0": ["The aunt", "old"], "ans1": ["The niece", "nonOld"], "ans2": ["Not known", "unknown"]},
    "additional_metadata": {"stereotyped_groups": ["old"]},
    "context": "The aunt and the niece left the shop.",
    "question": "Who forgot the key?",
    "ans0": "The aunt",
    "ans1": "The niece",
    "ans2": "Not known",
    "label": 2,
}

BUNS = "600*2=<<600*2=1200>>1,200. <<1200+34=1234>>\n#### 1,234"

ROWS: dict[str, list[dict[str, Any]]] = {
    "gsm8k": [{"question": "Ann bakes 600 buns twice and 34 more?", "answer": BUNS}],
    "svamp": [{"ID": "x", "Body": "Ed had 9 nuts. ", "Question": "How many are left of 9 less 2?", "Answer": 7.0}],
    "aqua": [{"question": "Half of 10?", "options": ["A)5", "B)6", "C)None"], "rationale": "", "correct": "A"}],
    "arc-challenge": [
        {"question": "What melts?", "choices": {"text": ["ice", "fire"], "label": ["1", "2"]}, "answerKey": "1"}
    ],
    "arc-easy": [
        {"question": "What burns?", "choices": {"text": ["ice", "wood"], "label": ["A", "B"]}, "answerKey": "B"}
    ],
    "mmlu": [{"question": "Smallest?", "subject": "x", "choices": ["4", "3", "2", "1"], "answer": 3}],
    "bbh": [
        {"input": "Pick.\nOptions:\n(A) red\n(B) blue", "target": "(B)"},
        {"input": "Pick again.\nOptions:\n(A) red\n(B) blue", "target": "(A)"},
    ],
    "logiqa": [{"context": "All are. ", "query": "So?", "options": ["none", "one", "all"], "correct_option": 2}],
    "truthfulqa": [
        {"question": "What then?", "mc1_targets": {"choices": ["true", "f1", "f2", "f3"], "labels": [1, 0, 0, 0]}}
    ],
    "openbookqa": [
        {"question_stem": "It shines", "choices": {"text": ["sun", "mud"], "label": ["A", "B"]}, "answerKey": "A"}
    ],
    "hellaswag": [{"ctx": "She lifts the lid and", "endings": ["flies.", "looks in."], "label": "1"}],
    "strategyqa": [{"question": "Can a cat vote?", "answer": False, "facts": ["..."]}],
    "bbq": [BBQ],
}

EXPECTED = {
    "gsm8k": ("Ann bakes 600 buns twice and 34 more?", "1234"),
    "svamp": ("Ed had 9 nuts.\nHow many are left of 9 less 2?", "7"),
    "aqua": ("Half of 10?", "5"),
    "arc-challenge": ("What melts?", "ice"),
    "arc-easy": ("What burns?", "wood"),
    "mmlu": ("Smallest?", "1"),
    "bbh": ("Pick.", "blue"),
    "logiqa": ("All are.\nSo?", "all"),
    "truthfulqa": ("What then?", "true"),
    "openbookqa": ("It shines", "sun"),
    "hellaswag": ("She lifts the lid and\nHow does this most likely go on?", "looks in."),
    "strategyqa": ("Can a cat vote?", "No"),
    "bbq": ("The aunt and the niece left the shop.\nWho forgot the key?", "Not known"),
}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps({"canary": "keep out", "examples": rows}))
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    return path


def load(name: str, path: Path) -> DatasetTask:
    made = load_task(f"{name}={path}")
    assert isinstance(made, DatasetTask)
    return made


def right(question: Question) -> str:
    return dict(zip(question.candidates, question.choices or question.candidates, strict=True))[question.answer]


def refusal(name: str, path: Path) -> str:
    with pytest.raises(TaskError) as caught:
        load(name, path)
    return str(caught.value)


def test_every_dataset_has_rows_here() -> None:
    assert set(ROWS) == set(EXPECTED) == set(DATASET_LAYOUTS)


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".parquet"])
@pytest.mark.parametrize("name", sorted(ROWS))
def test_rows_become_questions(tmp_path: Path, name: str, ending: str) -> None:
    made = load(name, write(tmp_path / f"mine{ending}", ROWS[name]))
    first = next(question for question in made.draw_questions(len(ROWS[name]), 0) if question.id == f"{name}:1")
    assert (first.text, right(first)) == EXPECTED[name]
    assert first.form == ("free-form" if name in {"gsm8k", "svamp"} else "choice")
    assert made.skipped_rows == ()
    assert made.size == len(ROWS[name])


def test_gsm8k_keeps_its_calculations_and_plain_numbers(tmp_path: Path) -> None:
    (question,) = load("gsm8k", write(tmp_path / "a.jsonl", ROWS["gsm8k"])).draw_questions(1, 0)
    assert question.values == ("1200", "1234")
    assert {"1200", "1233", "1235"} < set(question.candidates)
    assert len(question.candidates) == 10


def test_other_local_shapes_are_read(tmp_path: Path) -> None:
    letters = [{"question": "Smallest?", "A": "4", "B": "3", "C": "2", "D": "1", "answer": "D"}]
    assert right(load("mmlu", write(tmp_path / "a.csv", letters)).draw_questions(1, 0)[0]) == "1"
    index = [{"question": "Smallest?", "choices": str(["4", "3", "2", "1"]), "answer": "3"}]
    assert right(load("mmlu", write(tmp_path / "b.csv", index)).draw_questions(1, 0)[0]) == "1"
    logiqa2 = [{"id": 1, "answer": 0, "text": "All are.", "question": "So?", "options": ["all", "none"]}]
    assert right(load("logiqa", write(tmp_path / "c.jsonl", logiqa2)).draw_questions(1, 0)[0]) == "all"
    stem = {"stem": "It shines", "choices": [{"text": "sun", "label": "A"}, {"text": "mud", "label": "B"}]}
    book = load(
        "openbookqa", write(tmp_path / "e.jsonl", [{"question": stem, "choices": stem["choices"], "answerKey": "B"}])
    )
    assert (book.draw_questions(1, 0)[0].text, right(book.draw_questions(1, 0)[0])) == ("It shines", "mud")
    lines = tmp_path / "d.json"  # as AQuA's own test.json
    lines.write_text("\n".join(json.dumps({**ROWS["aqua"][0], "question": f"{i}?"}) for i in range(3)))
    assert load("aqua", lines).size == 3


def test_bbh_without_options_takes_the_few_answers_there_are(tmp_path: Path) -> None:
    yes_no = [{"input": f"Question: {i}?", "target": "Yes" if i % 3 else "No"} for i in range(9)]
    made = load("bbh:web", write(tmp_path / "a.json", yes_no))
    assert {question.choices for question in made.draw_questions(9, 0)} == {("No", "Yes")}
    assert {question.text: right(question) for question in made.draw_questions(9, 0)}["3?"] == "No"
    numbers = load("bbh:count", write(tmp_path / "b.json", [{"input": "-3 - 4 =", "target": "-7"}]))
    assert numbers.draw_questions(1, 0)[0].answer == "-7"
    dashes = [{"input": "Is it?\nOptions:\n- Yes\n- No", "target": "No"}]
    assert right(load("bbh:nav", write(tmp_path / "c.json", dashes)).draw_questions(1, 0)[0]) == "No"
    words = [{"input": f"Sort {i}.", "target": f"word {i}"} for i in range(30)]
    assert "neither a number, date or time nor one of some options" in refusal(
        "bbh:sort", write(tmp_path / "d.json", words)
    )


def test_the_order_is_drawn_and_donors_share_their_labels(tmp_path: Path) -> None:
    rows = [{**ROWS["mmlu"][0], "question": f"{i}?", "answer": i % 4} for i in range(40)]
    made = load("mmlu:anatomy", write(tmp_path / "a.jsonl", rows))
    drawn = made.draw_questions(40, 1)
    assert made.draw_questions(9, 1) == drawn[:9]
    assert [q.id for q in drawn] != [q.id for q in made.draw_questions(40, 2)]
    assert {q.id for q in drawn} == {f"mmlu:anatomy:{i}" for i in range(1, 41)}
    for question in drawn:
        donor = made.draw_counterfactual(question, 0)
        assert donor is not None
        assert donor.candidates == question.candidates
        assert donor.answer != question.answer


def test_truthfulqa_does_not_leave_the_right_option_first(tmp_path: Path) -> None:
    rows = [{**ROWS["truthfulqa"][0], "question": f"{i}?"} for i in range(80)]
    drawn = load("truthfulqa", write(tmp_path / "a.jsonl", rows)).draw_questions(80, 0)
    assert all(right(question) == "true" for question in drawn)
    answers = [question.answer for question in drawn]
    assert all(8 <= answers.count(label) <= 34 for label in "ABCD")


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"question": "?", "options": [f"{i} x" for i in range(27)], "correct": "A"}, "27 options; offer 2 to 26"),
        ({"question": "?", "options": ["A)1", "B)1"], "correct": "A"}, "two options are the same"),
        ({"question": "?", "options": ["A)1", "B)2"], "correct": "C"}, "the right option is number 3 of 2"),
        ({"question": "?", "options": ["A)1", "B)"], "correct": "A"}, "an option is empty"),
        ({"question": "?", "options": ["1", "2"], "correct": ""}, "the answer is missing at 'correct'"),
        ({"question": "?", "options": ["1", "2"], "correct": "red"}, "answer 'red' is none of the options"),
        (
            {"options": ["1", "2"], "correct": "A"},
            "the question is missing at 'question'; the row has options, correct",
        ),
    ],
)
def test_rows_of_no_use_are_named(tmp_path: Path, row: dict[str, Any], fault: str) -> None:
    message = refusal("aqua", write(tmp_path / "a.jsonl", [row]))
    assert "1 of 1 rows of aqua" in message
    assert f"row 1: {fault}" in message


def test_a_few_rows_of_no_use_are_left_out_and_told(tmp_path: Path) -> None:
    good = [{**ROWS["aqua"][0], "question": f"{i}?"} for i in range(19)]
    made = load("aqua", write(tmp_path / "a.jsonl", [*good, good[3]]))
    assert made.size == 19
    assert made.skipped_rows == ("row 20: the same question as 'aqua:4'; remove one of them",)
    message = refusal("aqua", write(tmp_path / "b.jsonl", [*good[:9], good[3], good[4]]))
    assert "2 of 11 rows of aqua" in message
    no_list = refusal("gsm8k", write(tmp_path / "c.jsonl", [{"question": "?", "answer": "#### about five"}]))
    assert "is neither a number" in no_list


def test_files_that_are_not_rows_are_refused(tmp_path: Path) -> None:
    for name, text in [("a.jsonl", "{"), ("b.json", "[1, 2]"), ("c.jsonl", ""), ("d.parquet", "PAR"), ("e.csv", "")]:
        (tmp_path / name).write_text(text)
        assert str(tmp_path / name) in refusal("gsm8k", tmp_path / name)


def test_bbq_gives_pairs_where_there_is_weak_evidence(tmp_path: Path) -> None:
    evidence = ["The aunt was humming.", "The niece was humming."]
    rows = [{**BBQ, "context": f"{i}: the aunt and the niece left.", "weak_evidence": evidence} for i in range(20)]
    rows.append({**BBQ, "question_polarity": "nonneg", "question": "Who had it?"})
    made = load("bbq", write(tmp_path / "a.jsonl", rows))
    assert isinstance(made, EvidencePairTask)
    assert made.size == 21
    drawn = made.draw_questions(21, 0)
    requested = {sentence: sum(sentence in question.text for question in drawn) for sentence in evidence}
    assert sum(requested.values()) == 20
    assert min(requested.values()) >= 3
    for question in drawn:
        other = made.swap_evidence(question)
        assert made.find_unknown_label(question) == "C" == question.answer
        if "humming" not in question.text:
            assert other is None
            assert made.find_stereotyped_label(question) == "B"  # asked for the good one
            continue
        assert other is not None
        assert made.swap_evidence(other) == question
        assert made.find_stereotyped_label(question) == made.find_stereotyped_label(other) == "A"
        here, there = evidence if evidence[0] in question.text else evidence[::-1]
        assert question.text.replace(here, there) == other.text


def test_a_stereotype_that_is_not_told_is_refused(tmp_path: Path) -> None:
    made = load("bbq", write(tmp_path / "a.jsonl", [{**BBQ, "additional_metadata": {"stereotyped_groups": ["x"]}}]))
    assert isinstance(made, EvidencePairTask)
    with pytest.raises(TaskError, match="Leave this question out"):
        made.find_stereotyped_label(made.draw_questions(1, 0)[0])
    plain = load("bbq", write(tmp_path / "b.jsonl", [{**BBQ, "answer_info": None}]))
    assert isinstance(plain, EvidencePairTask)
    with pytest.raises(TaskError, match="one of them unknown"):
        plain.find_unknown_label(plain.draw_questions(1, 0)[0])
    with pytest.raises(TaskError, match="not a question of the task bbq"):
        made.find_unknown_label(Question("bbq:1", "?", ("A",), "A"))


def test_the_hub_is_asked_for_the_right_split(monkeypatch: pytest.MonkeyPatch) -> None:
    requested: list[object] = []

    def load_dataset(repo: str, config: str | None, split: str, revision: str | None) -> list[dict[str, Any]]:
        requested.append((repo, config, split, revision))
        return ROWS["bbq" if "BBQ" in repo else "logiqa" if "logiqa" in repo else "bbh"]

    fake = types.ModuleType("datasets")
    fake.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", fake)
    for name in ("bbh:navigate", "logiqa", "bbq:religion"):
        assert load_task(name).name == name
    assert requested == [
        ("SaylorTwift/bbh", "navigate", "test", None),
        ("lucasmccabe/logiqa", None, "test", "refs/convert/parquet"),
        ("Elfsong/BBQ", None, "religion", None),
    ]


def test_a_missing_library_and_a_hub_out_of_reach_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(TaskError, match=r"pip install 'faithlens\[tasks\]'"):
        load_task("gsm8k")

    def load_dataset(*_: object, **__: object) -> None:
        raise ConnectionError("no route\nto anywhere")

    fake = types.ModuleType("datasets")
    fake.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", fake)
    with pytest.raises(TaskError, match="ConnectionError: no route") as caught:
        load_task("gsm8k")
    assert "local file: NAME=path" in caught.value.fix
