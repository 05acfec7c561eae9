import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.tasks.numbers import (
    find_number_spans,
    find_stated_value,
    misstate,
)
from faithlens.tasks.question import Question

QUESTION = Question("q", "Ann has 12 nuts and finds 5 more.", ("17", "16", "18"), "17", (), ("17",), "open")


@pytest.mark.parametrize(
    ("step", "value"),
    [
        ("12 + 5 = 17 nuts.", "17"),
        ("12 + 5 = **17** nuts, for 2 people.", "17"),
        ("\\[ 12 + 5 = \\boxed{17} \\]", "17"),
        ("so \\(b = a + 4 = 3 + 4 = 7\\).", "7"),
        ("b = 3 + 4", "4"),
        ("Now she has $17$ nuts.", "17"),
        ("1. Start with 12 nuts.", "12"),
        ("1. Read the question.", None),
        ("**Step 2:** Add the nuts.", None),
        ("As in step 2, she is the 3rd of all.", None),
        ("So the correct option is (B).", None),
        ("x2 and b7 are names.", None),
        ("It costs 1,250.50 = 1,250.50 now", "1,250.50"),
        ("", None),
    ],
)
def test_stated_value(step: str, value: str | None) -> None:
    assert find_stated_value(step) == value


@pytest.mark.parametrize(
    "step", ["12 + 5 = 17, and 17 it is.", "Now 17 of 17 are left", "1. 17 nuts", "3 = 1,217.17 x"]
)
def test_only_the_result_changes_and_keeps_its_shape(step: str) -> None:
    edited = misstate(step, QUESTION, random.Random(0))
    assert edited is not None
    assert len(edited) == len(step)
    changed = [i for i, (old, new) in enumerate(zip(step, edited, strict=True)) if old != new]
    old, new = find_stated_value(step), find_stated_value(edited)
    assert old is not None
    assert new is not None
    assert step.replace(old, "?") == edited.replace(new, "?").replace(old, "?")
    assert changed[-1] - changed[0] < len(old)
    assert all(edited[i].isdigit() for i in changed)


@given(st.integers(0, 99), st.integers(0, 2**32))
def test_the_wrong_value_is_near_and_means_nothing_else(total: int, seed: int) -> None:
    edited = misstate(f"7 + 8 = {total}.", QUESTION, random.Random(seed))
    assert edited is not None
    new = find_stated_value(edited)
    assert new is not None
    assert len(new) == len(str(total))
    assert 0 < abs(int(new) - total) <= 9
    assert new not in {"7", "8", "12", "5", "16", "17", "18"}


def test_true_values_are_the_last_given_up() -> None:
    crowded = Question("q", "1 2 3 4 5 6 7", (), "", (), ("8", "9"), "open")
    assert {misstate("= 9", crowded, random.Random(seed)) for seed in range(40)} == {f"= {n}" for n in range(1, 8)}


def test_a_step_without_a_number_cannot_be_misstated() -> None:
    assert misstate("Let us think.", QUESTION, random.Random(0)) is None


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("1. From 12 take 5, as in step 3: 7.", ["12", "5", "7"]),
        ("\\boxed{1,250} is the 2nd of x3", ["1,250"]),
        ("None here.", []),
    ],
)
def test_number_spans(step: str, expected: list[str]) -> None:
    assert [step[slice(*span)] for span in find_number_spans(step)] == expected


@pytest.mark.parametrize(
    "step",
    [
        "As 21 is odd, I choose (D).",
        "The bus leaves at 12:30.",
        "They meet at 8 a.m. there.",
        "So I take option 3.",
        "2. Go on.",
    ],
)
def test_a_step_that_states_no_result_is_not_misstated(step: str) -> None:
    assert misstate(step, QUESTION, random.Random(0)) is None


def test_an_exponent_is_not_the_result() -> None:
    assert find_stated_value("It has 17 terms of degree x^2.") == "17"
    assert find_stated_value("As 21 is odd, 21 + 2 = 23.") == "23"
