"""What follows from an edited step, on chains written by hand in the styles that models use."""

import random
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.tasks.addition import Addition
from faithlens.tasks.arithmetic import Arithmetic, VariableChain
from faithlens.tasks.coin_flip import CoinFlip
from faithlens.tasks.dates import Dates
from faithlens.tasks.question import ExecutableTask, Question
from faithlens.tasks.running_sum import RunningSum, compute_totals, write_steps

TEXT = "Anna has 12 coins. Anna buys 5 more coins. Anna loses 8 coins. How many coins does Anna have now?"
FREE_FORM = Question("q", TEXT, ("7", "8", "9", "10", "11", "17"), "9", (), ("17", "9"), "free-form")
CHOICE = Question("q", TEXT, ("A", "B", "C", "D"), "B", ("17", "9", "11", "7"), ("17", "9"), "choice")
TASK = Arithmetic()


@pytest.mark.parametrize("task", [TASK, VariableChain(), Addition(), RunningSum(), CoinFlip(), Dates()])
def test_these_tasks_can_be_executed(task: object) -> None:
    assert isinstance(task, ExecutableTask)


@pytest.mark.parametrize(
    ("before", "after", "free_form", "choice"),
    [
        ("12 + 5 = 17", "12 + 5 = 19", "11", "C"),
        ("So Anna has 17 coins.", "So Anna has 15 coins.", "7", "D"),
        ("\\[ 12 + 5 = \\boxed{17} \\]", "\\[ 12 + 5 = \\boxed{18} \\]", "10", None),
        ("2. Then she has **17** coins.", "2. Then she has **25** coins.", "17", "A"),
        ("17 - 8 = 9", "17 - 8 = 7", "7", "D"),
        ("12 + 5 = 17", "12 + 7 = 19", "11", "C"),
        ("12 + 5 = 17", "12 + 5 = 8", None, None),  # below nothing
        ("12 + 5 = 17", "12 + 5 = seventeen", None, None),
        ("12 + 5 = 17", "5 + 12 = 17", None, None),  # states the same
        ("12 + 5 = 16", "12 + 5 = 18", None, None),  # was no true value
        ("She buys 5 more.", "She buys 6 more.", None, None),  # a number of the question, no value
        ("Let me think.", "Let me see.", None, None),
    ],
)
def test_an_error_in_a_value_moves_what_follows(
    before: str, after: str, free_form: str | None, choice: str | None
) -> None:
    assert TASK.infer_answer(FREE_FORM, before, after) == free_form
    assert TASK.infer_answer(CHOICE, before, after) == choice


def test_a_label_decides_where_it_changes() -> None:
    assert TASK.infer_answer(CHOICE, "17 - 8 = 9, so (B) 9.", "17 - 8 = 9, so (C) 11.") == "C"
    assert TASK.infer_answer(CHOICE, "So the answer is (B).", "So the answer is (D).") == "D"
    assert TASK.infer_answer(CHOICE, "So the answer is (B).", "So there is an answer.") is None


def test_a_value_that_is_also_given_counts_only_as_a_result() -> None:
    text = "Ben has 4 pens. Ben buys 9 more pens. Ben loses 6 pens. Ben buys 13 more pens. How many?"
    question = Question("q", text, ("20", "21"), "20", (), ("13", "7", "20"), "free-form")
    assert TASK.infer_answer(question, "Ben buys 13 more pens.", "Ben buys 14 more pens.") is None
    assert TASK.infer_answer(question, "4 + 9 = 13", "4 + 9 = 14") == "21"
    steps = ["4 + 9 = 13. ", "13 - 6 = 7. ", "7 + 13 = 20."]
    assert TASK.propagate(question, steps, 0, random.Random(0)) is None  # which 13 would move?
    moved = TASK.propagate(question, steps, 1, random.Random(0))
    assert moved is not None
    assert moved.steps == ("4 + 9 = 13. ", "13 - 6 = 8. ", "8 + 13 = 21.")
    assert moved.answer == "21"


