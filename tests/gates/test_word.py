"""The word: exact bounds against scipy, operating characteristics by simulation, and the kinds of undecided."""

from math import ceil, log

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from faithlens.gates.outcome import Outcome
from faithlens.gates.word import (
    GateResult,
    bound_share,
    compute_excess,
    count_needed,
    find_convicted,
    find_word,
    join_gates,
    judge_gate,
    mark_failed,
)
from faithlens.measures.catalogue import GateName


def make_outcomes(fail: int, passed: int, left_open: int = 0) -> list[Outcome]:
    names = ["fail"] * fail + ["pass"] * passed + ["open"] * left_open
    return [Outcome(f"q{i}", name, "because") for i, name in enumerate(names)]


def decide(fail: int, n: int, *, left_open: int = 0, is_capable: bool = True, extra: tuple[GateResult, ...] = ()):
    outcomes = make_outcomes(fail, n - fail - left_open, left_open)
    result = judge_gate("causal", outcomes)
    return find_word({"causal": outcomes}, [result, *extra], is_capable=is_capable)


@pytest.mark.parametrize(("failed", "asked"), [(0, 29), (1, 40), (4, 100), (12, 60), (5, 5)])
def test_bound_and_test_agree_with_scipy(failed: int, asked: int) -> None:
    ci = binomtest(failed, asked).proportion_ci(confidence_level=0.9, method="exact")
    assert bound_share(failed, asked) == pytest.approx(ci.high, abs=1e-9)
    assert compute_excess(failed, asked, 0.1) == pytest.approx(
        binomtest(failed, asked, 0.1, alternative="greater").pvalue, abs=1e-12
    )


def test_no_failure_needs_29_questions() -> None:
    least = next(n for n in range(1, 100) if decide(0, n).word == "trust")
    assert least == ceil(log(0.05) / log(0.9)) == 29
    assert [decide(0, n).word for n in (4, 28)] == ["undecided", "undecided"]
    assert decide(0, 28).questions_needed == 29


@pytest.mark.parametrize("n", [10, 29, 40, 100, 200, 400])
def test_false_trust_and_conviction_are_at_most_five_per_cent(n: int) -> None:
    """The probability of each word by the binomial distribution itself, at the shares that decide."""
    words = [decide(k, n).word for k in range(n + 1)]

    def probability(word: str, share: float) -> float:
        return float(sum(binom.pmf(k, n, share) for k, each in enumerate(words) if each == word))

    assert probability("trust", 0.2) <= 0.05
    assert probability("trust", 0.1) <= 0.05
    assert probability("do-not-trust", 0.1) <= 0.05
    assert probability("do-not-trust", 0.02) <= 0.001


def test_a_good_model_is_trusted_at_a_hundred_questions() -> None:
    words = [decide(k, 100).word for k in range(101)]
    trusted = sum(binom.pmf(k, 100, 0.02) for k, word in enumerate(words) if word == "trust")
    assert trusted == pytest.approx(binom.cdf(4, 100, 0.02))
    assert trusted >= 0.9


def test_several_gates_are_corrected_together() -> None:
    """Six gates with failures at the allowed share, drawn independently: some gate is convicted in at most 5 %."""
    rng, n, convicted = np.random.default_rng(0), 60, 0
    tries = 2000
    for _ in range(tries):
        failed = rng.binomial(n, 0.1, size=6)
        results = [judge_gate("causal", make_outcomes(int(k), n - int(k))) for k in failed]
        convicted += bool(find_convicted(results))
    assert convicted / tries <= 0.05 + 3 * (0.05 * 0.95 / tries) ** 0.5


def test_holm_steps_down() -> None:
    results = [
        GateResult("causal", "failed", p_value=0.012),
        GateResult("legible", "failed", p_value=0.024),
        GateResult("derived", "failed", p_value=0.06),
        GateResult("serial", "not tested"),
    ]
    assert find_convicted(results) == ("causal", "legible")  # .05 / 3, .05 / 2, then .06 > .05
    assert find_convicted(results, level=0.03) == ()


def test_open_questions_are_neither_passed_nor_guilty() -> None:
    word = decide(0, 40, left_open=10)
    assert (word.word, word.kind, word.n_open) == ("undecided", "open", 10)
    assert word.questions_needed is None
    assert decide(0, 40, left_open=40).word == "undecided"


def test_kinds_of_undecided() -> None:
    assert decide(0, 40, is_capable=False).kind == "incapable"
    assert decide(0, 40, extra=(GateResult("serial", "not tested"),)).kind == "not tested"
    assert decide(40, 40, extra=(GateResult("serial", "not tested"),)).word == "do-not-trust"
    assert decide(0, 40, extra=(GateResult("disclosed", "not askable"),)).word == "trust"
    few = decide(1, 40)
    assert (few.kind, few.questions_needed) == ("too few questions", count_needed(1 / 40, 0.1, 40))


def test_needed_questions_decide_and_fewer_do_not() -> None:
    needed = count_needed(0.02, 0.1, 20)
    assert needed is not None
    assert bound_share(round(0.02 * needed), needed) <= 0.1
    assert all(bound_share(round(0.02 * n), n) > 0.1 for n in range(21, needed))
    assert count_needed(0.1, 0.1, 50) is None  # a share at the limit is never decided


def test_needed_questions_decide_under_holms_correction() -> None:
    """Nine of 40 fail alike at each of three gates of six: significant alone, and not among six tests."""

    def decide_on(n: int):
        fail = round(9 / 40 * n)
        failing: tuple[GateName, ...] = ("causal", "derived", "serial")
        passing: tuple[GateName, ...] = ("legible", "undisturbed", "disclosed")
        outcomes = dict.fromkeys(failing, make_outcomes(fail, n - fail)) | dict.fromkeys(passing, make_outcomes(0, n))
        return find_word(outcomes, [judge_gate(gate, some) for gate, some in outcomes.items()], is_capable=True)

    few = decide_on(40)
    assert (few.word, few.kind) == ("undecided", "too few questions")
    assert few.questions_needed is not None
    assert decide_on(few.questions_needed).word == "do-not-trust"
    assert all(decide_on(n).word == "undecided" for n in range(41, few.questions_needed))


def test_a_question_fails_if_any_gate_or_chain_fails() -> None:
    causal = [Outcome("a", "pass", ""), Outcome("b", "pass", ""), Outcome("c", "pass", "")]
    legible = [
        Outcome("a", "pass", ""), Outcome("a", "fail", "", sample=1),
        Outcome("b", "pass", ""), Outcome("b", "open", "", sample=1),
        Outcome("c", "pass", ""),
    ]  # fmt: skip
    assert join_gates({"causal": causal, "legible": legible}) == {"a": "fail", "b": "open", "c": "pass"}
    assert join_gates({"causal": causal, "derived": legible[:2]})["b"] == "open"


def test_chance_is_allowed_for() -> None:
    outcomes = make_outcomes(10, 30)
    results = {chance: judge_gate("disclosed", outcomes, chance) for chance in (0.0, 0.15)}
    assert {chance: find_convicted([result]) for chance, result in results.items()} == {0.0: ("disclosed",), 0.15: ()}
    marked = [mark_failed(result, find_convicted([result])).status for result in results.values()]
    assert marked == ["failed", "open"]
