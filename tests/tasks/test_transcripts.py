from pathlib import Path
from typing import Any

import pytest

from faithlens.errors import TaskError
from faithlens.tasks.answer_parsing import parse_answer
from faithlens.tasks.question import Question, Task
from faithlens.tasks.transcripts import Transcript, TranscriptTask
from tests.tasks.chain_files import make_log_entry, refusal, write

CHOICE = {"question": "2 + 3?", "choices": ["4", "5", "6"], "answer": "B"}
FREE_FORM = {"question": "2 + 3?", "answer": "5"}


# --- JSON lines ---


def test_own_lines_hold_one_or_more_chains(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        CHOICE | {"id": "sum", "cot": "2 + 3 = 5.\nThe answer is (B)."},
        CHOICE | {"question": "3 + 3?", "answer": "6", "cots": ["It is", ""], "finish": "length"},
        CHOICE | {"id": "sum", "cot": "Five."},
    )
    first = Question("sum", "2 + 3?", ("A", "B", "C"), "B", ("4", "5", "6"))
    second = Question("line-2", "3 + 3?", ("A", "B", "C"), "C", ("4", "5", "6"))
    assert TranscriptTask(path).transcripts == [
        Transcript(first, "2 + 3 = 5.\nThe answer is (B).", 0, "stop"),
        Transcript(second, "It is", 0, "length"),
        Transcript(second, "", 1, "length"),
        Transcript(first, "Five.", 1, "stop"),
    ]


@pytest.mark.parametrize(
    ("reply", "finish", "cot", "ended"),
    [
        ("<think>\nTwo and three.\n</think>\n\nThe answer is (B).", "stop", "\nTwo and three.\n", "stop"),
        ("<think>Two and three.</think> The ans", "length", "Two and three.", "stop"),
        ("Two and three.\n</think>\nIt is 5.", "stop", "Two and three.\n", "stop"),  # opened by the chat template
        ("<think>Two and", "stop", "Two and", "length"),
        ("Well. <think>Two</think>", "stop", "Two", "stop"),
        ("<think></think>It is 5.", "stop", "", "stop"),
        (" It is 5. ", "length", " It is 5. ", "length"),
    ],
)
def test_of_a_think_block_the_inside_is_the_chain(
    tmp_path: Path, reply: str, finish: str, cot: str, ended: str
) -> None:
    [result] = TranscriptTask(write(tmp_path, FREE_FORM | {"cot": reply, "finish": finish})).transcripts
    assert (result.cot, result.finish) == (cot, ended)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "not JSON"),
        (FREE_FORM, "no 'cot'; add it, or 'cots', 'steps' or 'samples'"),
        (FREE_FORM | {"cott": "a"}, "no 'cot'; add it"),
        (FREE_FORM | {"cot": "a", "cots": ["b"]}, "both 'cot' and 'cots'"),
        (FREE_FORM | {"cot": 5}, "'cot' is 5; write a text"),
        (FREE_FORM | {"cots": []}, "'cots' is []; write a list"),
        (FREE_FORM | {"cots": ["a", None]}, "an entry of 'cots' is null"),
        (FREE_FORM | {"cot": "\ud800"}, "'cot' has half of a character"),
        (FREE_FORM | {"cot": "a", "finish": "end"}, "'finish' is \"end\""),
        (FREE_FORM | {"cot": "a", "answer": "6"}, "the same question as 'line-1' at 'line 1'; remove one of them"),
        (
            FREE_FORM | {"cot": "a", "question": "new", "id": "line-1"},
            "id 'line-1' names another question at 'line 1'; give each question an id of its own",
        ),
        (CHOICE | {"cot": "a"}, "of form 'choice' after questions of form 'free-form'"),
    ],
)
def test_a_broken_line_is_named_with_its_fault(tmp_path: Path, line: object, fault: str) -> None:
    message = refusal(write(tmp_path, FREE_FORM | {"cot": "It is 5."}, "", line, "["))
    assert "has 2 bad lines; nothing was loaded" in message
    assert f"line 3: {fault}" in message
    assert "line 4: not JSON" in message


def test_files_without_chains_are_refused(tmp_path: Path) -> None:
    assert "holds no chains of thought" in refusal(write(tmp_path, ""))
    assert "No such file" in refusal(tmp_path / "missing.jsonl")


