"""Files of questions and logs of chains: read or refused as a whole, and bad entries are left out and counted."""

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from faithlens.errors import TaskError
from faithlens.tasks.jsonl import JsonLines
from faithlens.tasks.transcripts import TranscriptTask
from tests.fuzz.runner import check_error, fuzz
from tests.fuzz.strategies import ANY_TEXT, CHAIN_ENTRIES, ENTRIES, JSON, LM_EVAL_ENTRIES, make_line, mutate_entry

FOLDER = TemporaryDirectory()
BROKEN = st.one_of(
    JSON.map(json.dumps),
    ANY_TEXT.map(lambda text: text.replace("\n", " ")),
    st.sampled_from(["{", "[" * 5000, '{"cot": "\\ud800"}']),
)


def list_files(entries: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[str]]:
    line = st.one_of(
        entries.map(make_line), mutate_entry(entries).map(make_line), mutate_entry(entries).map(make_line), BROKEN
    )
    return st.lists(line, min_size=1, max_size=5)


def write(lines: list[str], name: str = "file.jsonl") -> Path:
    path = Path(FOLDER.name) / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def check_chains(lines: list[str]) -> None:
    path = write(lines)
    try:
        task = TranscriptTask(path, skip_bad=True)
    except TaskError:
        task = None
    try:
        whole = TranscriptTask(path).transcripts
    except TaskError as error:
        assert task is None or task.left_out
        check_error(error)
        return
    assert task is not None
    assert whole == task.transcripts
    assert not task.left_out
    samples = Counter(each.question for each in whole)
    for question, n in samples.items():
        assert sorted(each.sample for each in whole if each.question == question) == list(range(n))
        assert question.answer in question.candidates
    assert len({question.id for question in samples}) == len(samples)


@fuzz(list_files(CHAIN_ENTRIES), slice=80)
def test_json_lines_with_chains(lines: list[str]) -> None:
    check_chains(lines)


@fuzz(list_files(LM_EVAL_ENTRIES), slice=80)
def test_sample_logs_of_lm_eval(lines: list[str]) -> None:
    check_chains(lines)


@fuzz(list_files(ENTRIES), slice=80)
def test_question_files(lines: list[str]) -> None:
    try:
        task = JsonLines(write(lines))
    except TaskError:
        return
    assert task.size == len([line for line in lines if line.strip()])
    assert sorted(q.id for q in task.draw_questions(task.size, 0)) == sorted(
        {q.id for q in task.draw_questions(task.size, 1)}
    )


@fuzz(st.binary(max_size=60), st.sampled_from(["file.jsonl", "file.json", "file.eval", "file"]), slice=40)
def test_any_bytes(content: bytes, name: str) -> None:
    path = Path(FOLDER.name) / name
    path.write_bytes(content)
    for read in (TranscriptTask, JsonLines):
        try:
            read(path)
        except TaskError:
            continue
