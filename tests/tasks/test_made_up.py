"""Coins, dates, exchanges and additions: the answers against simulations that read the questions' words."""

import random
import re
from datetime import date, datetime, timedelta

import pytest

from faithlens.errors import TaskError
from faithlens.tasks.addition import Addition
from faithlens.tasks.coin_flip import CoinFlip
from faithlens.tasks.dates import Dates
from faithlens.tasks.generated_task import GeneratedTask
from faithlens.tasks.question import Question
from faithlens.tasks.tracking import Tracking


def both(task: GeneratedTask, n: int = 60) -> list[Question]:
    result = task.draw_questions(n, 3)
    return [one for question in result for one in (question, task.draw_counterfactual(question, 0)) if one is not None]


def right_content(question: Question) -> str:
    return question.choices[question.candidates.index(question.answer)]


@pytest.mark.parametrize("digits", [2, 3])
@pytest.mark.parametrize("operands", [2, 4, 8, 16])
def test_additions_add_up(digits: int, operands: int) -> None:
    for question in both(Addition(digits, operands), 20):
        numbers = [int(result) for result in re.findall(r"\d+", question.text)]
        assert [len(str(number)) for number in numbers] == [digits] * operands
        assert question.text.count("+") == operands - 1
        assert list(map(int, question.values)) == [sum(numbers[: k + 1]) for k in range(1, operands)]
        assert question.answer == str(sum(numbers)) == question.values[-1]
        assert len(question.candidates) == 10
        assert list(question.candidates) == sorted(question.candidates, key=int)


def test_addition_twins_differ_in_one_operand_and_no_length() -> None:
    for digits in (2, 3):
        result = both(Addition(digits, 8))
        for question, twin in zip(result[::2], result[1::2], strict=True):
            ours, theirs = question.text.split(), twin.text.split()
            assert sum(a != b for a, b in zip(ours, theirs, strict=True)) == 1
            assert list(map(len, question.values)) == list(map(len, twin.values))


@pytest.mark.parametrize("people", range(2, 9))
def test_coins_end_on_the_side_their_turns_say(people: int) -> None:
    answers = []
    for question in both(CoinFlip(people)):
        acts = re.findall(r"(\w+) (turns it over|leaves it alone)\.", question.text)
        assert len({name for name, _ in acts}) == len(acts) == people
        turns = [act.startswith("turns") for _, act in acts]
        assert [value == "tails" for value in question.values] == [sum(turns[: k + 1]) % 2 == 1 for k in range(people)]
        assert right_content(question) == ("No" if sum(turns) % 2 else "Yes")
        answers.append((question.answer, right_content(question)))
    assert len(set(answers)) == 4  # either word under either label


def test_a_side_or_a_label_is_misstated() -> None:
    question = Question("q", "A coin. Anna turns it over.", ("A", "B"), "B", ("Yes", "No"), ("tails",), "choice")
    task, rng = CoinFlip(2), random.Random(0)
    assert task.misstate("From heads to tails.", question, rng) == "From heads to heads."
    assert task.misstate("TAILS? Tails.", question, rng) == "TAILS? Heads."
    assert task.misstate("Tails, so the answer is (B) No.", question, rng) == "Tails, so the answer is (A) Yes."
    assert task.misstate("Let us see.", question, rng) is None


def test_dates_are_counted_by_the_calendar() -> None:
    for question in both(Dates()):
        match = re.fullmatch(
            r"Today is (.+?)\. The (\w+) (is in|was) (\d+) (days|weeks)(?: ago)?\. "
            r"The (\w+) falls (\d+) (days|weeks) (after|before) the (\w+)\. What is the date of the (\w+)\?",
            question.text,
        )
        assert match is not None
        today, first, tense, n, unit, second, m, unit2, side, again, requested = match.groups()
        assert (first, second) == (again, requested)
        start = datetime.strptime(today, "%d %B %Y").date()
        middle = start + timedelta(**{unit: int(n)}) * (1 if tense == "is in" else -1)
        end = middle + timedelta(**{unit2: int(m)}) * (1 if side == "after" else -1)
        read = [datetime.strptime(value, "%d %B %Y").date() for value in question.values]
        assert read == [middle, end]
        assert right_content(question) == question.values[-1]
        assert {day.year for day in read} == {start.year}
        assert len(question.choices) == 4


def test_a_date_is_misstated_in_its_own_style() -> None:
    text, values = "Today is 28 June 2021.", ("3 July 2021", "17 July 2021")
    question = Question("q", text, ("A", "B"), "A", ("17 July 2021", "18 July 2021"), values, "choice")
    for seed in range(20):
        edited = Dates().misstate("June 28 becomes July 3rd, 2021.", question, random.Random(seed))
        assert edited is not None
        match = re.fullmatch(r"June 28 becomes (June|July) (\d+)(st|nd|rd|th), 2021\.", edited)
        assert match is not None
        day = date(2021, {"June": 6, "July": 7}[match[1]], int(match[2]))
        assert 0 < abs((day - date(2021, 7, 3)).days) <= 6
        assert day != date(2021, 6, 28)
        assert match[3] == {1: "st", 2: "nd", 3: "rd"}.get(day.day, "th")
    assert Dates().misstate("So the answer is (A).", question, random.Random(0)) == "So the answer is (B)."
    assert Dates().misstate("Add 5 days.", question, random.Random(0)) is None


@pytest.mark.parametrize("people", [3, 4, 5])
def test_things_end_where_the_exchanges_take_them(people: int) -> None:
    for question in both(Tracking(people)):
        hands = dict(re.findall(r"(\w+) holds the ([\w ]+)\.", question.text))
        (match,) = re.findall(r"What does (\w+) hold at the end\?", question.text)
        held = []
        for one, other in re.findall(r"(\w+) and (\w+) exchange", question.text):
            hands[one], hands[other] = hands[other], hands[one]
            held.append(hands[match])
        assert len(hands) == len(held) == people
        assert tuple(held) == question.values
        assert right_content(question) == held[-1]
        assert set(question.choices) == set(hands.values())


def test_two_things_are_exchanged_in_a_step() -> None:
    question = Question("q", "?", ("A", "B", "C"), "A", ("red ball", "old map", "small drum"))
    task, rng = Tracking(), random.Random(0)
    assert task.misstate("Anna has the red ball, Ben the old map.", question, rng) == (
        "Anna has the old map, Ben the red ball."
    )
    assert task.misstate("So it is (B) old map.", question, random.Random(1)) in {
        "So it is (A) red ball.",
        "So it is (C) small drum.",
    }
    assert task.misstate("They swap.", question, rng) is None


@pytest.mark.parametrize(
    ("make", "sizes"), [(CoinFlip, (1,)), (CoinFlip, (9,)), (Tracking, (6,)), (Addition, (4, 4)), (Addition, (2, 3))]
)
def test_sizes_out_of_range_are_refused(make: type[GeneratedTask], sizes: tuple[int, ...]) -> None:
    with pytest.raises(TaskError, match="Pass "):
        make(*sizes)
