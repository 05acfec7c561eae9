"""Options with several spellings: no continuation counts twice, and none is lost."""

import itertools
import math
import random

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from faithlens.errors import PlanError
from faithlens.measures.answers import option_coverage
from faithlens.measures.score import Score
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.plan.plan import compile_plan
from faithlens.plan.spellings import add_spellings, list_first_tokens

VOCABULARY, LONGEST = 3, 4
SEQUENCES = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=LONGEST).map(tuple)
SPELLED = st.lists(st.lists(SEQUENCES, min_size=1, max_size=3), min_size=1, max_size=5)


def make_condition(spelled: list[list[tuple[int, ...]]]) -> Condition:
    options, spellings = tuple(each[0] for each in spelled), tuple(tuple(each[1:]) for each in spelled)
    return Condition("c", (Piece("stem", (1,)),), options, spellings=spellings if any(spellings) else ())


def draw_next(history: tuple[int, ...], seed: int) -> list[float]:
    """A model of three tokens: the probabilities of the next one depend on all before it."""
    weights = [random.Random(f"{seed}:{history}:{token}").random() ** 3 for token in range(VOCABULARY)]
    return [weight / sum(weights) for weight in weights]


def multiply(sequence: tuple[int, ...], seed: int) -> float:
    return math.prod(draw_next(sequence[:i], seed)[token] for i, token in enumerate(sequence))


@settings(max_examples=150, deadline=None)
@given(SPELLED, st.integers(0, 10**6))
def test_each_continuation_belongs_to_the_longest_spelling_that_begins_it(
    spelled: list[list[tuple[int, ...]]], seed: int
) -> None:
    owner_of = {sequence: i for i, each in enumerate(spelled) for sequence in each}
    assume(all(owner_of[sequence] == i for i, each in enumerate(spelled) for sequence in each))
    condition = make_condition(spelled)
    scores = torch.tensor([math.log(multiply(s, seed)) for s in condition.sequences], dtype=torch.float64)
    expected = [0.0] * len(spelled)
    for text in itertools.product(range(VOCABULARY), repeat=LONGEST):
        begins = [text[:n] for n in range(LONGEST, 0, -1) if text[:n] in owner_of]
        if begins:
            expected[owner_of[begins[0]]] += multiply(text, seed)
    result = add_spellings(condition, scores)
    assert result.exp().tolist() == pytest.approx(expected, abs=1e-12)
    assert Score("coverage.full", option_coverage(result)).value <= 1  # type: ignore[operator]


def test_one_spelling_each_keeps_every_bit() -> None:
    scores = torch.randn(3)
    assert add_spellings(make_condition([[(1,)], [(2, 1)], [(2, 2)]]), scores).equal(scores)


def test_the_example_of_the_module() -> None:
    spelled = [["19."], ["19.5."], ["1200.", "1,200."], ["7.", "7.0."]]
    condition = make_condition([[tuple(map(ord, text)) for text in each] for each in spelled])
    scores = torch.tensor([0.5, 0.1, 0.2, 0.05, 0.15, 0.01], dtype=torch.float64).log()
    assert add_spellings(condition, scores).exp().tolist() == pytest.approx([0.4, 0.1, 0.35, 0.05])


def test_an_option_that_always_goes_on_to_another_has_no_infinite_log() -> None:
    condition = make_condition([[(1,)], [(1, 2)]])
    first, second = add_spellings(condition, torch.tensor([-1.0, -1.0])).tolist()
    assert -20 < first < -15
    assert second == -1


def test_options_with_the_same_tokens_are_refused() -> None:
    for spelled in ([[(1,)], [(1,)]], [[(1,), (2,)], [(2,)]]):
        with pytest.raises(PlanError, match="options number 1 and 2 of a condition have the same tokens"):
            compile_plan([make_condition(spelled)])
    assert compile_plan([make_condition([[(1,), (1,)], [(2,)]])])
    wrong = Condition("c", (Piece("stem", (1,)),), ((1,), (2,)), spellings=(((3,),),))
    with pytest.raises(PlanError, match="further spellings of 1"):
        compile_plan([wrong])


@pytest.mark.parametrize(
    ("spelled", "first"),
    [
        ([[(1, 2)], [(3,)]], ((1,), (3,))),
        ([[(1, 2), (4,)], [(3,)]], ((1, 4), (3,))),
        ([[(1, 2), (4, 1)], [(3,), (4, 2)]], ((1,), (3,))),
        ([[(1, 2)], [(1, 3)]], ((1,), (1,))),
    ],
)
def test_first_tokens_are_an_options_own(spelled: list[list[tuple[int, ...]]], first: object) -> None:
    assert list_first_tokens(make_condition(spelled)) == first
