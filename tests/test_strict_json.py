import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.errors import TaskError
from faithlens.strict_json import RepeatedKeyError, parse_strictly
from faithlens.tasks.entries import BadEntryError, parse_object
from faithlens.tasks.rows import read_rows

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_was_written_is_read(value: object) -> None:
    assert parse_strictly(json.dumps(value)) == value


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "\u00e9"]), st.integers()), max_size=4))
def test_an_object_is_read_where_its_keys_differ(pairs: list[tuple[str, int]]) -> None:
    text = "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in pairs) + "}"
    for line in (text, f"[[{text}]]", f'{{"c": {text}}}'):
        if len({key for key, _ in pairs}) == len(pairs):
            assert parse_strictly(text) == dict(pairs)
        else:
            with pytest.raises(RepeatedKeyError):
                parse_strictly(line)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"answer": "5", "answer": "6"}', 'the key "answer" stands twice'),
        ('{"a": ' + "9" * 5_000 + "}", "a number has too many digits"),
        ('{"a": ' + "[" * 100_000, "nested too deep"),
        ("{", "not JSON"),
    ],
)
def test_a_line_that_could_be_two_objects_is_a_bad_entry(line: str, problem: str) -> None:
    with pytest.raises(BadEntryError, match=problem):
        parse_object(line)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("rows.csv", "question,answer,answer\nx?,1,2\n", "two columns are named 'answer'"),
        ("rows.csv", "question,answer\nx?,1,2\n", "line 2 has 3 cells, and the header has 2"),
        ("rows.csv", "question,answer\nx?,1\n\ny?\n", "line 4 has 1 cells, and the header has 2"),
        ("rows.json", '[{"question": "x?", "answer": "1", "answer": "2"}]', "twice"),
        ("rows.jsonl", '{"question": "x?", "answer": "1", "answer": "2"}', "twice"),
    ],
)
def test_a_table_with_a_name_or_a_cell_too_many_is_refused(tmp_path: Path, name: str, text: str, problem: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(TaskError, match=problem):
        read_rows(tmp_path / name)


def test_rows_of_csv_are_read_by_their_header(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text('question,options,answer\n"a, b?","[""x"", ""y""]",1\n\nc?,text,\n')
    assert read_rows(tmp_path / "rows.csv") == [
        {"question": "a, b?", "options": ["x", "y"], "answer": "1"},
        {"question": "c?", "options": "text", "answer": ""},
    ]