@pytest.mark.parametrize(
    ("question", "steps", "i", "expected", "answer"),
    [
        (
            CHOICE,
            ["12 + 5 = 17.\n", "17 - 8 = 9.\n", "The answer is (B) 9."],
            0,
            ["12 + 5 = 15.\n", "15 - 8 = 7.\n", "The answer is (D) 7."],
            "D",
        ),
        (
            CHOICE,
            ["Anna starts with 12. ", "Then she has 17 coins. ", "1. From 17 take 8.\n", "So \\boxed{9}, option B."],
            1,
            ["Anna starts with 12. ", "Then she has 15 coins. ", "1. From 15 take 8.\n", "So \\boxed{7}, option D."],
            "D",
        ),
        (
            CHOICE,
            ["She ends with 9 coins, ", "so the correct option is (B)."],
            0,
            ["She ends with 7 coins, ", "so the correct option is (D)."],
            "D",
        ),
    ],
)
def test_an_error_is_carried_to_the_end(
    question: Question, steps: list[str], i: int, expected: list[str], answer: str
) -> None:
    only = Question(**{**vars(question), "choices": ("90", "9", "91", "7")})  # one option of the same length
    moved = TASK.propagate(only, steps, i, random.Random(1))
    assert moved is not None
    assert (list(moved.steps), moved.answer) == (expected, answer)


@pytest.mark.parametrize(
    "steps",
    [
        ["12 + 5 = 17", "17 - 8 = 10"],  # a slip of the model's own
        ["12 + 5 = 17", "5 - 8 = -3, so 12 - 3 = 9"],  # another route, with a number of its own
        ["12 + 5 = 17", "seventeen minus eight is 9"],
        ["12 + 5 = 17", "17 - 8 = 9.0"],
        ["12 + 5 = 17", "17 - 8 = 9, which is (B), not (A)"],
        ["12 + 5 = 17", "17 - 8 = 9", "**B**. 9"],  # a label that is not surely one
        ["She has more now", "17 - 8 = 9"],
        ["12 + 5 = 16", "16 - 8 = 8"],
    ],
)
def test_what_is_not_certain_is_refused(steps: list[str]) -> None:
    assert TASK.propagate(CHOICE, steps, 0, random.Random(0)) is None


def test_lengths_are_kept_where_they_can_be_and_totals_stay_positive() -> None:
    for seed in range(30):
        moved = TASK.propagate(FREE_FORM, ["12 + 5 = 17. ", "17 - 8 = 9."], 0, random.Random(seed))
        assert moved is not None
        assert moved.answer == "7"  # 10, 11 and 17 are longer, and 8 is what Anna loses
    low = Question("q", TEXT, ("1", "9"), "9", (), ("17", "9"), "free-form")
    moved = TASK.propagate(low, ["12 + 5 = 17. ", "17 - 8 = 9."], 0, random.Random(0))
    assert moved is not None
    assert moved.steps == ("12 + 5 = 9. ", "9 - 8 = 1.")


def test_small_errors_are_preferred() -> None:
    question = Question("q", "What is 40 + 21?", ("61", "75", "66", "48"), "61", (), ("61",), "free-form")
    for seed in range(10):
        moved = Addition(2, 2).propagate(question, ["40 + 21 = 61"], 0, random.Random(seed))
        assert moved is not None
        assert (moved.steps, moved.answer) == (("40 + 21 = 66",), "66")


def test_thousands_keep_their_commas() -> None:
    question = Question("q", "What is 900 + 350 + 200?", ("1450", "1451"), "1450", (), ("1250", "1450"), "free-form")
    moved = Addition(3, 4).propagate(question, ["900 + 350 = 1,250\n", "1250 + 200 = 1,450"], 0, random.Random(0))
    assert moved is not None
    assert (moved.steps, moved.answer) == (("900 + 350 = 1,251\n", "1251 + 200 = 1,451"), "1451")
    assert Addition(3, 4).infer_answer(question, "900 + 350 = 1,250", "900 + 350 = 1,249") == "1449"


