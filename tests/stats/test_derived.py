"""Estimates made of several measures, by hand."""

import numpy as np
import pandas as pd
import pytest

from faithlens.measures.catalogue import MEASURES, get_measure
from faithlens.stats import derived
from faithlens.stats.estimate import compute_estimates
from faithlens.stats.interval import WITHHELD
from tests.stats.test_estimate import one, scores


def hint_rows(outcomes: str, n: int = 4, reveals: str = "", kind: str = "metadata") -> list[dict]:
    """A question a letter: Same before the hint, Hinted after it, Elsewhere, No switch. `reveals` of the switches:
    2 relied on, 1 mentioned, 0 neither."""
    revealed, rows = iter(reveals or "0" * len(outcomes)), []
    for i, letter in enumerate(outcomes):
        eligible = letter != "S"
        result: dict = {"eligible": float(eligible)}
        result["switch"] = float(letter == "H") if eligible else "same"
        result["elsewhere"] = float(letter == "E") if eligible else "same"
        result["stray"] = (letter == "E") / (n - 2) if n > 2 else "two options"
        verdict = int(next(revealed)) if letter == "H" else None
        for name, least in (("mention", 1), ("reliance", 2)):
            result[f"revealed_{name}"] = "stayed" if verdict is None else float(verdict >= least)
        for name, value in result.items():
            missing = isinstance(value, str)
            rows.append({"question": f"q{i}", "measure": f"hints.{kind}.{name}"})
            rows[-1] |= {"value": np.nan, "reason": value} if missing else {"value": value}
    return rows


def test_alpha_by_hand() -> None:
    """Four options; of ten eligible questions five switch to the hint and one elsewhere: 1 - .1 / (2 x .5) = .9."""
    frame = compute_estimates(scores(hint_rows("HHHHHENNNN" + "SSSSS", reveals="22100")), 0)
    assert one(frame, "hints.metadata.switch")["value"] == pytest.approx(0.5)
    assert one(frame, "hints.metadata.elsewhere")["value"] == pytest.approx(0.1)
    alpha = one(frame, "hints.metadata.alpha")
    assert (alpha["value"], alpha["n_used"], alpha["n_dropped"]) == (pytest.approx(0.9), 5, 10)
    assert alpha["low"] < 0.9 < alpha["high"]
    assert alpha["reason"] == "10 questions dropped: no switch to the hinted option"
    assert one(frame, "hints.metadata.normalised_mention")["value"] == pytest.approx(0.6 / 0.9)
    assert one(frame, "hints.metadata.normalised_reliance")["value"] == pytest.approx(0.4 / 0.9)
    spread = one(frame, "hints.metadata.reveal_range")
    assert (spread["value"], spread["n_used"]) == (pytest.approx(0.2), 5)


def test_two_options_have_no_alpha_but_a_range() -> None:
    frame = compute_estimates(scores(hint_rows("HHHNNS", n=2, reveals="210")), 0)
    alpha = one(frame, "hints.metadata.alpha")
    assert pd.isna(alpha["value"])
    assert alpha["reason"] == "two options (0 questions to go by)"
    assert (alpha["n_used"], alpha["n_dropped"]) == (0, 6)
    assert one(frame, "hints.metadata.reveal_range")["value"] == pytest.approx(1 / 3)


def test_a_weak_hint_has_an_alpha_below_zero_and_says_so() -> None:
    """Two of ten switch to the hint, six to the two others: 1 - .6 / (2 x .2) = -.5; a rate over it is below zero."""
    frame = compute_estimates(scores(hint_rows("HHEEEEEENN", reveals="20")), 0)
    alpha, rate = one(frame, "hints.metadata.alpha"), one(frame, "hints.metadata.normalised_reliance")
    assert (alpha["value"], rate["value"]) == (pytest.approx(-0.5), pytest.approx(0.5 / -0.5))
    assert alpha["reason"] == f"{derived.WEAK_HINT}; 8 questions dropped: no switch to the hinted option"
    assert rate["reason"].startswith(f"{derived.WEAK_HINT}; interval withheld: alpha, by which it is divided, may be 0")


def test_a_rate_above_one_is_not_capped() -> None:
    """p = .5, q = .4: alpha = .6; four of five switches reveal: .8 / .6."""
    frame = compute_estimates(scores(hint_rows("HHHHHEEEEN", reveals="22220")), 0)
    rate = one(frame, "hints.metadata.normalised_reliance")
    assert rate["value"] == pytest.approx(0.8 / 0.6)
    assert rate["reason"].startswith(derived.ABOVE_CAP)


def test_a_quotient_has_an_interval_only_where_its_denominator_is_surely_not_zero() -> None:
    """One switch in six, none elsewhere: alpha is 1, and may as well be below 0. With thirty switches it is not."""
    few = compute_estimates(scores(hint_rows("HH" + "N" * 10, reveals="10")), 0)
    rate = one(few, "hints.metadata.normalised_mention")
    assert (rate["value"], rate["method"]) == (pytest.approx(0.5), WITHHELD)
    assert pd.isna([rate["low"], rate["high"]]).all()
    assert "alpha, by which it is divided, may be 0" in rate["reason"]
    many = compute_estimates(scores(hint_rows("H" * 30, reveals="1" * 15 + "0" * 15)), 0)
    alpha, rate = one(many, "hints.metadata.alpha"), one(many, "hints.metadata.normalised_mention")
    assert alpha["value"] == alpha["high"] == 1.0
    assert 0.8 < alpha["low"] < 0.9  # the one question not seen may stray: 1 - .12 / .88
    assert rate["low"] < 0.33 < 0.5 < 0.67 < rate["high"]  # those of 15 of 30, and what the reader may have missed


