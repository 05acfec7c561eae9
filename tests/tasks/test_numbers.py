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

QUESTION = Question("q", "Ann has 12 nuts and finds 5 more.", ("17", "16", "18"), "17", (), ("17",), "free-form")


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
        # words after a result that say where it comes from
        ("To get 9, add 4.", "9"),
        ("9 = 5 + 4.", "9"),
        ("19 = 15 + 4, keep 9.", "9"),
        ("9 is 5 plus 4.", "9"),
        ("We get 9 by adding 4 to 5.", "9"),
        ("The total becomes 9 after adding 4.", "9"),
        ("The total is now 9, because 4 was added.", "9"),
        ("9 comes out if you add 4.", "9"),
        ("The total is 9 (5 + 4).", "9"),
        ("It holds 8 because u = 16.", "8"),
        ("By winning 4 more he gets to 9.", "9"),
        ("After giving 4 away, she has 9.", "9"),
        ("Because she buys 4 more, she has 9.", "9"),
        ("Since 5 + 4 = 9, there are 9.", "9"),
        # a result that is named after the calculation
        ("4 + 8 = 12, so the total is 2.", "2"),
        ("4 + 8 = 12, which makes the total 2.", "2"),
        ("4 + 8 = 12. Thus the last digit is 2.", "2"),
        ("4 + 8 = 12, so 2 of the total are red.", "12"),
        ("12 - 5 = 7, so the total is 3 less than 10.", "7"),
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
    crowded = Question("q", "1 2 3 4 5 6 7", (), "", (), ("8", "9"), "free-form")
    assert {misstate("= 9", crowded, random.Random(seed)) for seed in range(40)} == {f"= {n}" for n in range(1, 8)}


def test_a_step_without_a_number_cannot_be_misstated() -> None:
    assert misstate("Let us think.", QUESTION, random.Random(0)) is None


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("1. From 12 take 5, as in step 3: 7.", ["12", "5", "7"]),
        ("\\boxed{1,250} is the 2nd of x3", ["1,250"]),
        ("None here.", []),
        ("By equation (2) and lines 3, 4 and 5 it is 7.", ["7"]),
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
        "So I choose (3).",
        "I choose (D) because 21 is odd.",
        "She was born in 2019.",
        "In January, 2019, it was dry.",
        "From 1990 to 1995 they lived there, in the 1990s.",
        "The years 2019 and 2020 were dry, as the summer of 1999.",
        "On May 3 and on the 4 of July, and on 3 May 2021 or 2021-05-03, it rains.",
        "12.5.2021 was warm.",
        "It is day 3.",
        "It is 8 o'clock.",
        "By rule 4 and equation 2 we go on, as steps 1 and 2 and lines 3-5 say.",
        "Room 101 is free, and bus 7 leaves.",
        "First, (1) add the nuts and (2) count them.",
        "To do: 1) add, 2) subtract.",
        "Plan: 1. add the nuts",
        "x_{2} and \\sqrt[3]{x} and 10^{5} are names.",
        "2. Go on.",
    ],
)
def test_a_step_that_states_no_result_is_not_misstated(step: str) -> None:
    assert misstate(step, QUESTION, random.Random(0)) is None


@pytest.mark.parametrize(
    ("step", "value"),
    [
        ("She has 12 nuts since 2019.", "12"),
        ("She has 12 nuts in 5 days.", "12"),
        ("It takes 5 days.", "5"),
        ("She adds: (1) 12 nuts, (2) 5 more, so 17 on day 3.", "17"),
        ("That makes a total of 1800.", "1800"),
        ("In 2000 steps she walks 1600 metres.", "1600"),
        ("17 = 3 x 5 remainder 2", "5"),
        ("12 + 5 = 17 in 2019.", "17"),
    ],
)
def test_a_result_beside_years_days_and_list_numbers(step: str, value: str) -> None:
    assert find_stated_value(step) == value


def test_an_exponent_is_not_the_result() -> None:
    assert find_stated_value("It has 17 terms of degree x^2.") == "17"
    assert find_stated_value("As 21 is odd, 21 + 2 = 23.") == "23"
