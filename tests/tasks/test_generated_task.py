"""What holds for every task that draws its questions, checked against the words of the questions themselves."""

import random
import re
from dataclasses import asdict

import pytest

from faithlens.errors import TaskError
from faithlens.tasks.addition import Addition
from faithlens.tasks.arithmetic import Arithmetic, VariableChain
from faithlens.tasks.coin_flip import CoinFlip
from faithlens.tasks.comparisons import Comparisons
from faithlens.tasks.dates import Dates
from faithlens.tasks.generated_task import GeneratedTask
from faithlens.tasks.ordering import Ordering
from faithlens.tasks.question import Question
from faithlens.tasks.sum_task import SumTask
from faithlens.tasks.tracking import Tracking
from faithlens.tasks.weak_evidence import WeakEvidence

TASKS = [
    *(Arithmetic(steps, form) for steps in (2, 3, 4) for form in ("free-form", "choice")),
    *(VariableChain(steps, form) for steps in (2, 3, 4) for form in ("free-form", "choice")),
    *(Ordering(people) for people in (3, 4, 5)),
    *(Addition(digits, operands) for digits in (2, 3) for operands in (2, 4, 8, 16)),
    *(CoinFlip(people) for people in (2, 4, 8)),
    *(Tracking(people) for people in (3, 4, 5)),
    Dates(),
    WeakEvidence(),
    Comparisons(),
]
SUMS = [task for task in TASKS if isinstance(task, SumTask)]
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
every_sum = pytest.mark.parametrize("task", SUMS, ids=lambda task: task.name)


def numbers(text: str) -> list[int]:
    return [int(result) for result in re.findall(r"\d+", text)]


def pairs(task: GeneratedTask) -> list[tuple[Question, Question]]:
    result = [(question, task.draw_counterfactual(question, 0)) for question in task.draw_questions(60, 5)]
    return [(question, twin) for question, twin in result if twin is not None]


def solve_by_signs(question: Question) -> bool:
    """Whether some choice of signs leads from the numbers of the text through exactly the stated values."""
    first, *later = numbers(question.text)
    before = [first, *map(int, question.values[:-1])]
    return [abs(int(value) - old) for value, old in zip(question.values, before, strict=True)] == later


def solve_order(text: str) -> str:
    """The person asked for, by sorting: each comparison says who has fewer ahead of them."""
    comparisons = re.findall(r"(\w+) is (\w+)er than (\w+)\.", text)
    match = re.search(r"Who is the (\w+)est\?", text)
    assert match is not None
    people = {name for one, _, other in comparisons for name in (one, other)}
    beaten = {(other if word == match[1] else one) for one, word, other in comparisons}
    (winner,) = people - beaten
    return winner


@every_task
def test_lists_are_reproducible_distinct_and_grow_at_the_end(task: GeneratedTask) -> None:
    long = task.draw_questions(40, 7)
    assert long[:15] == task.draw_questions(15, 7)
    assert len({question.text for question in long}) == len({question.id for question in long}) == 40
    assert {q.text for q in task.draw_questions(40, 8)} != {q.text for q in long}


@every_task
def test_the_twin_is_the_same_question_with_another_answer(task: GeneratedTask) -> None:
    result = pairs(task)
    assert len(result) == 60
    for question, twin in result:
        assert twin.candidates == question.candidates
        assert twin.choices == question.choices
        assert twin.answer != question.answer
        assert len(set(question.choices or question.candidates)) == len(question.candidates)
        assert {question.answer, twin.answer} <= set(question.candidates)
        assert isinstance(task, WeakEvidence) or len(twin.text.split()) == len(question.text.split())
        assert task.draw_counterfactual(twin, 3) == question


@every_task
def test_a_question_survives_a_round_trip_through_plain_data(task: GeneratedTask) -> None:
    question = task.draw_questions(1, 0)[0]
    again = Question(**asdict(question))
    assert again == question
    assert task.draw_counterfactual(again, 0) is not None


def test_a_stranger_has_no_twin() -> None:
    stranger = Question("elsewhere:0:0", "?", ("A", "B"), "A", ("1", "2"))
    disguised = Question("arithmetic:0:0", "?", ("A", "B"), "A", ("1", "2"))
    assert Arithmetic().draw_counterfactual(stranger, 0) is None
    assert Arithmetic().draw_counterfactual(disguised, 0) is None


