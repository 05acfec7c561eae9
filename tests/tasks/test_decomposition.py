"""What models write when asked to decompose, well formed and not, by hand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.tasks.decomposition import (
    fill_references,
    find_first_line,
    format_pair,
    parse_pairs,
    parse_subquestions,
    write_pairs_prompt,
    write_recombination_prompt,
    write_split_prompt,
    write_subquestion_prompt,
)
from faithlens.tasks.question import Question
from faithlens.tasks.registry import load_task

CHOICE = Question("q", "Which is even?", ("A", "B"), "B", ("3", "4"), (), "choice")
FREE_FORM = Question("q", "What is 2 + 3?", ("4", "5"), "5", (), (), "free-form")
ONE, TWO = ("What is 2?", "It is 2."), ("Plus 3?", "2 + 3 = 5.")


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Q1: What is 2?\nA1: It is 2.\nQ2: Plus 3?\nA2: 2 + 3 = 5.", [ONE, TWO]),
        ("\n\nQ1: What is 2?\n\nA1: It is 2.\n\nQ2: Plus 3?\n\nA2: 2 + 3 = 5.\n\nAnswer: 5", [ONE, TWO]),
        ("Sure! Here it is:\nQ1. What is 2?\nA1. It is 2.\n", [ONE]),
        ("**Q1:** What is 2?\n**A1:** It is 2.\n**Q2**: Plus 3?\n**A2**: 2 + 3 = 5.", [ONE, TWO]),
        ("- Q1) What is 2?\n  - A1) It is 2.", [ONE]),
        ("Q1:\nWhat is 2?\nA1:\n\nIt is 2.", [ONE]),
        ("Q1: What is 2?\r\nA1: It is 2.\r\n", [ONE]),
        ("Q1: What is 2?\nA1: It is 2.\nSo the answer is (B).", [ONE]),  # one line an answer
        ("Q1: What is 2?\nA1: It is 2.\nQ2: Plus 3?", [ONE]),  # never answered
        ("Q1: What is 2?\nA1: It is 2.\nQ2: Plus 3?\nA2:", [ONE]),
        ("Q1: What is 2?\nA1: It is 2.\nQ3: Plus 3?\nA3: 5.", [ONE]),
        ("Q1: What is 2?\nA1: It is 2.\n\nQuestion: 7?\nQ1: Seven?\nA1: 7.", [ONE]),  # runs on with another
        ("Q1: What is 2?\nQ2: Plus 3?\nA1: It is 2.\nA2: 5.", []),
        ("Q2: Plus 3?\nA2: 5.", []),
        ("A1: It is 2.", []),
        ("Q1:\nA1: It is 2.", []),
        ("Q1: What is 2? A1: It is 2.", []),  # no lines of their own
        ("Q: What is 2?\nA: It is 2.", []),
        ("The answer is 5.", []),
        ("", []),
        ("Q99999999999999999999: x\nA1: y", []),
    ],
)
def test_pairs(text: str, pairs: list[tuple[str, str]]) -> None:
    assert parse_pairs(text) == pairs


WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1).map(str.strip).filter(bool)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=4))
def test_pairs_are_read_back_as_they_are_put(pairs: list[tuple[str, str]]) -> None:
    assert parse_pairs("".join(format_pair(i, pair) for i, pair in enumerate(pairs))) == pairs


@given(st.text("QA123:. \n*<q>/[a]x", max_size=60))
def test_anything_can_be_read(text: str) -> None:
    assert all(question and answer for question, answer in parse_pairs(text))
    assert all(parse_subquestions(text)) or parse_subquestions(text) == []


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("<q1>What is 2?</q1>\n<q2>[a1] Plus 3?</q2>", ["What is 2?", "[a1] Plus 3?"]),
        ("Sure.\n\n<q1> What\nis 2? </q1> and <q2>Plus 3?</q2> done", ["What is 2?", "Plus 3?"]),
        ("<q1>One?</q1><q2>Two?</q2><q3>[a1] [a2] Three?</q3>", ["One?", "Two?", "[a1] [a2] Three?"]),
        ("<q1>One?\n<q2>[a1] Two?\n\nThe answer is 2.", ["One?", "[a1] Two?"]),  # tags left open
        ("<q1>One?\n<q2>Two?</q2>\n<q1>Else?</q1>", ["One?", "Two?"]),
        ("<q1>One?</q1>\n<q2>", ["One?"]),  # broken off
        ("<q1>One?</q1>\n\nQuestion: 7?\n<q1>Seven?</q1>", ["One?"]),  # runs on with another
        ("<q1>One?</q1><q3>Three?</q3>", ["One?"]),
        ("<q1>One?</q2>", []),
        ("<q1>The answer is 2.", []),  # any text would do
        ("<q1>  </q1><q2>Two?</q2>", []),
        ("<q2>Two?</q2>", []),
        ("<q1>[a1] One?</q1>", []),  # asks for itself
        ("<q1>One?</q1><q2>[a3] Two?</q2><q3>Three?</q3>", []),  # asks for what comes later
        ("<q1>[a0] One?</q1>", []),
        ("Q1: What is 2?", []),
        ("", []),
    ],
)
def test_plans(text: str, plan: list[str]) -> None:
    assert parse_subquestions(text) == plan


def test_answers_take_the_place_of_their_references() -> None:
    assert fill_references("One?", {}) == "One?"
    assert fill_references("[a1] Two?", {}) is None
    assert fill_references("[a1] and [a2]: three?", {0: "1 [a2]"}) is None
    assert fill_references("[a1] and [a2]: three?", {0: "1 [a2]", 1: r"\2"}) == r"1 [a2] and \2: three?"


def test_the_first_line_that_says_something() -> None:
    assert find_first_line("\n  \n It is 2. \nNo, 3.") == "It is 2."
    assert find_first_line(" \n ") == find_first_line("") == ""


def test_prompts_ask_in_the_form_that_is_read() -> None:
    """The worked example of each is what its own parser reads; the question comes last, with its options."""
    example = "How many jars are in 3 crates of 6 jars?"
    pairs = parse_pairs(write_pairs_prompt(CHOICE).user)
    assert [question for question, _ in pairs] == [example, "How many of 18 jars are left when 2 break?"]
    assert parse_subquestions(write_split_prompt(CHOICE).user) == [
        example,
        "[a1] How many of these jars are left when 2 break?",
    ]
    for prompt in (write_pairs_prompt(CHOICE), write_split_prompt(CHOICE)):
        assert prompt.user.endswith("\n\nQuestion: Which is even?\n(A) 3\n(B) 4")
    assert write_subquestion_prompt("What is 2?").user.startswith("What is 2?\n")


def test_the_whole_is_answered_from_the_pairs_and_nothing_else() -> None:
    assert write_recombination_prompt(FREE_FORM, [ONE, TWO]).user == (
        "What is 2 + 3?\n\nUse nothing but these findings:\n"
        "Q1: What is 2?\nA1: It is 2.\nQ2: Plus 3?\nA2: 2 + 3 = 5.\n\n"
        "Give the answer only, without any explanation."
    )
    assert write_recombination_prompt(CHOICE, []).user == (
        "Which is even?\n(A) 3\n(B) 4\n\nUse nothing but these findings:\n\n"
        "Answer with the letter of the correct option only."
    )


def test_no_question_of_ours_is_taken_for_a_mark() -> None:
    for name in ("arithmetic", "ordering", "running-sum"):
        for question in load_task(name).draw_questions(20, 0):
            assert not re.search(r"^\s*[QA]\d+\s*[:.)]", question.text, re.M)