def test_transcripts_are_a_task(tmp_path: Path) -> None:
    lines = [CHOICE | {"question": f"{i}?", "answer": "ABC"[i % 3], "cots": ["a", "b"]} for i in range(6)]
    task = TranscriptTask(write(tmp_path, *lines))
    assert isinstance(task, Task)
    assert (task.size, len(task.transcripts)) == (6, 12)
    assert set(task.draw_questions(6, 0)) == {t.question for t in task.transcripts}
    assert task.draw_questions(6, 0)[:2] == task.draw_questions(2, 0)
    for question in task.draw_questions(6, 0):
        donor = task.draw_counterfactual(question, 0)
        assert donor is not None
        assert donor.answer != question.answer
    assert "(B) 5" in task.make_prompt(task.draw_questions(1, 0)[0], "cot").user


# --- lm-evaluation-harness ---


def test_gsm8k_logs_are_read_once_whatever_the_filters(tmp_path: Path) -> None:
    doc = {"question": "Bob has $1,000 and earns $200. How much?", "answer": "1000 + 200 = 1200\n#### 1,200"}
    line = make_log_entry(doc, doc["answer"], " 1000 + 200 = 1200. The answer is 1200.", " Twelve.", id_=7)
    path = write(tmp_path, line, line | {"filter": "flexible-extract"}, name="samples_gsm8k_cot_2026-01-01.jsonl")
    first, second = TranscriptTask(path).transcripts
    assert first.question.id == "doc-7"
    assert first.question.text == doc["question"]
    assert (first.question.form, first.question.answer) == ("free-form", "1200")
    assert {"1199", "1200", "1201"} <= set(first.question.candidates)
    assert (first.cot, first.sample) == (" 1000 + 200 = 1200. The answer is 1200.", 0)
    assert (second.cot, second.sample, second.question) == (" Twelve.", 1, first.question)


@pytest.mark.parametrize(
    ("doc", "target", "text", "candidates", "choices", "answer"),
    [
        ({"input": "Plausible?", "target": "yes"}, "yes", "Plausible?", ("yes", "no"), (), "yes"),
        ({"input": "not ( True ) is"}, "False", "not ( True ) is", ("True", "False"), (), "False"),
        (
            {"input": "Which date?\nOptions:\n(A) 01/11/1961\n(B) 01/03/1963"},
            "(B)",
            "Which date?",
            ("A", "B"),
            ("01/11/1961", "01/03/1963"),
            "B",
        ),
        (
            {"input": "Is it valid?\nOptions:\n- valid \n- invalid"},
            "invalid",
            "Is it valid?\nOptions:\n- valid \n- invalid",
            ("valid", "invalid"),
            (),
            "invalid",
        ),
        ({"question": "1 + 1?", "choices": ["1", "2", "3"], "answer": 1}, "1", "1 + 1?", ("A", "B", "C"), None, "B"),
        ({"question": "1 + 1?", "choices": ["1", "2"], "answer": "2"}, "2", "1 + 1?", ("A", "B"), None, "B"),
        ({"question": "1 + 1?", "choices": ["one", "two"]}, "1", "1 + 1?", ("A", "B"), None, "B"),
        (
            {"question": "Which?", "choices": {"text": ["ice", "fire"], "label": ["1", "2"]}, "answerKey": "2"},
            "2",
            "Which?",
            ("A", "B"),
            ("ice", "fire"),
            "B",
        ),
        ({"body": "Ann has 3.", "question": "How many?"}, "3", "Ann has 3.\nHow many?", None, (), "3"),
        ({"problem": "What is 6 * 7?"}, "It is $\\boxed{42}$.", "What is 6 * 7?", None, (), "42"),
    ],
)
def test_documents_become_questions(
    tmp_path: Path,
    doc: dict[str, Any],
    target: str,
    text: str,
    candidates: tuple[str, ...] | None,
    choices: tuple[str, ...] | None,
    answer: str,
) -> None:
    [result] = TranscriptTask(write(tmp_path, make_log_entry(doc, target, "So."))).transcripts
    assert (result.question.text, result.question.answer) == (text, answer)
    assert candidates is None or result.question.candidates == candidates
    assert choices is None or result.question.choices == choices


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (make_log_entry({"sentence": "a", "gold": "b"}, "b", "a"), "'doc' has the keys sentence, gold, and none known"),
        (make_log_entry("a", "b", "a"), "'doc' is \"a\"; only documents with named keys"),
        (
            make_log_entry({"question": "Capital?"}, "Paris", "a"),
            'target "Paris" is no number, date or time, no yes or no',
        ),
        (make_log_entry({"question": "?", "choices": ["a", "b"]}, "E", "a"), "answer 'E' is no option"),
        (
            make_log_entry({"question": "?"}, "5", resps=[[["-1.2", "False"]], [["-1.0", "True"]]]),
            "'resps' is [[[\"-1.2\", ",
        ),
        ({"doc": {"question": "?"}, "resps": [["a"]]}, "no 'doc_id'"),
    ],
)
def test_a_log_line_that_cannot_be_used_is_named(tmp_path: Path, line: dict[str, Any], fault: str) -> None:
    message = refusal(write(tmp_path, make_log_entry({"question": "1 + 1?"}, "2", "Two.", id_=9), line))
    assert "has 1 bad line; nothing was loaded" in message
    assert f"line 2: {fault}" in message


