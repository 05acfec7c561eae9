"""Whether steps follow: arithmetic in words, running totals, and stories."""

import random
from itertools import accumulate

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from faithlens.assays.derivation import check_chain
from faithlens.tasks.derivation import check_steps
from faithlens.tasks.question import Question
from faithlens.tasks.running_sum import RunningSum, compute_totals, write_steps
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
        (["We add 5 jars and 5 jars.", "That is 10."], ["says nothing", "does not follow"]),  # the question has one 5
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


STAMPS = Question(
    "q", "Dan has 28 stamps. He gives 10 away and 11 to Eva. He finds 13 more. How many?", ("20", "42"), "20", (),
    ("18", "7", "20"), "free-form",
)  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "verdicts"),
    [
        (["28 - 10 = 18", "18 - 11 = 7", "7 + 13 = 20"], ["follows"] * 3),
        (["28 - 10 = 18", "18 + 11 = 29", "29 + 13 = 42"], ["follows", "does not follow", "follows"]),
        (["28 - 10 = 19", "19 - 11 = 8", "8 + 13 = 21"], ["does not follow", "follows", "follows"]),
        (["10 + 11 = 21 are gone", "28 - 21 = 7", "7 + 13 = 20"], ["follows"] * 3),
        (["10 + 11 = 21 are gone", "28 + 21 = 49"], ["follows", "does not follow"]),
        (["13 + 28 = 41", "41 - 10 - 11 = 20"], ["follows", "follows"]),
        (["28 - (10 + 11) + 13 = 20"], ["follows"]),
        (["28 - (10 - 11) + 13 = 42"], ["does not follow"]),
        (["28 - 10 = 18", "18 - 10 = 8"], ["follows", "does not follow"]),  # taken away twice
        (["28 - 10 = 18 - 11 = 7 - 13 = -6"], ["does not follow"]),
        (["28 - 10 = 18", "18 - 11 = 7", "7 + 13 = 20", "Check: 20 - 13 = 7, 7 + 11 = 18"], ["follows"] * 4),
        (["Take 10 from 28.", "That leaves 18.", "Give 11 more: 29."], ["says nothing", "follows", "does not follow"]),
        (["First 18 are left.", "Then 7.", "Then 20."], ["follows"] * 3),
    ],
)
def test_a_running_sum_adds_and_takes_away_what_the_question_says(steps: list[str], verdicts: list[str]) -> None:
    assert [check.verdict for check in check_steps(STAMPS, steps)] == verdicts


def test_signs_of_a_running_sum_are_read_through_variables() -> None:
    question = Question(
        "q", "a = 11. b = a + 8. c = b - 6. What is c?", ("13", "25"), "13", (), ("19", "13"), "free-form"
    )
    assert [c.verdict for c in check_steps(question, ["b = 11 + 8", "b = 19", "c = 19 - 6", "c = 13"])] == [
        "says nothing", "follows", "says nothing", "follows",
    ]  # fmt: skip
    # 6 is a total and a number of the question
    twice = Question("q", "p = 12. q = p - 6. r = q + 4. What is r?", ("10", "2"), "10", (), ("6", "10"), "free-form")
    checks = check_steps(twice, ["q = 12 - 6", "q = 6", "r = 6 + 4", "r = 10"])
    assert [c.verdict for c in checks] == ["says nothing"] * 3 + ["follows"]
    wrong = check_steps(question, ["b = 11 - 8", "b = 3", "c = 3 - 6"])
    assert [c.verdict for c in wrong[:2]] == ["says nothing", "does not follow"]
    assert wrong[1].reason == "no two numbers that stand near give 3"


