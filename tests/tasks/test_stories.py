"""Stories: their words, their numbers and their edits, against arithmetic and readings done here."""

import random
import re
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from faithlens.errors import TaskError
from faithlens.tasks.question import ExecutableTask, ParaphrasingTask
from faithlens.tasks.rewrite_requests import find_paraphrase_fault
from faithlens.tasks.running_sum import compute_totals, is_held_out
from faithlens.tasks.segmentation import split_steps
from faithlens.tasks.stories import (
    GAINS,
    LOSSES,
    N_PHRASINGS,
    PRONOUNS,
    THINGS,
    Stories,
    classify_step,
    compute_amounts,
    count_word_choices,
    find_losses,
    is_natural,
    write_question,
    write_steps,
)

TASK = Stories()
SOME = TASK.draw_questions(100, seed=0)
OPERANDS = st.tuples(st.integers(2, 9), *[st.integers(1, 9)] * 3)
WORDS = st.tuples(*(st.integers(0, n - 1) for n in count_word_choices(4)))
WAYS = st.tuples(*[st.integers(0, N_PHRASINGS - 1)] * 4)
FALLS = re.compile(r"\b(?:gives?|throws?|trades?|giving|throwing|trading)\b")


def changes(sentences: list[str]) -> list[int]:
    """What each sentence after the first adds: its first number, less than nothing where its verb loses things."""
    return [int(re.findall(r"\d", s)[0]) * (-1 if FALLS.search(s) else 1) for s in sentences]


def test_texts_read_as_documented():
    emma, coins = [*PRONOUNS].index("Emma"), THINGS.index("coins")
    words = (emma, coins, 2, 0, 1)
    question = TASK.make_question((3, 4, 8, 1), words)
    assert question.text == (
        "Emma has 3 coins. A day later she wins 4 more of them. A day later she gives 2 of them away. "
        "A day later she finds 1 more of them. How many are there now?"
    )
    assert (question.id, question.values, question.answer) == ("stories-3-4-8-1-2-2-2-0-1", ("3", "7", "5", "6"), "6")
    steps = write_steps((3, 4, 8, 1), (3, 7, 5, 6), words, (0, 0, 1, 2))
    assert "".join(steps) == (
        " Emma has 3 coins to begin with. She wins 4 more, which makes 7. After giving 2 away, she has 5. "
        "By finding 1 more she gets to 6."
    )
    assert write_steps((3, 4, 8, 1), (3, 7, 5, 6), words, (1, 1, 0, 0))[:1] == [" Emma owns 3 coins at the start."]
    assert write_steps((3, 4, 8, 1), (3, 7, 5, 6), words, (2, 1, 2, 0))[2:] == [
        " By giving 2 away she drops to 5.",
        " She finds 1 more, which makes 6.",
    ]


@given(OPERANDS, WORDS, WAYS)
def test_question_and_steps_tell_of_the_same_changes_and_of_nobody_with_ten(operands, words, ways):
    first, *rest = re.findall(r"[^.]+\.", write_question(operands, words))
    start = int(re.findall(r"\d", first)[0])
    steps = write_steps(operands, compute_totals(operands), words, ways)
    assert changes(rest) == changes(steps[1:])
    have = [start]
    for change in changes(rest):
        have.append(have[-1] + change)
    assert [int(step.rstrip(".")[-1]) for step in steps[1:]] == have[1:]
    assert re.findall(r"\d", steps[0]) == [str(start)]
    assert all(0 <= total <= 9 for total in have)
    cot = "".join(steps)
    assert [cot[a:b].strip() for a, b in split_steps(cot)] == [step.strip() for step in steps]


def test_what_would_pass_nine_is_told_as_a_loss():
    assert find_losses((3, 4, 8, 1)) == [False, True, False]
    assert compute_amounts((3, 4, 8, 1)) == [3, 4, 2, 1]
    assert compute_amounts((9, 9, 9, 9)) == [9, 1, 1, 1]


def leaves_room(operands: tuple[int, ...]) -> bool:
    """Whether a total before the last can be wrong so that no later one passes nine or none: tried one by one."""
    totals = compute_totals(operands)
    wrong = [(i, by) for i in range(len(totals) - 1) for by in range(-9, 10) if by]
    return any(all(0 <= total + by <= 9 for total in totals[i:]) for i, by in wrong)


def test_questions_are_held_out_natural_different_and_a_function_of_the_seed():
    long, short = TASK.draw_questions(50, seed=3), TASK.draw_questions(20, seed=3)
    assert long[:20] == short
    assert len({q.id for q in long}) == 50
    numbers = [tuple(map(int, q.id.split("-")[1:5])) for q in long]
    assert all(is_held_out(operands) and is_natural(operands) for operands in numbers)
    assert [q.values for q in long] == [tuple(map(str, compute_totals(operands))) for operands in numbers]
    assert not any(re.search(r"\b0\b", q.text) for q in long)
    assert TASK.draw_questions(20, seed=4) != short
    held = sum(is_held_out(q) and leaves_room(q) for q in product(range(2, 10), *[range(1, 10)] * 3))
    assert len(TASK.draw_questions(held, 0)) == held
    with pytest.raises(TaskError, match=f"{held} questions about 4 numbers that are held out"):
        TASK.draw_questions(held + 1, 0)


def test_all_words_are_used():
    texts = " ".join(q.text for q in SOME)
    expected = {*PRONOUNS, *THINGS, *(does for does, _ in (*GAINS, *LOSSES))}
    assert {word for word in expected if not re.search(rf"\b{word}\b", texts)} == set()