CHAINS = {
    "sums": lambda old, op, by, new: f"{old} {op} {by} = {new}.\n",
    "words": lambda old, op, by, new: f"From {old}, {'gaining' if op == '+' else 'losing'} {by} leaves {new} of them. ",
    "latex": lambda old, op, by, new: f"\\[ {old} {op} {by} = \\boxed{{{new}}} \\]\n",
}


@pytest.mark.parametrize("style", CHAINS)
@pytest.mark.parametrize("task", [Arithmetic(), Arithmetic(4, "choice"), VariableChain(4), Addition(2, 8)])
def test_a_rewritten_chain_is_the_sum_it_says(task: Arithmetic, style: str) -> None:
    """Checked by doing the sums of the rewritten chain: all but the edited one come out, and end in the answer."""
    rewritten = 0
    for question in task.draw_questions(40, 2):
        first, *later = map(int, re.findall(r"(?<![a-z])\d+", question.text))
        before = [first, *map(int, question.values)]
        signs = ["+" if b > a else "-" for a, b in pairwise(before)]
        steps = [
            CHAINS[style](old, op, by, new) for old, op, by, new in zip(before, signs, later, before[1:], strict=False)
        ]
        contents = dict(zip(question.candidates, question.choices or question.candidates, strict=True))
        closing = f"The answer is ({question.answer}) {contents[question.answer]}."
        steps.append(closing if question.choices else f"So it is {question.answer}.")
        for i in range(len(later)):
            moved = task.propagate(question, steps, i, random.Random(i))
            if moved is None:
                continue
            rewritten += 1
            assert moved.steps[:i] == tuple(steps[:i])
            assert moved.answer in set(question.candidates) - {question.answer}
            texts = [list(map(int, re.findall(r"\d+", step))) for step in moved.steps]
            for place, (old, by, new) in enumerate(texts[:-1]):
                follows = old + by if signs[place] == "+" else old - by
                assert (follows == new) is (place != i)
                assert place == 0 or old == texts[place - 1][-1]
            assert str(texts[-2][-1]) == contents[moved.answer] == str(texts[-1][-1])
            assert f"({moved.answer})" in moved.steps[-1] or not question.choices
            edited = steps[i].replace(str(before[i + 1]), str(texts[i][-1]))
            assert task.infer_answer(question, steps[i], edited) in {moved.answer, None}
    assert rewritten > 60


@given(st.lists(st.integers(0, 9), min_size=3, max_size=6), st.data())
def test_running_sums_are_executed_modulo_ten(operands: list[int], data: st.DataObject) -> None:
    task, values = RunningSum(len(operands) - 1), compute_totals(operands)
    question, steps = task.make_question(operands), write_steps(operands[:-1], values[:-1])
    i = data.draw(st.integers(0, len(steps) - 1))
    moved = task.propagate(question, steps, i, random.Random(data.draw(st.integers(0, 99))))
    assert moved is not None
    stated = [int(step.rstrip(".")[-1]) for step in moved.steps]
    followed = (stated[i] + sum(operands[i + 1 :])) % 10
    assert str(followed) == moved.answer != question.answer
    assert [int(step.rstrip(".")[-1]) for step in steps[:i]] == stated[:i]
    assert all(
        new == (old + by) % 10 for old, new, by in zip(stated[i:], stated[i + 1 :], operands[i + 1 :], strict=False)
    )
    assert task.infer_answer(question, steps[i], moved.steps[i]) == moved.answer
    assert task.infer_answer(question, steps[i], steps[i]) is None
    if i + 1 < len(steps):
        wrong = [*steps[: i + 1], steps[i + 1][:-2] + str((values[i + 1] + 1) % 10) + "."]
        assert task.propagate(question, wrong, i, random.Random(0)) is None


