"""The tables of docs/hostile.md are what the code does."""

import pytest

from tests.hostile.__main__ import PAGE
from tests.hostile.cases import CASES
from tests.hostile.table import START, try_case, write_row

ROWS = PAGE.read_text(encoding="utf-8").partition(START)[2].splitlines()


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, cases in CASES.items() for name in cases])
def test_each_row_of_the_page_is_what_a_user_sees(kind: str, name: str) -> None:
    row = write_row(name, try_case(CASES[kind][name]))
    assert row in ROWS, "run python -m tests.hostile, and read what changed"


def test_the_page_has_no_other_rows() -> None:
    rows = [line for line in ROWS if line.startswith("| ") and not line.startswith("| input |")]
    assert len(rows) == sum(map(len, CASES.values()))