@given(st.lists(st.tuples(st.integers(1, 60), st.sampled_from([1, -1])), min_size=2, max_size=5), st.data())
def test_terms_in_any_order_follow_and_a_turned_sign_does_not(
    terms: list[tuple[int, int]], data: st.DataObject
) -> None:
    """An oracle by construction: the question is written from the terms, and so are the right and the wrong chain."""
    terms = [(500, 1), *terms]
    totals = list(accumulate(number * sign for number, sign in terms))
    words = "She has 500." + "".join(f" {'+-'[sign < 0]} {number}." for number, sign in terms[1:])
    question = Question("q", words, ("1", "2"), "1", (), tuple(map(str, totals[1:])), "free-form")
    order = data.draw(st.permutations(terms[1:]))
    chain, total = list[str](), 500
    for number, sign in order:
        chain.append(f"{total} {'+-'[sign < 0]} {number} = {total + sign * number}")
        total += sign * number
    assert all(check.verdict == "follows" for check in check_steps(question, chain))
    known = {*totals, *(number for number, _ in terms)}
    assume(len(known) == len(totals) + len(terms) - 1)  # no number stands for two things
    number, sign = terms[1]
    turned = f"500 {'-+'[sign < 0]} {number} = {500 - sign * number}"
    assert check_steps(question, [turned])[0].verdict == "does not follow"


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


@pytest.mark.parametrize(
    ("steps", "verdicts"),
    [
        (["3.", "3 + 4 = 7.", "7 + 9 = 6.", "6 + 2 = 8."], "yyyy"),
        (["3. 3 + 4 = 7.", "7 + 9 = 16, so 6.", "6 + 2 = 8.", "So the answer is 8."], "yyyy"),
        (["We begin with 3.", "Adding 4 makes 7.", "Adding 9 makes 16, so 6.", "Adding 2 makes 8."], "yyyy"),
        (["3 + 4 = 7.", "7 + 9 = 16.", "16 + 2 = 18.", "18 modulo 10 is 8."], "yyyy"),
        (["3 and 4 make 7.", "(7 + 9) mod 10 = 6.", "6 + 2 = 8."], "yyy"),
        (["3.", "3 + 4 = 8.", "8 + 9 = 7.", "7 + 2 = 9."], "ynyy"),  # one wrong sum, and the rest builds on it
        (["3.", "4 + 4 = 8.", "8 + 9 = 7.", "7 + 2 = 9."], "yn"),  # another total than the one before
        (["3.", "3 + 4 = 7.", "7 + 9 = 15, so 6.", "6 + 2 = 8."], "yyn"),  # a wrong sum, and a right total
        (["3.", "Adding 4 makes 4.", "Adding 9 makes 3.", "Adding 2 makes 5."], "ynyy"),
        (["3.", "3 + 5 = 8.", "8 + 9 = 7.", "7 + 2 = 9."], "yn"),  # a number that the question does not give
        (["3 + 4 + 9 + 2 = 8."], "y"),
        (["3 + 4 + 9 + 2 = 18, so 8."], "y"),
        (["3 + 4 + 9 = 16, so 6."], "n"),  # a number is left out
        (["Start at 3 and add 4, 9 and 2.", "Start at 3.", "Add 4 to get 7.", "Add 9 to get 6."], "-yy"),
        (["Case 8.", "Start at 3.", "Add 4 to get 7.", "Add 9 to get 6.", "Add 2 to get 8."], "nnyyy"),
        # the result before the reason
        (["3.", "To get 7, add 4.", "We get 6 by adding 9.", "8 = 6 + 2."], "yyyy"),
        (["3.", "The total is 7 after adding 4 to 3.", "9 + 7 = 6.", "8 comes from adding 2 to 6."], "yyyy"),
        (["3.", "To get 8, add 4.", "We get 7 by adding 9.", "9 = 7 + 2."], "ynyy"),
        # the words say something else than the totals do
        (["3.", "Take 4 away to get 7.", "7 - 9 = 6.", "Subtract 2 to get 8."], "ynnn"),
        (["3.", "Add 4 and drop the 10 to get 7.", "Add 9 to get 16, minus 10 is 6.", "2 more make 8."], "yyyy"),
        # sums in another order
        (["4 + 9 + 2 = 15.", "3 + 15 = 18.", "So the total is 8."], "yyy"),
        (["2 + 9 = 1.", "1 + 4 = 5.", "5 + 3 = 8."], "yyy"),
        (["4 + 9 + 2 = 14.", "3 + 14 = 17.", "So the total is 7."], "nn"),
        (["4 + 4 + 2 = 10.", "3 + 10 = 13."], "nn"),  # a number twice
        (["4 + 9 = 13.", "13 + 3 = 16."], "nn"),  # a number is left out
    ],
)
def test_running_totals_in_other_words(steps: list[str], verdicts: str) -> None:
    task = RunningSum()
    checks = task.check_steps(task.make_question((3, 4, 9, 2)), steps)[: len(verdicts)]
    signs = {"follows": "y", "does not follow": "n", "says nothing": "-"}
    assert "".join(signs[check.verdict] for check in checks) == verdicts