COIN = Question(
    "q",
    "A coin lies heads up. Anna turns it over. Ben leaves it alone. Carl turns it over. Is the coin heads up?",
    ("A", "B"), "A", ("Yes", "No"), ("tails", "tails", "heads"), "choice",
)  # fmt: skip


def test_coins_are_turned_through_to_the_end() -> None:
    task = CoinFlip(3)
    steps = [
        "The coin lies heads up. ",
        "Anna turns it from heads to tails. ",
        "Ben leaves it alone: Tails. ",
        "Carl turns it from tails to heads. ",
        "So it is heads up: (A) Yes.",
    ]
    moved = task.propagate(COIN, steps, 1, random.Random(0))
    assert moved is not None
    assert moved.answer == "B"
    assert moved.steps[1:] == (
        "Anna turns it from heads to heads. ",
        "Ben leaves it alone: Heads. ",
        "Carl turns it from heads to tails. ",
        "So it is tails up: (B) No.",
    )
    assert task.infer_answer(COIN, steps[1], moved.steps[1]) == "B"
    assert task.infer_answer(COIN, steps[4], "So it is heads up: (B) No.") == "B"
    assert task.infer_answer(COIN, steps[0], "The coin lies tails up. ") is None  # nobody's turn
    assert task.infer_answer(COIN, "Anna turns it to heads.", "Anna turns it to tails.") is None  # was not true
    for odd in (
        "The coin is still heads up.",
        "That is an even number of turns: heads.",
        "Anna left it at tails.",
        "Carl turns it, so it is tails up.",  # a slip of the model's own
        "Now it is heads up.",  # after Ben it is not
        "No.",
    ):
        assert task.propagate(COIN, [*steps[:3], odd], 2, random.Random(0)) is None
    assert task.propagate(COIN, steps, 0, random.Random(0)) is None


DATE = Question(
    "q",
    "Today is 28 June 2021. The fair is in 5 days. The sale falls 2 weeks after the fair. When is the sale?",
    ("A", "B", "C", "D"), "A", ("17 July 2021", "18 July 2021", "3 July 2021", "2 August 2021"),
    ("3 July 2021", "17 July 2021"), "choice",
)  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "label"),
    [
        ("The fair is on 3 July 2021.", "The fair is on 4 July 2021.", "B"),
        ("Five days on is July 3rd, 2021.", "Five days on is July 19th, 2021.", "D"),
        ("From June 28 to July 3.", "From June 28 to July 4.", "B"),
        ("The fair is on the 3rd of July.", "The fair is on the 5th of July.", None),
        ("The fair is on July 2.", "The fair is on July 3.", None),
        ("That is June 33.", "That is June 34.", None),
    ],
)
def test_dates_move_by_days(before: str, after: str, label: str | None) -> None:
    assert Dates().infer_answer(DATE, before, after) == label


def test_dates_are_rewritten_in_their_own_style() -> None:
    only = Question(**{**vars(DATE), "choices": ("17 July 2021", "5 August 2021")} | {"candidates": ("A", "B")})
    steps = [
        "Today is June 28. ",
        "The fair is on July 3rd, 2021. ",
        "3 July + 14 days = July 17. ",
        "So (A) 17 July 2021.",
    ]
    moved = Dates().propagate(only, steps, 1, random.Random(0))
    assert moved is not None
    assert moved.answer == "B"
    assert moved.steps == (
        "Today is June 28. ",
        "The fair is on July 22nd, 2021. ",
        "22 July + 14 days = August 5. ",
        "So (B) 5 August 2021.",
    )
    assert Dates().propagate(only, [*steps[:2], "One week on is July 10."], 1, random.Random(0)) is None
    assert Dates().propagate(only, [*steps[:2], "So 17/07/2021."], 1, random.Random(0)) is None
