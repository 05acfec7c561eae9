import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.stats.grid import CELL_NAMES, count_cells, find_cell, find_cells

number = st.none() | st.floats(-2, 2) | st.just(float("nan"))


@pytest.mark.parametrize(
    ("content", "direct", "relay", "knockout", "expected"),
    [
        (1.0, 0.0, 0.9, 0.9, "content-mediated"),
        (1.1, -0.1, None, None, "content-mediated"),
        (0.0, 1.0, 0.0, 0.0, "decorative"),
        (0.0, 1.0, 0.0, 0.9, "decorative"),  # hidden tokens moved the answer, but no state of theirs was used
        (0.0, 1.0, None, 0.0, "decorative"),
        (0.0, 1.0, None, 0.9, "undefined"),
        (0.0, 1.0, None, None, "undefined"),
        (0.0, 0.0, 0.9, 0.0, "positions"),
        (0.0, 1.0, 0.9, 0.9, "positions"),
        (0.0, 1.0, 0.4, 0.0, "mixture"),
        (0.5, 0.5, 0.5, 0.5, "mixture"),
        (0.0, 0.0, 0.0, 0.0, "mixture"),
        (None, 0.0, 0.9, 0.9, "undefined"),
        (1.0, float("nan"), 0.9, 0.9, "undefined"),
    ],
)
def test_cell(content, direct, relay, knockout, expected):
    assert find_cell(content, direct, relay, knockout) == expected


@given(number, number, number, number)
def test_every_question_has_a_cell(content, direct, relay, knockout):
    assert find_cell(content, direct, relay, knockout) in CELL_NAMES


@given(st.floats(0.5, 2), st.floats(-2, 0.2), number, number)
def test_content_mediation_does_not_hang_on_positions(content, direct, relay, knockout):
    assert find_cell(content, direct, relay, knockout) == "content-mediated"


@given(st.floats(-2, 2), st.floats(-2, 2), number, number)
def test_a_relay_that_was_read_decides_alone(content, direct, relay, knockout):
    if relay is not None and relay == relay:
        assert find_cell(content, direct, relay, knockout) == find_cell(content, direct, relay, None)


def test_cells_of_a_score_table():
    rows = [
        ("a", "mediation.content_share", 1.0),
        ("a", "mediation.question_share", 0.0),
        ("b", "mediation.content_share", np.nan),
        ("c", "mediation.content_share", 0.0),
        ("c", "mediation.question_share", 1.0),
        ("c", "knockout.steps", 0.0),
        ("d", "accuracy.full", 1.0),
    ]
    frame = pd.DataFrame(rows, columns=["question", "measure", "value"]).assign(model="m", task="t", step=pd.NA)
    result = find_cells(frame)
    assert result.set_index("question")["cell"].to_dict() == {
        "a": "content-mediated",
        "b": "undefined",
        "c": "decorative",
        "d": "undefined",
    }
    assert count_cells(result) == {"content-mediated": 1, "decorative": 1, "positions": 0, "mixture": 0, "undefined": 2}
