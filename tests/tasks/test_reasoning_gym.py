"""reasoning-gym's datasets as tasks: on a made-up module, and on the library where it is installed."""

import random
import sys
import types
from collections.abc import Callable

import pytest

from faithlens.errors import TaskError
from faithlens.tasks import reasoning_gym
from faithlens.tasks.question import Question
from faithlens.tasks.registry import load_task

DATASETS: dict[str, Callable[[random.Random], tuple[str, object]]] = {
    "sums": lambda rng: (f"{(a := rng.randrange(900))} + {(b := rng.randrange(900))}?", str(a + b)),
    "verdicts": lambda rng: (f"Is {(a := rng.randrange(9999))} even?", "No" if a % 2 else "Yes"),
    "words": lambda rng: (f"Write {(a := rng.randrange(9999))} as a word.", f"w{a}"),
    "few": lambda rng: (f"Is {rng.randrange(3)} more than {rng.randrange(2)}?", rng.choice(["Yes", "No"])),
    "one": lambda rng: (f"{rng.randrange(9999)}?", "same"),
    "none": lambda rng: ("?", None),
    "long": lambda rng: ("?", "x" * 41),
    "lines": lambda rng: ("?", "1\n2"),
}


class Made:
    def __init__(self, name: str, size: int, seed: int) -> None:
        self.name, self.size, self.seed = name, size, seed

    def __getitem__(self, index: int) -> dict[str, object]:
        question, answer = DATASETS[self.name](random.Random(self.seed + index))
        return {"question": question, "answer": answer, "metadata": {}}


@pytest.fixture(autouse=True)
def fresh() -> None:
    reasoning_gym._list_answers.cache_clear()
    reasoning_gym._make_pool.cache_clear()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    module, factory = types.ModuleType("reasoning_gym"), types.ModuleType("reasoning_gym.factory")
    module.create_dataset = lambda name, size, seed: Made(name, size, seed)  # type: ignore[attr-defined]
    factory.DATASETS = DATASETS  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "reasoning_gym", module)
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", factory)


@pytest.mark.usefixtures("fake")
def test_numbers_get_near_misses() -> None:
    made = load_task("reasoning-gym:sums")
    assert made.name == "reasoning-gym:sums"
    for question in made.draw_questions(20, 3):
        a, b = question.text.removesuffix("?").split(" + ")
        assert question.answer == str(int(a) + int(b))
        assert {str(int(question.answer) + 1)} < set(question.candidates)
        assert made.draw_counterfactual(question, 0) is None


@pytest.mark.usefixtures("fake")
def test_few_answers_are_all_offered_and_have_donors() -> None:
    made = load_task("reasoning-gym:verdicts")
    for question in made.draw_questions(20, 3):
        assert question.candidates == ("No", "Yes")
        donor = made.draw_counterfactual(question, 0)
        assert donor is not None
        assert donor.answer != question.answer
        assert donor == made.draw_counterfactual(question, 0)
    stranger = Question("reasoning-gym:verdicts:x", "?", ("No", "Yes"), "No", form="free-form")
    assert made.draw_counterfactual(stranger, 0) is None


@pytest.mark.usefixtures("fake")
def test_words_get_the_answers_of_others() -> None:
    made = load_task("reasoning-gym:words")
    known = {question.answer for question in made.draw_questions(100, 5)}
    for question in made.draw_questions(20, 5):
        assert len(set(question.candidates)) == 10
        assert question.answer == f"w{question.text.split()[1]}" in question.candidates
        assert set(question.candidates) <= known


@pytest.mark.usefixtures("fake")
def test_lists_are_reproducible_grow_at_the_end_and_share_nothing_between_seeds() -> None:
    made = load_task("reasoning-gym:sums")
    assert made.draw_questions(150, 0)[:30] == made.draw_questions(30, 0)
    ours, theirs = ({question.text for question in made.draw_questions(100, seed)} for seed in (0, 1))
    assert len(ours) == 100
    assert len(ours & theirs) < 5
    with pytest.raises(TaskError, match="from 1 on, got 0"):
        made.draw_questions(0, 0)
    with pytest.raises(TaskError, match="has 6 different questions"):
        load_task("reasoning-gym:few").draw_questions(7, 0)


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none", "100 of 100 answers of reasoning-gym:none cannot be scored; the first is None, no text"),
        ("long", "41 characters"),
        ("lines", "3 characters"),
        ("sum", "Did you mean 'sums'"),
    ],
)
def test_answers_that_cannot_be_scored_are_refused(name: str, reason: str) -> None:
    with pytest.raises(TaskError) as caught:
        load_task(f"reasoning-gym:{name}")
    assert reason in str(caught.value)


@pytest.mark.usefixtures("fake")
def test_a_dataset_with_one_answer_is_refused() -> None:
    with pytest.raises(TaskError, match=r"every answer of reasoning-gym:.* is 'same'"):
        load_task("reasoning-gym:one").draw_questions(1, 0)


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(TaskError, match=r"pip install 'faithlens\[tasks\]'"):
        load_task("reasoning-gym:chain_sum")


@pytest.mark.parametrize("name", ["chain_sum", "syllogism", "leg_counting", "spell_backward"])
def test_the_library_itself(name: str) -> None:
    library = pytest.importorskip("reasoning_gym")
    made = load_task(f"reasoning-gym:{name}")
    drawn = made.draw_questions(12, 1)
    assert made.draw_questions(5, 1) == drawn[:5]
    assert len({question.text for question in drawn}) == 12
    scorer = library.create_dataset(name, size=1, seed=0)
    for question in drawn:
        assert question.answer in question.candidates
        if name == "chain_sum":
            sum_ = question.text.partition(":")[2].strip().removesuffix(" =").removesuffix(".")
            assert eval(sum_) == int(question.answer)
        assert (
            scorer.score_answer(question.answer, {"question": question.text, "answer": question.answer, "metadata": {}})
            == 1.0
        )