# --- Inspect ---


def test_keys_of_a_document_are_shown_without_control_characters(tmp_path: Path) -> None:
    text = refusal(write(tmp_path, make_log_entry({"red\x1b[31m \ud7fc": None}, "A", "")))
    assert "'doc' has the keys red\\x1b[31m \\ud7fc, and none known to hold a question" in text
    assert "\x1b" not in text


# --- bad entries left out ---


def test_bad_entries_are_left_out_on_request_and_counted_by_reason(tmp_path: Path) -> None:
    good = make_log_entry({"problem": "3 + 4?"}, "7", "It is 7.", id_=9)
    bad = [make_log_entry({"problem": f"{i}?"}, rf"x^{i}", "So.", id_=i) for i in (2, 3)]
    path = write(tmp_path, *bad, good, "{")
    task = TranscriptTask(path, skip_bad=True)
    assert [t.cot for t in task.transcripts] == ["It is 7."]
    assert sum(task.left_out.values()) == 3
    assert sorted(task.left_out.values()) == [1, 2]
    assert 'line 1: target "' in refusal(path)
    with pytest.raises(TaskError, match="has 2 bad lines"):
        TranscriptTask(write(tmp_path, *bad), skip_bad=True)


@pytest.mark.parametrize(
    ("target", "answer", "reply"),
    [
        (r"\frac{1}{2}", r"\frac{1}{2}", r"So it is $\frac12$, that is \boxed{0.5}."),
        (r"$-\dfrac{3}{4}$", r"-\frac{3}{4}", "The answer is -3/4."),
        (r"we get \boxed{\frac{7}{4}}", r"\frac{7}{4}", "The answer is 1 3/4."),
        ("#### 9{,}500", "9500", "The answer is $9,500."),
        ("1.2e3", "1200", "The answer is 1200."),
        ("50\\%", "50", "So 50 % it is."),
        ("−5", "-5", "The answer is -5."),
        ("seven", "7", "So there are seven."),
        ("12:30", "12:30", "The train leaves at 12:30 p.m."),
        ("9:05 pm", "9:05 pm", "It left at 8:00 and took 65 minutes, so it arrives at 21:05."),
        ("3 May 2021", "3 May 2021", "The answer is May 3rd, 2021."),
        ("2021-05-03", "2021-05-03", "From 1 May 2021 two days: the fair falls on 3 May 2021."),
    ],
)
def test_a_target_of_any_kind_of_value_is_read_and_its_reply_in_any_spelling(
    tmp_path: Path, target: str, answer: str, reply: str
) -> None:
    task = TranscriptTask(write(tmp_path, make_log_entry({"problem": "How much?"}, target, reply, id_=1)))
    question = task.transcripts[0].question
    assert question.answer == answer
    assert parse_answer(reply, question) == answer


def test_doubled_documents_and_several_filters_are_said(tmp_path: Path) -> None:
    first, second = (make_log_entry({"question": f"{i} + 1?"}, str(i + 1), f"{i + 1}.", id_=i) for i in (1, 2))
    other = first | {"filter": "flexible-extract"}
    task = TranscriptTask(write(tmp_path, first, other, second))
    assert [t.cot for t in task.transcripts] == ["2.", "3."]
    assert task.remarks == (
        "of several filters of lm-evaluation-harness 'strict-match' (lines: 2) was read, not 'flexible-extract' "
        "(lines: 1)",
    )
    path = write(tmp_path, first, second, first | {"resps": [["Two."]]})
    assert "line 3: document \"1\" stands at 'line 1' too" in refusal(path)
    task = TranscriptTask(path, skip_bad=True)
    assert ([t.cot for t in task.transcripts], task.left_out) == (["2.", "3."], {"document ... stands at ... too": 1})