@given(st.integers(0, 10**6), st.integers(0, 99))
def test_a_twin_is_the_same_story_with_one_clause_changed(seed, which):
    question = SOME[which]
    twin = TASK.draw_counterfactual(question, seed)
    assert twin == TASK.draw_counterfactual(question, seed)
    assert twin.answer != question.answer
    assert (twin.candidates, twin.id.split("-")[5:]) == (question.candidates, question.id.split("-")[5:])
    sentences = zip(question.text.split("."), twin.text.split("."), strict=True)
    assert sum(one != other for one, other in sentences) == 1
    assert not re.search(r"\b0\b", twin.text)


@given(OPERANDS, WORDS, WAYS, st.integers())
def test_a_paraphrase_says_the_same_in_another_phrasing(operands, words, ways, seed):
    for i, step in enumerate(write_steps(operands, compute_totals(operands), words, ways)):
        other = TASK.paraphrase(step, random.Random(seed))
        result = classify_step(other)
        assert find_paraphrase_fault(step, other) is None
        assert re.findall(r"\d", other) == re.findall(r"\d", step)
        assert result.phrasing != ways[i] == classify_step(step).phrasing
        assert result.is_loss == classify_step(step).is_loss == (i > 0 and find_losses(operands)[i - 1])
        rephrased = [result.phrasing if j == i else way for j, way in enumerate(ways)]
        assert write_steps(operands, compute_totals(operands), words, rephrased)[i] == other


def test_other_sentences_have_no_paraphrase_and_no_number_to_misstate():
    assert TASK.paraphrase(" So there.", random.Random(0)) is None
    assert TASK.paraphrase(" She wins 4 more, which makes 7", random.Random(0)) is None
    assert TASK.misstate(" So there.", SOME[0], random.Random(0)) is None
    assert TASK.paraphrase("She wins 4 more, which makes 7. \n", random.Random(0)).endswith("7. \n")


@given(st.integers(0, 9), st.integers())
def test_misstate_changes_the_stated_total_alone(stated, seed):
    wrong = TASK.misstate(f" After giving 2 away, she has {stated}.", SOME[0], random.Random(seed))
    assert int(re.fullmatch(r" After giving 2 away, she has (\d)\.", wrong)[1]) != stated


@given(OPERANDS, WORDS, WAYS, st.integers(0, 3), st.integers(0, 99))
def test_an_error_is_carried_through_while_nobody_has_ten(operands, words, ways, i, seed):
    question, values = TASK.make_question(operands, words), compute_totals(operands)
    steps = write_steps(operands, values, words, ways)
    moved = TASK.propagate(question, steps, i, random.Random(seed))
    if moved is None:
        assert {0, 9} <= set(values[i:])
        return
    stated = [int(step.rstrip(".")[-1]) if j else int(re.findall(r"\d", step)[0]) for j, step in enumerate(moved.steps)]
    assert moved.steps[:i] == tuple(steps[:i])
    assert stated[i] != values[i]
    later = zip(stated[i:], stated[i + 1 :], changes(steps)[i + 1 :], strict=False)
    assert all(new == old + change for old, new, change in later)
    assert moved.answer == str(stated[-1]) != question.answer
    # a step that says what an earlier one says is taken for that one, after which every total must stay possible
    amounts, by = compute_amounts(operands), stated[i] - values[i]
    place = next(j for j in range(min(i, 1), i + 1) if (amounts[j], values[j]) == (amounts[i], values[i]))
    is_possible = all(0 <= value + by <= 9 for value in values[place:])
    assert TASK.infer_answer(question, steps[i], moved.steps[i]) == (moved.answer if is_possible else None)
    assert TASK.infer_answer(question, steps[i], steps[i]) is None


def test_what_follows_may_be_no_number_of_things_on_the_way():
    question = TASK.make_question((9, 3, 7, 1))  # 9, 2, 9, 0
    assert TASK.infer_answer(question, "After trading 7 away, he has 2.", "After trading 7 away, he has 4.") is None
    assert not leaves_room((9, 3, 7, 1))
    question = TASK.make_question((5, 2, 8, 3))  # 5, 7, 5, 8
    assert TASK.infer_answer(question, "Ben has 5 coins to begin with.", "Ben has 6 coins to begin with.") == "9"
    assert TASK.infer_answer(question, "After giving 2 away, he has 5.", "After giving 2 away, he has 0.") == "3"
    assert TASK.infer_answer(question, "Ben has 5 coins to begin with.", "Ben has 8 coins to begin with.") is None


def test_what_follows_may_be_no_number_of_things():
    question = TASK.make_question((3, 4, 8, 1))  # 3, 7, 5, 6
    assert TASK.infer_answer(question, "which makes 7.", "which makes 9.") == "8"
    assert TASK.infer_answer(question, "she has 5.", "she has 9.") is None  # ten in the end
    assert TASK.infer_answer(question, "which makes 8.", "which makes 9.") is None  # 8 was no true total
    assert isinstance(TASK, ExecutableTask)
    assert isinstance(TASK, ParaphrasingTask)


@given(OPERANDS, WORDS)
def test_untrue_chains_are_not_carried_on(operands, words):
    values = compute_totals(operands)
    assume(values[1] != 9)
    wrong = write_steps(operands, [values[0], values[1] + 1, *values[2:]], words)
    assert TASK.propagate(TASK.make_question(operands, words), wrong, 0, random.Random(0)) is None
