"""Whether steps in words follow: coins, exchanges, orders, dates. The truth is what a reader of the sentences sees."""

import random
from itertools import pairwise

import pytest

from faithlens.tasks.question import CheckingTask, Question
from faithlens.tasks.registry import load_task

COIN = Question(
    "q",
    "A coin lies heads up. Anna turns it over. Ben leaves it alone. Carl turns it over. "
    "Is the coin heads up at the end?",
    ("A", "B"),
    "A",
    ("Yes", "No"),
    ("tails", "tails", "heads"),
)
ORDER = Question(
    "q",
    "Anna is taller than Ben. Carl is shorter than Ben. Who is the tallest?",
    ("A", "B", "C"),
    "B",
    ("Ben", "Anna", "Carl"),
    ("Carl", "Ben", "Anna"),
)
HANDS = Question(
    "q",
    "Emma holds the silver key. Carl holds the small drum. Tom holds the red ball. "
    "Carl and Tom exchange what they hold. Emma and Tom exchange what they hold. "
    "Tom and Carl exchange what they hold. What does Tom hold at the end?",
    ("A", "B", "C"),
    "C",
    ("silver key", "small drum", "red ball"),
    ("small drum", "silver key", "red ball"),
)
DATES = Question(
    "q",
    "Today is 3 May 2021. The fair is in 3 weeks. The sale falls 4 days before the fair. What is the date of the sale?",
    ("A", "B", "C", "D"),
    "A",
    ("20 May 2021", "24 May 2021", "21 May 2021", "28 May 2021"),
    ("24 May 2021", "20 May 2021"),
)
YES, NO, UNREAD, NOTHING = "follows", "does not follow", "unread", "says nothing"


def judge(task: str, question: Question, steps: list[str]) -> list[str]:
    checking = load_task(task)
    assert isinstance(checking, CheckingTask)
    return [check.verdict for check in checking.check_steps(question, steps)]


@pytest.mark.parametrize(
    ("steps", "verdicts"),
    [
        (
            ["Anna turns it over, so it is tails.", "Ben leaves it: tails.", "Carl: heads.", "(A)"],
            [YES] * 4,
        ),
        (["Anna turns it over, so it is tails.", "Carl turns it over: heads.", "The answer is (A) Yes."], [YES] * 3),
        (["Anna: tails.", "Ben leaves it alone: heads.", "Carl: tails.", "The answer is (B)."], [YES, NO, YES, YES]),
        (["Anna: tails.", "Ben: tails.", "Carl: heads.", "The answer is (B)."], [YES, YES, YES, NO]),
        (["Anna turns it from heads to tails.", "Ben doesn't touch it, so it's still tails."], [YES, YES]),
        (["The coin starts heads up.", "Carl flips it last, so at the end it is heads."], [NOTHING, YES]),
        (["The coin starts tails up."], [NO]),
        (["It is turned over 2 times.", "Two is even, so it is heads.", "Answer: Yes"], [YES, YES, YES]),
        (["It is turned over 3 times.", "Three is odd, so it is tails.", "Answer: No"], [NO, YES, YES]),
        (["Two people turn it over, an odd number."], [NO]),
        (["The answer is (A)."], [NO]),
        (["It is tails at the end.", "Anna: tails."], [NO, YES]),
        (["No, the coin is not heads up at the end."], [NO]),
        (["Anna turns it over. Ben leaves it. Carl turns it over.", "The answer is (A)."], [NOTHING, YES]),
        (["Anna turns it over. Ben leaves it. Carl turns it over.", "The answer is (B)."], [NOTHING, UNREAD]),
        (["If Anna turned it over it would be tails."], [UNREAD]),
        (["1. Anna turns it over.", "It is tails.", "2. Ben leaves it.", "It is heads."], [NOTHING, YES, NOTHING, NO]),
        (["Anna, Ben and Carl have it.", "Initially it is heads.", "Anna: tails."], [NOTHING, NOTHING, YES]),
        (["Anna and Ben turn it: tails.", "We determine if it is heads.", "It is not heads."], [YES, NOTHING, NOTHING]),
        (["Anna, Ben, Carl: tails.", "After all 2 turns it is tails.", "The answer is (A)."], [NO, YES, NO]),
        (["Is it heads or tails?", "No one knows."], [NOTHING, NOTHING]),
    ],
)
def test_coins(steps: list[str], verdicts: list[str]) -> None:
    assert judge("coin-flip", COIN, steps) == verdicts


@pytest.mark.parametrize(
    ("steps", "verdicts"),
    [
        (
            ["Anna is taller than Ben.", "Ben is taller than Carl.", "So Anna is the tallest.", "The answer is (B)."],
            [YES] * 4,
        ),
        (["Carl is taller than Ben.", "The answer is (C)."], [NO, NO]),
        (["Anna is the tallest.", "Anna is taller than Ben, who is taller than Carl."], [NO, YES]),
        (["Anna is taller than Ben, who is shorter than Carl."], [NO]),
        (["Anna > Ben > Carl.", "Therefore, the tallest is Anna."], [YES, YES]),
        (["Carl < Anna < Ben."], [NO]),
        (["Anna is taller than both Ben and Carl.", "Carl is the shortest.", "Ben is the second tallest."], [YES] * 3),
        (["Anna is taller than both Ben and Carl.", "Carl is the second tallest person."], [YES, NO]),
        (["The order from tallest to shortest is Anna, Ben, Carl.", "The answer is (A) Ben."], [YES, NO]),
        (["Is Anna taller than Ben?", "Ben is not taller than Anna."], [NOTHING, UNREAD]),
        (["The answer is (B)."], [NO]),
        (["Anna's height exceeds that of Ben.", "The answer is (B)."], [NOTHING, UNREAD]),
    ],
)
def test_orders(steps: list[str], verdicts: list[str]) -> None:
    assert judge("ordering", ORDER, steps) == verdicts


