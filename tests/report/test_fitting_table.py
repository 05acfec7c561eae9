"""Tables on terminals of any width: nothing is cut, and nothing is wider than the terminal."""

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from faithlens.report.fitting_table import SHORT, FittingTable

WORDS = st.text("abcdefg", min_size=1, max_size=SHORT)
CELLS = st.lists(WORDS, max_size=12).map(" ".join)


def show(table: FittingTable, width: int) -> list[str]:
    console = Console(width=width, file=StringIO(), record=True)
    console.print(table)
    return [line.rstrip() for line in console.export_text().splitlines()]


TABLE = FittingTable(
    ["model", "verdict", "why"],
    [["small-1", "trust", "All gates are passed by 40 of 40 questions."], ["small-2", "undecided", ""]],
    "Verdicts",
)


def test_a_wide_terminal_gets_a_table():
    assert [line.strip() for line in show(TABLE, 60)] == [
        "Verdicts",
        "model    verdict    why",
        "─" * 60,
        "small-1  trust      All gates are passed by 40 of 40",
        "questions.",
        "small-2  undecided",
        "",
    ]


def test_a_narrow_terminal_gets_one_row_below_the_other():
    assert show(TABLE, 29) == [
        "Verdicts",
        "small-1",
        "  verdict: trust",
        "  why: All gates are passed",
        "by 40 of 40 questions.",
        "small-2",
        "  verdict: undecided",
    ]


def test_tables_that_stand_together_look_alike():
    few, many = [["small", "trust"]], [["a-model-of-a-long-name", "undecided"]]
    tables = [FittingTable(["model", "verdict"], rows, alike=few + many) for rows in (few, many)]
    heads = {show(table, 60)[0] for table in tables}
    assert heads == {"model" + " " * 19 + "verdict"}
    assert [show(table, 30)[0] for table in tables] == ["small", "a-model-of-a-long-name"]


@pytest.mark.parametrize("width", [30, 60, 80, 200])
@given(rows=st.lists(st.tuples(WORDS, CELLS, CELLS), min_size=1, max_size=4))
def test_every_word_is_shown_whole_at_any_width(width: int, rows: list[tuple[str, str, str]]):
    lines = show(FittingTable(["name", "one", "other"], rows), width)
    assert max(map(len, lines)) <= width
    words, expected = " ".join(lines).split(), [word for row in rows for cell in row for word in cell.split()]
    assert all(words.count(word) >= expected.count(word) for word in expected)


def test_columns_that_are_whole_are_never_broken():
    name = "strategies.cot_decomposition.truncation_accuracy"
    table = FittingTable(["name", "label"], [[name, "accuracy after a cut"]], whole=["name"])
    assert all(any(name in line for line in show(table, width)) for width in (50, 60, 80))
