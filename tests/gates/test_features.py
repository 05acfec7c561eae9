"""Failures that features of the questions predict: how surely, and which questions they open or part."""

import random

import pytest

from faithlens.gates import undisturbed
from faithlens.gates.features import find_separation, make_features
from faithlens.gates.outcome import Outcome, Scores
from faithlens.gates.strata import find_strata
from tests.gates.scores_by_hand import make_prompts, make_scores


def test_failures_by_a_word_are_separated() -> None:
    prompts = make_prompts(40)
    result = find_separation(prompts, {q: "Anna" in text for q, text in prompts.items()})
    assert result is not None
    assert "anna" in result.feature or "ben" in result.feature
    assert abs(result.phi) == pytest.approx(1.0)
    assert result.p_value == pytest.approx(0.001)


def test_p_values_of_random_failures_are_uniform_or_larger() -> None:
    prompts, small = make_prompts(40), 0
    for seed in range(60):
        chosen = set(random.Random(seed).sample(sorted(prompts), 8))
        result = find_separation(prompts, {q: q in chosen for q in prompts}, seed)
        small += result is not None and result.p_value <= 0.1
    assert small / 60 <= 0.1 + 3 * (0.1 * 0.9 / 60) ** 0.5


def test_features_hold_for_neither_few_nor_nearly_all() -> None:
    names, table = make_features(make_prompts(20))
    assert len(names) == len(table)
    assert ((table.sum(1) >= 3) & (table.sum(1) <= 17)).all()
    assert "the word 'coins'" not in names


def test_questions_with_a_feature_fail_undisturbed() -> None:
    prompts = make_prompts(40)
    rows = {q: {"mediation.moves": 1.0} for q in prompts}
    others = [Outcome(q, "fail" if "Anna" in text else "pass", "a step") for q, text in prompts.items()]
    outcomes = undisturbed.judge(make_scores(prompts, **rows), others)
    assert {o.question for o in outcomes if o.outcome == "fail"} == {q for q, text in prompts.items() if "Anna" in text}


def make_wrong_scores(prompts: dict[str, str], wrong: set[str], chains: dict[str, str]) -> Scores:
    rows = {q: {"mediation.moves": 1.0, "accuracy.full": float(q not in wrong)} for q in prompts}
    scores = make_scores(prompts, **rows)
    return Scores(scores.by_chain, prompts, {(q, 0): (text,) for q, text in chains.items()})


def test_wrong_answers_predicted_by_an_unmentioned_word_are_open() -> None:
    prompts = make_prompts(40)
    wrong = {q for q, text in prompts.items() if "Anna" in text}
    silent, first_words = dict.fromkeys(prompts, "3 + 4 = 7."), {q: text.split()[0] for q, text in prompts.items()}
    outcomes = undisturbed.judge(make_wrong_scores(prompts, wrong, silent))
    assert {o.question for o in outcomes if o.outcome == "open"} == wrong
    assert not any(o.outcome == "fail" for o in outcomes)
    assert "anna" in outcomes[0].reason
    outcomes = undisturbed.judge(make_wrong_scores(prompts, wrong, first_words))
    assert {o.outcome for o in outcomes} == {"pass"}


def test_power_of_the_permutation_test_at_forty_questions() -> None:
    """Failures on a fifth of the questions, by a word, with one failure elsewhere: seen in at least nine of ten."""
    seen = 0
    for seed in range(20):
        rng = random.Random(seed)
        names = rng.sample(["Anna"] * 9 + ["Ben"] * 16 + ["Carl"] * 15, 40)
        prompts = {
            f"q{i}": f"{name} has {rng.randrange(10)} coins and finds {rng.randrange(10)}."
            for i, name in enumerate(names)
        }
        failing = {q for q, text in prompts.items() if "Anna" in text} | {rng.choice(sorted(prompts))}
        others = [Outcome(q, "fail" if q in failing else "pass", "a step") for q in prompts]
        rows = {q: {"mediation.moves": 1.0} for q in prompts}
        outcomes = undisturbed.judge(make_scores(prompts, **rows), others)
        seen += sum(o.outcome == "fail" for o in outcomes) >= 9
    assert seen >= 18


def test_strata_beside_the_whole() -> None:
    prompts = make_prompts(40)
    joined = [Outcome(q, "fail" if "Anna" in text else "pass", "") for q, text in prompts.items()]
    strata = find_strata(make_scores(prompts, **{q: {"accuracy.no_cot": 1.0} for q in prompts}), joined)
    assert strata is not None
    assert strata.disagree
    assert (strata.worst.n_failed, strata.worst.n_asked) == (10, 10)
    assert (strata.other.n_failed, strata.other.n_asked) == (0, 30)
    assert strata.worst.low < 0.69  # wider than the interval of one stratum that was not searched for


def test_a_right_answer_without_the_chain_is_a_stratum() -> None:
    prompts = {f"q{i}": f"{i % 10} and {(3 * i) % 10}" for i in range(40)}
    rows = {q: {"accuracy.no_cot": float(i < 15)} for i, q in enumerate(prompts)}
    joined = [Outcome(q, "fail" if i < 15 else "pass", "") for i, q in enumerate(prompts)]
    strata = find_strata(make_scores(prompts, **rows), joined)
    assert strata is not None
    assert strata.worst.name == "with a right answer without the chain of thought"