@pytest.mark.parametrize(
    ("steps", "verdicts"),
    [
        (
            [
                "Carl and Tom exchange: Carl holds the red ball, Tom holds the small drum.",
                "Emma and Tom exchange: Emma has the small drum and Tom has the silver key.",
                "Tom and Carl exchange, so Tom holds the red ball.",
                "The answer is (C).",
            ],
            [YES] * 4,
        ),
        (
            ["At the start, Emma holds the silver key.", "Carl and Tom swap, so Carl has the small drum."],
            [NOTHING, NO],
        ),
        (["At the start, Emma holds the red ball."], [NO]),
        (["After the second exchange, Tom holds the silver key.", "After the third swap, Tom: red ball."], [YES, YES]),
        (["After the second exchange, Tom holds the small drum."], [NO]),
        (["Tom exchanges what he holds with Carl. Tom now has the small drum."], [YES]),
        (["The answer is (C)."], [NO]),
        (["Carl and Tom exchange. Emma and Tom exchange. Tom and Carl exchange.", "The answer is (A)."], [NOTHING, NO]),
        (  # the question is repeated first
            [
                "Carl and Tom exchange. Emma and Tom exchange. Tom and Carl exchange.",
                "Carl and Tom swap: Tom has the small drum.",
            ],
            [NOTHING, YES],
        ),
        (["Does Tom hold the red ball?", "Carl and Tom swap. If Tom has the red ball, good."], [NOTHING, UNREAD]),
    ],
)
def test_exchanges(steps: list[str], verdicts: list[str]) -> None:
    assert judge("tracking", HANDS, steps) == verdicts


@pytest.mark.parametrize(
    ("steps", "verdicts"),
    [
        (
            ["3 weeks is 21 days, so the fair is on 24 May 2021.", "4 days before it is 20 May.", "(A)"],
            [YES, YES, YES],
        ),
        (["The fair is on May 24.", "4 days before it is May 20, 2021.", "The answer is (A)."], [YES, YES, YES]),
        (["The fair is on 24 May 2021.", "The answer is (A)."], [YES, YES]),
        (["The fair is on 24 May 2021.", "The answer is (D)."], [YES, NO]),
        (["The fair is on 25 May 2021.", "The sale is on 21 May.", "The answer is (C)."], [NO, YES, YES]),
        (["10 May, then 17 May, then 24 May.", "23, 22, 21, 20 May."], [YES, YES]),
        (["The answer is (A)."], [NO]),
        (["3 weeks later it is 5/24.", "The answer is (A)."], [NOTHING, UNREAD]),
    ],
)
def test_dates(steps: list[str], verdicts: list[str]) -> None:
    assert judge("dates", DATES, steps) == verdicts


def write_coin_steps(question: Question, sides: list[str]) -> list[str]:
    people = [sentence.split()[0] for sentence in question.text.split(". ")[1:-1]]
    return [f"After {person}, it is {side} up." for person, side in zip(people, sides, strict=True)]


def test_one_wrong_side_is_one_step_that_does_not_follow() -> None:
    """For 40 drawn questions: a true chain follows; where the sides are wrong from step i on, only step i is."""
    rng = random.Random(0)
    task = load_task("coin-flip-6")
    for question in task.draw_questions(40, seed=1):
        sides = list(question.values)
        assert judge("coin-flip-6", question, write_coin_steps(question, sides)) == [YES] * 6
        i = rng.randrange(6)
        wrong = sides[:i] + [{"heads": "tails", "tails": "heads"}[side] for side in sides[i:]]
        assert judge("coin-flip-6", question, write_coin_steps(question, wrong)) == [YES] * i + [NO] + [YES] * (5 - i)


def test_every_true_comparison_follows_and_no_false_one() -> None:
    for question in load_task("ordering-5").draw_questions(20, seed=2):
        word = next(w for w in question.text.split() if w.rstrip("?").endswith("est")).rstrip("?")
        comparative = {"tallest": "taller", "heaviest": "heavier", "richest": "richer"}.get(word, word[:-3] + "er")
        for farther, nearer in pairwise(question.values):
            assert judge("ordering-5", question, [f"{nearer} is {comparative} than {farther}."]) == [YES]
            assert judge("ordering-5", question, [f"{farther} is {comparative} than {nearer}."]) == [NO]


def test_a_chain_of_true_days_follows() -> None:
    for question in load_task("dates").draw_questions(40, seed=3):
        first, second = question.values
        assert judge(
            "dates", question, [f"That is {first}.", f"So it is {second}.", f"The answer is ({question.answer})."]
        ) == [
            YES,
            YES,
            YES,
        ]