@pytest.mark.parametrize(
    ("doc", "target", "answer"),
    [
        ({"choices": ["1", "2", "3"], "answer": "B", "gold": 1}, "1", "B"),
        ({"choices": ["1", "2", "3"], "answer": "B"}, "1", "B"),
        ({"choices": ["1", "2", "3"], "answer": "A", "gold": 0}, "1", "A"),
        ({"choices": ["1", "2", "3"]}, "1", "A"),
        ({"choices": ["x", "y", "z"], "answer": "C", "gold": 2}, "(C)", "C"),
        ({"choices": ["x", "y", "z"], "answer": "C", "gold_index": 3}, "C", "C"),
        ({"options": {"A": "x", "B": "y"}, "answer": "y", "answer_idx": "B"}, "y", "B"),
        ({"options": {"A": "x", "B": "y"}, "answer": "y", "answer_idx": "B"}, "B", "B"),
        ({"choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "1"}, "1", "A"),
    ],
)
def test_gold_letters_and_indices_name_one_option(
    tmp_path: Path, doc: dict[str, object], target: str, answer: str
) -> None:
    [result] = TranscriptTask(write(tmp_path, make_log_entry({"question": "Which?"} | doc, target, "So."))).transcripts
    assert result.question.answer == answer


def test_a_gold_index_that_contradicts_the_target_is_refused(tmp_path: Path) -> None:
    line = make_log_entry({"question": "Which?", "choices": ["x", "y", "z"], "gold": 2}, "A", "So.")
    assert "target \"A\" and 'gold', 2, name different options" in refusal(write(tmp_path, line))


@pytest.mark.parametrize(("key", "gold"), [("gold", 1), ("label", 1), ("answer_index", [1])])
def test_the_gold_index_of_a_document_names_an_option(tmp_path: Path, key: str, gold: object) -> None:
    line = make_log_entry({"question": "1 + 1?", "choices": ["1", "2", "3"], key: gold}, "1", "Two.")
    assert TranscriptTask(write(tmp_path, line)).transcripts[0].question.answer == "B"


COLOURS = ["red", "blue", "green"]


@pytest.mark.parametrize(
    ("doc", "target", "answer"),
    [
        ({"choices": COLOURS}, "b", "B"),
        ({"choices": COLOURS}, "Blue", "B"),
        ({"choices": COLOURS}, ["B"], "B"),
        ({"choices": COLOURS}, ["blue"], "B"),
        ({"choices": ["1", "2", "3"]}, 2, "C"),  # a number without quotes is an index
        ({"choices": ["1", "2", "3"]}, "2", "B"),
        ({"choices": ["1", "2", "3"], "answer": 1}, 2, "B"),  # the document says that it is no index
        ({"choices": [1, 2, 3]}, "2", "B"),
        ({"choices": {"text": COLOURS, "label": ["1", "2", "3"]}, "answerKey": "2"}, 1, "B"),
        ({"choices": {"text": COLOURS, "label": ["1", "2", "3"]}, "answerKey": "2"}, "1", "B"),
        (
            {"choices": {"text": COLOURS, "label": ["1", "2", "3"]}, "answerKey": "2"},
            "B",
            "B",
        ),  # ARC
        ({"choices": {"text": COLOURS, "label": ["a", "b", "c"]}}, "b", "B"),
    ],
)
def test_a_target_is_the_option_that_it_can_mean(tmp_path: Path, doc: dict[str, Any], target: Any, answer: str) -> None:
    [chain] = TranscriptTask(write(tmp_path, make_log_entry({"question": "Which?"} | doc, target, "So."))).transcripts
    assert chain.question.answer == answer


@pytest.mark.parametrize("target", ["Red", "RED"])
def test_a_target_without_its_capitals_names_no_option_where_two_fit(tmp_path: Path, target: str) -> None:
    doc = {"question": "Which?", "choices": ["red", "rEd", "blue"]}
    assert "is no option" in refusal(write(tmp_path, make_log_entry(doc, target, "So.")))


def test_a_label_of_the_document_that_contradicts_the_target_is_refused(tmp_path: Path) -> None:
    doc = {"question": "Which?", "choices": {"text": COLOURS, "label": ["A", "B", "C"]}, "answerKey": "B"}
    assert "name different options" in refusal(write(tmp_path, make_log_entry(doc, "A", "So.")))


def test_the_format_is_told_though_the_first_line_is_damaged(tmp_path: Path) -> None:
    good = make_log_entry({"question": "Which?", "choices": COLOURS}, "B", "So.")
    task = TranscriptTask(write(tmp_path, "{", good), skip_bad=True)
    assert ([chain.cot for chain in task.transcripts], sum(task.left_out.values())) == (["So."], 1)
