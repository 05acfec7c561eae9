import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.tasks.segmentation import split_steps
from tests.tasks import prose_sentences

PIECES = [
    "a",
    "Bo",
    "12",
    "3.5",
    ".",
    "!",
    "?",
    " ",
    "\n",
    "\r\n",
    "\t",
    "1.",
    "e.g.",
    "Mr.",
    "\\[",
    "\\]",
    "$$",
    "\\begin{align}",
    "\\end{align}",
    "…",
    "-",
    "**",
    "。",
    "é",
    "😀",
]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=30).map("".join))


def steps(text: str) -> list[str]:
    return [text[start:stop] for start, stop in split_steps(text)]


@given(TEXTS)
def test_the_steps_partition_the_text_and_each_says_something(text: str) -> None:
    result = steps(text)
    assert "".join(result) == text
    assert [start for start, _ in split_steps(text)[1:]] == [stop for _, stop in split_steps(text)[:-1]]
    if any(character.isalnum() for character in text):
        assert all(any(character.isalnum() for character in step) for step in result)
    else:
        assert len(result) == (1 if text else 0)


@given(TEXTS)
def test_a_step_is_one_step(text: str) -> None:
    assert all(steps(step) == [step] for step in steps(text))


@given(TEXTS)
def test_no_step_but_the_first_begins_with_white_space(text: str) -> None:
    assert not any(step[0].isspace() for step in steps(text)[1:])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n", [" \n"]),
        ("One", ["One"]),
        ("It has 3. Then 4! So 7? Yes.", ["It has 3. ", "Then 4! ", "So 7? ", "Yes."]),
        (" First 3.\n\nThen 4.\n", [" First 3.\n\n", "Then 4.\n"]),
        ("\n\nFirst.", ["\n\nFirst."]),
        ("It weighs 3.5 kg. Half is 1.75.", ["It weighs 3.5 kg. ", "Half is 1.75."]),
        ("1. Start with 5.\n2. Add 3.", ["1. Start with 5.\n", "2. Add 3."]),
        ("1. Start with 5. 2. Add 3.", ["1. Start with 5. ", "2. Add 3."]),
        ("- **1.** Start. Go.\n- b) Stop.", ["- **1.** Start. ", "Go.\n", "- b) Stop."]),
        ("**Step 1.** Add 3.\nStep 2. Add 4.", ["**Step 1.** Add 3.\n", "Step 2. Add 4."]),
        ("Mr. Lee has fruit, e.g. pears. Dr. Wu has none.", ["Mr. Lee has fruit, e.g. pears. ", "Dr. Wu has none."]),
        ("a = 3. b = a + 4. c = b - 2.", ["a = 3. ", "b = a + 4. ", "c = b - 2."]),
        ("So\n\\[\n5 + 3.\n= 8\n\\]\nThen stop.", ["So\n", "\\[\n5 + 3.\n= 8\n\\]\n", "Then stop."]),
        ("Add. Now it is:\n\\[ 5 \\]\n\nThen stop.", ["Add. ", "Now it is:\n\\[ 5 \\]\n\n", "Then stop."]),
        ("So $$ 5\n= 5 $$ done.\nNext", ["So $$ 5\n= 5 $$ done.\n", "Next"]),
        ("Open \\[ 5\nnever closed.", ["Open \\[ 5\n", "never closed."]),
        ('He said "8." Then left. (It is 8.) Good.', ['He said "8." ', "Then left. ", "(It is 8.) ", "Good."]),
        ("One.\n---\nTwo.", ["One.\n---\n", "Two."]),
        ("```\nx = 1\n```", ["```\nx = 1\n```"]),
        ("一共三个。还有四个。", ["一共三个。", "还有四个。"]),
    ],
)
def test_boundaries(text: str, expected: list[str]) -> None:
    assert steps(text) == expected


@pytest.mark.parametrize("text", prose_sentences.DEVELOPMENT + prose_sentences.HELD_OUT + prose_sentences.FURTHER)
def test_sentences_are_cut_where_they_end(text: str) -> None:
    assert "|".join(steps(text.replace("|", ""))) == text


@pytest.mark.parametrize(
    "text",
    [
        "A. Add 3. |B. Add 4.",
        "Tom gets A. |Ben gets B.",
        "So the answer is B. |Tom is right.",
        "She takes Vitamin C. |Tom does not.",
        "F = 1.28 / 0.04 = 32 N. |Still too much.",
        "It is about 4 mT. |Wait, it is 5.",
        "By Article V. |Should it fail, we stop.",
        "So x = 5 m. |y = 3 m.",
        "a = 3. |b = a + 4. |c = b - 2.",
        "The winner is No. 5.",
        "The answer is No. |5 is odd.",
        "Is 6 odd? |No. |5 is odd.",
        "Dr. J. Watson has 3.",
        "Harry S. Truman ran. |He won.",
        "Louis C. K. is here.",
        "See Vol. 2, No. 3, pp. 4-5.",
        "From 8 a.m. to 9 a.m. she runs. |Then stop.",
        "He was in Washington, D.C. |He left.",
        "It passed the U.S. Congress. |It is law.",
        "She uses 80 lbs. of carrots.",
        "Today is Sept. 8th, 2021. |So it is (A).",
    ],
)
def test_further_abbreviations_and_letters_that_are_none(text: str) -> None:
    assert "|".join(steps(text.replace("|", ""))) == text