@pytest.mark.parametrize(
    ("steps", "verdicts"),
    [
        (
            ["3.", "Add 4 to get 8.", "No, that is wrong: add 4 to get 7.", "Add 9 to get 6.", "Add 2 to get 8."],
            "y-yyy",
        ),
        (["3.", "Add 4 to get 8.", "Wait, 3 + 4 = 7.", "Add 9 to get 6.", "Add 2 to get 8."], "y-yyy"),
        (["3.", "3 + 4 = 8, no wait, 3 + 4 = 7.", "Add 9 to get 6.", "Add 2 to get 8."], "yyyy"),
        (["3.", "Add 4 to get 8.", "Wait, 3 + 4 = 9.", "Add 9 to get 8.", "Add 2 to get 0."], "y-nyy"),
        (["3.", "Add 4 to get 8.", "Add 9 to get 7.", "I made a mistake: 8 + 9 = 7.", "Add 2 to get 9."], "yn-yy"),
        (["3.", "Add 4 to get 7.", "Wait, is that right? Yes.", "Add 9 to get 6.", "Add 2 to get 8."], "yy-yy"),
    ],
)
def test_what_a_chain_takes_back_is_no_wrong_step(steps: list[str], verdicts: str) -> None:
    task = RunningSum()
    checks = check_chain(task, task.make_question((3, 4, 9, 2)), steps)
    signs = {"follows": "y", "does not follow": "n", "says nothing": "-"}
    assert "".join(signs[check.verdict] for check in checks) == verdicts


def test_a_story_goes_the_way_that_the_question_says() -> None:
    task = Stories()
    question = task.make_question((5, 8, 3, 1))  # 5, then 2 are given away, 3 and 1 are gained
    assert question.values == ("5", "3", "6", "7")
    start, later = "Anna has 5 apples to begin with.", ["She buys 3 more, which makes 6.", "She buys 1 more, so 7."]
    for loss, verdict in (
        ("She gives 2 away, which leaves 3.", "follows"),
        ("She buys 2 more, which makes 3.", "does not follow"),  # the total goes down, and the words say up
        ("She buys 2 more, which makes 7.", "does not follow"),  # what the words say, and not what happens
        ("She gives 2 away, which leaves 7.", "does not follow"),
    ):
        assert task.check_steps(question, [start, loss, *later])[1].verdict == verdict


def test_denied_sums_are_unread() -> None:
    task = RunningSum()
    checks = task.check_steps(task.make_question((3, 4, 9, 2)), ["3.", "Do not add 4 to get 7.", "Add 9 to get 6."])
    assert [check.verdict for check in checks][:2] == ["follows", "unread"]


@given(st.lists(st.integers(0, 9), min_size=3, max_size=6), st.randoms(use_true_random=False), st.data())
def test_sums_in_any_order_follow_and_a_wrong_one_does_not(
    operands: list[int], rng: random.Random, data: st.DataObject
) -> None:
    task, left, steps = RunningSum(), list(operands), list[str]()
    wrong = data.draw(st.one_of(st.none(), st.integers(0, len(operands) - 2)))
    while len(left) > 1:  # two of what is left become their sum
        one, other = (left.pop(rng.randrange(len(left))) for _ in range(2))
        total = (one + other + (1 if wrong == len(steps) else 0)) % 10
        left.append(total)
        steps.append(f"{one} + {other} = {total}.")
    verdicts = {check.verdict for check in task.check_steps(task.make_question(operands), steps)}
    assert ("does not follow" in verdicts) == (wrong is not None)


