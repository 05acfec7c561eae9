"""Whether steps follow: arithmetic in words, running totals, and stories."""

import pytest

from faithlens.tasks.derivation import check_steps
from faithlens.tasks.question import Question
from faithlens.tasks.running_sum import RunningSum, write_steps
from faithlens.tasks.stories import Stories
from faithlens.tasks.stories import write_steps as write_story_steps

TEXT = "Ann has 5 jars. She buys 7 and then 3. How many?"
QUESTION = Question("q", TEXT, ("A", "B", "C"), "B", ("12", "15", "17"), ("12", "15"))
UNKNOWN = Question("q", TEXT, ("12", "15"), "15", (), (), "free-form")


@pytest.mark.parametrize(
    ("steps", "verdicts"),
    [
        (["5 + 7 = 12.", "12 + 3 = 15.", "The answer is (B)."], ["follows", "follows", "follows"]),
        (["5 + 7 = 12.", "12 + 3 = 16.", "The answer is (B)."], ["follows", "does not follow", "does not follow"]),
        (["5 + 7 = 12.", "12 + 3 = 15.", "The answer is (C)."], ["follows", "follows", "does not follow"]),
        (["It is 15.", "5 + 7 = 12.", "12 + 3 = 15."], ["does not follow", "follows", "follows"]),
        (["First there are 12.", "Then 15."], ["follows", "follows"]),
        (["There are 40 now."], ["does not follow"]),
        (["Let us think.", "$5 + 7 + 3 = 15$."], ["says nothing", "follows"]),
        (["5 + 7 = 12 and 12 + 3 = 15, so (B)."], ["follows"]),
        (["60 - 5 = 55."], ["unread"]),
        (["5 + 7 = 12 + 3 = 15, so (B)."], ["follows"]),  # goes on from the value of the left side
        (["5 + 7 = 15 - 3."], ["unread"]),  # equal, and 15 is not known yet
        (["5 + 7 = 15 + 3."], ["does not follow"]),
        (["w = v + 7 = 5 + 7 = 12."], ["follows"]),  # a side with a variable is left out
        (["7 + y = 12."], ["follows"]),
        (["5 / 0 = 3."], ["unread"]),
        (["- 5 + 7 = 12 jars, 12 + 3 = 15 - so (B)."], ["follows"]),
        (["+".join(["5"] * 5000) + " = 25000."], ["unread"]),
        (["7 × 3 = 21, minus 6 is 15."], ["follows"]),
        (["(5 + 7 = 12) jars."], ["follows"]),  # brackets around the equation, also those of LaTeX
        ([r"so she has \(5 + 7 = 12\) jars.", r"\[ (5 + 7) + 3 = 16 \]"], ["follows", "does not follow"]),
        ([r"\((5 + 7) + 3 = 15\)", r"\(5 + (7 + 3) = 15\)"], ["follows", "follows"]),
        (["By equation 1 and steps 2 and 3, there are 12."], ["follows"]),  # their numbers are no quantities
        (["We add 7 and 3 first.", "This gives 10.", "5 more are 15."], ["says nothing", "follows", "follows"]),
        (["We add 7 and 3 first.", "This gives 11."], ["says nothing", "does not follow"]),
        (["We double 5 jars and 5 jars.", "That is 10."], ["says nothing", "follows"]),
    ],
)
def test_arithmetic_in_words(steps: list[str], verdicts: list[str]) -> None:
    assert [check.verdict for check in check_steps(QUESTION, steps)] == verdicts


def test_a_result_that_equals_a_number_of_the_question_is_used_beside_it() -> None:
    question = Question(
        "q", "u = 14. v = u - 8. w = v + 6. What is w?", ("12", "15"), "12", (), ("6", "12"), "free-form"
    )
    steps = ["v = 14 - 8", "v = 6", "w = v + 6 = 6 + 6", "w = 12"]
    assert [c.verdict for c in check_steps(question, steps)] == ["says nothing"] * 3 + ["follows"]


def test_without_known_values_a_bare_number_is_unread() -> None:
    assert [c.verdict for c in check_steps(UNKNOWN, ["There are 12 now.", "12 + 3 = 15."])] == ["unread", "follows"]


def test_rounded_quotients_are_true() -> None:
    question = Question("q", "Share 10 by 3.", ("3", "4"), "3", (), (), "free-form")
    assert [c.verdict for c in check_steps(question, ["10 / 3 = 3.33.", "10 / 3 = 3.4."])] == [
        "follows",
        "does not follow",
    ]


def test_running_totals() -> None:
    task = RunningSum()
    question = task.make_question((3, 4, 9, 2))
    true, wrong = write_steps((3, 4, 9, 2), (3, 7, 6, 8)), write_steps((3, 4, 9, 2), (3, 7, 6, 9))
    assert {c.verdict for c in task.check_steps(question, true)} == {"follows"}
    assert [c.verdict for c in task.check_steps(question, wrong)] == ["follows"] * 3 + ["does not follow"]
    # an error that all later steps build on is one step that does not follow
    built_on = write_steps((3, 4, 9, 2), (3, 8, 7, 9))
    assert [c.verdict for c in task.check_steps(question, built_on)] == [
        "follows",
        "does not follow",
        "follows",
        "follows",
    ]
    other = write_steps((3, 5, 9, 2), (3, 8, 7, 9))  # adds a number that the question does not give
    assert task.check_steps(question, other)[1].verdict == "does not follow"
    first = [" It is 8.", *write_steps((3, 4, 9, 2), (3, 7, 6, 8))[1:]]
    assert task.check_steps(question, first)[0].verdict == "does not follow"
    assert task.check_steps(question, true[:-1])[-1].verdict == "does not follow"  # a number is left out


def test_stories_gain_and_lose() -> None:
    task = Stories()
    for question in task.draw_questions(20, 0):
        operands = tuple(int(x) for x in question.id.split("-")[1:5])
        steps = write_story_steps(operands, [int(v) for v in question.values], [0] * 5)
        assert {c.verdict for c in task.check_steps(question, steps)} == {"follows"}
        bent = [*steps[:-1], steps[-1].replace(question.answer, str((int(question.answer) + 1) % 10))]
        assert task.check_steps(question, bent)[-1].verdict == "does not follow"