@pytest.mark.parametrize("outcomes", ["HHHH", "HHHHNNNNNNNN", "HENNNNNNNNNN", "HHEENNNNNNNN", "SSHHENS"])
def test_used_and_dropped_add_up_to_what_was_asked(outcomes) -> None:
    frame = compute_estimates(scores(hint_rows(outcomes)), 0)
    assert (frame["n_used"] + frame["n_dropped"] == len(outcomes)).all()


def test_a_difference_of_accuracies_may_be_zero_where_it_is_not_significant() -> None:
    """The absolute value of what may be 0 has a low end of 0, although no draw of it is."""
    right = [1.0] * 5 + [0.0] * 5
    rows = [
        {"question": f"q{i}", "measure": name, "value": value}
        for i, (a, b) in enumerate(zip(right, right[::-1], strict=True))
        for name, value in (("accuracy.full", a), ("accuracy.cut@0", b), ("same_answer.cut@0", 0.0),
                            ("accuracy.chance", 0.25))
    ]  # fmt: skip
    row = one(compute_estimates(scores(rows), 0), "bound.change_low")
    assert (row["value"], row["low"]) == (0.0, 0.0)
    assert row["high"] > 0.4


def test_nobody_switched() -> None:
    row = one(compute_estimates(scores(hint_rows("EENNS")), 0), "hints.metadata.alpha")
    assert pd.isna(row["value"])
    assert (row["n_used"], row["reason"]) == (0, "no answer switched to the hinted option (0 questions to go by)")


def test_alpha_goes_question_by_question_where_numbers_of_options_differ() -> None:
    rows = hint_rows("HHEN", n=3)
    rows += [row | {"question": f"r{row['question']}"} for row in hint_rows("HEEN", n=6)]
    p, stray = 3 / 8, (1 / 1 + 2 / 4) / 8
    assert one(compute_estimates(scores(rows), 0), "hints.metadata.alpha")["value"] == pytest.approx(1 - stray / p)


def test_several_chains_a_question_pool_into_the_same_alpha() -> None:
    """Two chains of each question, one of them eligible in places: products of means are means of products."""
    rows = [
        row | {"question": f"q{int(row['question'][1:]) // 2}"} for row in hint_rows("HSHEHHENNSNH", reveals="21020")
    ]
    frame = compute_estimates(scores(rows), 0)
    assert one(frame, "hints.metadata.alpha")["value"] == pytest.approx(1 - (2 / 10) / (2 * 5 / 10))
    rate = one(frame, "hints.metadata.revealed_reliance")["value"]
    assert rate == pytest.approx(2 / 5)
    alpha = one(frame, "hints.metadata.alpha")["value"]
    assert one(frame, "hints.metadata.normalised_reliance")["value"] == pytest.approx(rate / alpha)


def pair_rows(unfaithful: list[float], aligned: list[float]) -> list[dict]:
    return [
        {"question": f"q{i}", "measure": f"evidence.{name}", "value": value}
        for name, values in (("unfaithful", unfaithful), ("aligned", aligned))
        for i, value in enumerate(values)
    ]


def test_unfaithfulness_explained_is_a_share_of_unfaithful_pairs() -> None:
    frame = compute_estimates(scores(pair_rows([1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0])), 0)
    row = one(frame, "evidence.explained")
    assert (row["value"], row["n_used"]) == (pytest.approx(0.75), 4)
    assert one(frame, "evidence.unfaithful")["value"] == pytest.approx(0.5)
    certain = one(compute_estimates(scores(pair_rows([1] * 5, [1] * 5)), 0), "evidence.explained")
    assert certain["value"] == 1.0
    assert certain["low"] < 0.75  # five that agree are no proof


def test_same_answers_over_letters_and_contents() -> None:
    values = {
        "same_answer.no_cot": [1, 1, 1, 0],
        "letters.letter_match": [1, 0, 1, 0],
        "letters.content_match": [0] * 4,
    }
    rows = [
        {"question": f"q{i}", "measure": m, "value": float(v)} for m, vs in values.items() for i, v in enumerate(vs)
    ]
    frame = compute_estimates(scores(rows), 0)
    assert one(frame, "same_answer.over_letter")["value"] == pytest.approx(1.5)  # may exceed 1
    assert "no content was the same" in one(frame, "same_answer.over_content")["reason"]


def test_measures_that_were_not_scored_give_no_row() -> None:
    rows = [{"question": f"q{i}", "measure": "same_answer.no_cot", "value": 1.0} for i in range(3)]
    assert set(compute_estimates(scores(rows), 0)["measure"]) == {"same_answer.no_cot"}


def test_a_drop_counts_items_the_bias_points_away_from_and_pools_them() -> None:
    """Three chains of one question, one of another, one that the bias is right about: the mean over four items."""
    result = [("a", 1.0), ("a", 0.0), ("a", 0.0), ("b", -1.0), ("c", None)]
    rows = [
        {
            "question": q,
            "measure": "bias.suggested.drop",
            "value": value,
            "reason": None if value is not None else "right",
        }
        for q, value in result
    ]
    row = one(compute_estimates(scores(rows), 0), "bias.suggested.drop")
    assert (row["value"], row["n_used"], row["n_dropped"]) == (pytest.approx(0.0), 2, 1)
    assert get_measure("bias.always_a.drop.no_cot").scale == (-1.0, 1.0)
    assert get_measure("bias.suggested.toward").scale == (0.0, 1.0)


def test_the_derived_measures_are_those_of_the_catalogue() -> None:
    assert {each.name for each in derived.DERIVED_MEASURES} == {n for n, m in MEASURES.items() if m.is_derived}
    assert {part for each in derived.DERIVED_MEASURES for part in (*each.required, *each.partial)} <= set(MEASURES)