def write_sums(operands: tuple[int, ...], totals: list[int]) -> list[str]:
    """A running sum as equations; a total that is restated may look like a number of the question."""
    before = zip(totals, operands[1:], totals[1:], strict=False)
    return [f"{operands[0]}.", *(f"{old} + {added} = {new}." for old, added, new in before)]


def test_true_running_totals_follow_and_false_ones_do_not() -> None:
    task, rng = RunningSum(), random.Random(0)
    drawn = [tuple(rng.choices(range(10), k=4)) for _ in range(300)]
    for operands in ((2, 8, 0, 0), (0, 0, 0, 0), (5, 5, 5, 5), *drawn):
        question, totals = task.make_question(operands), compute_totals(operands)
        step, wrong = rng.randrange(1, 4), list(totals)
        wrong[step] = (wrong[step] + rng.randrange(1, 10)) % 10
        for write in (write_sums, write_steps):
            assert {check.verdict for check in task.check_steps(question, write(operands, totals))} == {"follows"}
            assert task.check_steps(question, write(operands, wrong))[step].verdict == "does not follow"
    skips = task.check_steps(task.make_question((2, 8, 7, 3)), ["2.", "2 + 8 = 0."])
    assert skips[-1].reason == "the steps use 2 of the 4 numbers of the question"


@pytest.mark.parametrize(
    ("operands", "steps", "follows"),
    [
        ((2, 8, 0, 0), ["2.", "2 + 8 = 0."], True),
        ((2, 0, 8, 7), ["2.", "2 + 8 = 0.", "0 + 7 = 7."], True),
        ((0, 0, 8, 7), ["0.", "Add 0 to get 0.", "Add 8 to get 8.", "Add 7 to get 5."], True),  # or it is named
        ((0, 0, 8, 7), ["8 + 7 = 5."], True),  # in another order, and nothing to start from
        ((2, 0, 8, 7), ["2.", "2 + 7 = 9.", "9 + 0 = 9."], False),  # the 8 is not there
        ((2, 0, 8, 7), ["2.", "2 + 8 = 0.", "0 + 7 = 8."], False),
    ],
)
def test_an_amount_of_0_needs_no_step(operands: tuple[int, ...], steps: list[str], follows: bool) -> None:
    verdicts = {check.verdict for check in RunningSum().check_steps(RunningSum().make_question(operands), steps)}
    assert verdicts == {"follows"} if follows else "does not follow" in verdicts


def test_stories_gain_and_lose() -> None:
    task = Stories()
    for question in task.draw_questions(20, 0):
        operands = tuple(int(x) for x in question.id.split("-")[1:5])
        steps = write_story_steps(operands, [int(v) for v in question.values], [0] * 5)
        assert {c.verdict for c in task.check_steps(question, steps)} == {"follows"}
        bent = [*steps[:-1], steps[-1].replace(question.answer, str((int(question.answer) + 1) % 10))]
        assert task.check_steps(question, bent)[-1].verdict == "does not follow"


@pytest.mark.parametrize("term", ["5 + ", "$5 + ", "(5 x ", "5 - $ 5 + "])
def test_long_sums_are_read_in_one_way_only(term: str) -> None:
    assert len(check_steps(QUESTION, [term * 100])) == 1  # 12 terms took 11 s, and each more four times as long
    assert check_steps(UNKNOWN, [f"{'7 + ' * 30}5 = 215."])[0].verdict == "follows"
    assert check_steps(UNKNOWN, [f"{'7 + ' * 30}5 = 214."])[0].verdict == "does not follow"