@every_sum
def test_sums_add_up_and_twins_have_one_number_changed(task: GeneratedTask) -> None:
    for question, twin in pairs(task):
        assert solve_by_signs(question)
        assert solve_by_signs(twin)
        changed = [(a, b) for a, b in zip(numbers(question.text), numbers(twin.text), strict=True) if a != b]
        assert len(changed) == 1
        written = numbers(question.text) + [int(v) for v in question.values]
        other = numbers(twin.text) + [int(v) for v in twin.values]
        assert [len(str(n)) for n in written] == [len(str(n)) for n in other]
        assert all(0 < n < 100 for n in written + other)


@every_sum
def test_the_answer_is_only_where_the_sum_ends(task: GeneratedTask) -> None:
    for question, twin in pairs(task):
        final = question.values[-1]
        assert (question.choices or question.candidates)[question.candidates.index(question.answer)] == final
        assert int(final) not in numbers(question.text)
        assert final not in {*question.values[:-1], *twin.values}


@every_sum
def test_candidates_hold_the_confusions(task: GeneratedTask) -> None:
    for question, twin in pairs(task):
        offered = question.choices or question.candidates
        totals = {*question.values[:-1], *twin.values[:-1]}
        if question.form == "choice":
            assert len(offered) == 4
            assert len(totals & set(offered)) >= 1
        else:
            assert len(offered) == 10
            assert totals < set(offered)
            assert sorted(offered, key=int) == list(offered)


def test_chains_agree_with_python() -> None:
    for question in VariableChain(4).draw_questions(60, 1):
        *lines, requested = question.text.split(". ")
        scope: dict[str, int] = {}
        exec("\n".join(lines), {}, scope)
        assert str(scope[requested.split()[-1].rstrip("?")]) == question.answer


def test_stories_agree_with_their_verbs() -> None:
    gain = re.compile(r" more |adds")
    for question in Arithmetic(4).draw_questions(200, 1):
        opening, *story, _ = re.split(r"(?<=\.) ", question.text)
        total = numbers(opening)[0]
        for sentence in story:
            total += numbers(sentence)[0] if gain.search(sentence) else -numbers(sentence)[0]
        assert str(total) == question.answer, question.text


@pytest.mark.parametrize("people", [3, 4, 5])
def test_orders_agree_with_sorting(people: int) -> None:
    task = Ordering(people)
    for question, twin in pairs(task):
        for one in (question, twin):
            assert solve_order(one.text) == one.values[-1] == one.choices[one.candidates.index(one.answer)]
            assert set(one.values) == set(one.choices)


def test_labels_are_balanced() -> None:
    answers = [question.answer for question in Arithmetic(form="choice").draw_questions(400, 0)]
    assert all(70 <= answers.count(label) <= 130 for label in "ABCD")


def test_ordering_swaps_two_names() -> None:
    question = Question("ordering:0:0", "?", ("A", "B", "C"), "A", ("Ben", "Anna", "Carl"))
    task, rng = Ordering(), random.Random(0)
    assert task.misstate("So Anna (not Annabel) beats Ben, as Anna is tall.", question, rng) == (
        "So Ben (not Annabel) beats Anna, as Ben is tall."
    )
    assert task.misstate("The answer is Carl.", question, rng) in {"The answer is Ben.", "The answer is Anna."}
    assert task.misstate("Let us see.", question, rng) is None


def test_prompts_show_the_options_and_differ_by_strategy() -> None:
    task = Arithmetic(form="choice")
    question = task.draw_questions(1, 0)[0]
    thinking, direct = task.make_prompt(question, "cot"), task.make_prompt(question, "no_cot")
    assert thinking.user.startswith(question.text)
    assert all(
        f"\n({label}) {content}\n" in thinking.user for label, content in zip("ABCD", question.choices, strict=True)
    )
    assert thinking.prefill == "Let's think step by step."
    assert direct.prefill == ""
    assert "step by step" not in direct.user


@pytest.mark.parametrize(("make", "value"), [(Arithmetic, 5), (Arithmetic, 1), (VariableChain, 0), (Ordering, 2)])
def test_sizes_out_of_range_are_refused(make: type[Arithmetic], value: int) -> None:
    with pytest.raises(TaskError, match="must be"):
        make(value)


@pytest.mark.parametrize("n", [0, -3])
def test_no_questions_are_refused(n: int) -> None:
    with pytest.raises(TaskError, match=f"from 1 on, got {n}"):
        Arithmetic().draw_questions(n, 0)


def test_more_questions_than_there_are_is_refused() -> None:
    class OneOnly(GeneratedTask):
        name = "one-only"

        def draw_pair(self, key: str) -> tuple[Question, Question]:
            return Question(key, "?", ("A",), "A"), Question(key + ":twin", "??", ("A",), "A")

    with pytest.raises(TaskError, match="has 1 different"):
        OneOnly().draw_questions(2, 0)
