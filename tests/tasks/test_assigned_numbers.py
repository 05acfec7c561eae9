"""Where a sentence gives several names a number each, only the one that is asked for is an answer."""

from time import process_time

import pytest

from faithlens.tasks.answer_parsing import parse_answer
from faithlens.tasks.question_factory import make_free_form_question

SEVERAL = "How many?"


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [
        # two values, and none of them is asked for
        ("x = 5, y = 7", SEVERAL, None),
        ("So x = 5 and y = 7.", SEVERAL, None),
        ("x=5; y=7", SEVERAL, None),
        ("$x = 5$, $y = 7$", SEVERAL, None),
        ("The answer is x = 5, y = 7.", SEVERAL, None),
        ("\\boxed{x = 5, y = 7}", SEVERAL, None),
        ("Apples: 5, pears: 7.", "How many fruits?", None),
        ("Cost = $5, tip = $7", SEVERAL, None),
        ("x = 5, y = 7", "What is x + y?", None),
        # one of them is asked for
        ("x = 5, y = 7", "What is y?", "7"),
        ("x = 5, y = 7", "If x = 5 and y = x + 2, what is x?", "5"),
        ("The answer is x = 5, y = 7.", "Find x.", "5"),
        ("a = 2 + 3 = 5, b = 5 + 2 = 7", "What is the value of b?", "7"),
        ("a = 2 + 3 = 5, b = 5 + 2 = 7", "What is the value of a?", "5"),
        ("Apples: 5, pears: 7.", "How many pears?", "7"),
        ("Ann: 3 + 4 = 7, Bob: 2 + 3 = 5.", "How many has Bob?", "5"),
        # the sentence comes to one value
        ("x = 5", SEVERAL, "5"),
        ("x = 5, y = 5", SEVERAL, "5"),
        ("x = 5, so y = 7.", SEVERAL, "7"),
        ("Let x = 5, then y = 7.", SEVERAL, "7"),
        ("With n = 4, S = 10.", SEVERAL, "10"),
        ("a = 5, b = 7, total = 12.", SEVERAL, "12"),
        ("x = 5 and y = 7, x + y = 12.", SEVERAL, "12"),
        ("f(2) = 7, g = 8", SEVERAL, "8"),
        ("5 * 3 = 15, 15 + 2 = 17.", SEVERAL, "17"),
        ("Total: 3 + 4 = 7.", SEVERAL, "7"),
    ],
)
def test_of_several_names_only_the_one_asked_for(text: str, question: str, answer: str | None) -> None:
    assert parse_answer(text, make_free_form_question("q", question, "99")) == answer


def test_many_names_take_no_long_time() -> None:
    begun = process_time()
    assert parse_answer("x = 5, y = 7, " * 2_000, make_free_form_question("q", SEVERAL, "99")) is None
    assert process_time() - begun < 10
