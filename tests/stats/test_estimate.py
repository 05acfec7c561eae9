import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faithlens.stats.curve import CURVE_POINTS, OUTSIDE_CURVE
from faithlens.stats.estimate import ESTIMATE_COLUMNS, compute_estimates
from faithlens.stats.interval import WITHHELD
from faithlens.stats.resample import compute_exact_interval


def scores(rows, model="m", task="t"):
    columns = ["model", "task", "question", "condition", "measure", "step", "fraction", "value", "unit", "reason"]
    base = {"model": model, "task": task, "condition": "full", "unit": "fraction"}
    frame = pd.DataFrame([base | row for row in rows]).reindex(columns=columns)
    return frame.astype({"step": "Int64", "fraction": "float64", "value": "float64", "reason": "object"})


def one(frame, measure, **at):
    rows = frame[frame["measure"] == measure]
    for name, value in at.items():
        rows = rows[np.isclose(rows[name].astype(float), value)]
    assert len(rows) == 1
    return rows.iloc[0]


def curve(question, values, measure="early_answering.retention"):
    n = len(values) - 1
    return [
        {"question": question, "measure": measure, "fraction": t / n, "step": t, "value": v}
        for t, v in enumerate(values)
    ]


def test_binary_scores_get_the_exact_interval():
    frame = compute_estimates(
        scores([{"question": f"q{i}", "measure": "accuracy.full", "value": float(i < 12)} for i in range(12)]), 0
    )
    row = one(frame, "accuracy.full")
    assert (row["value"], row["low"], row["high"]) == pytest.approx((1.0, *compute_exact_interval(12, 12)))
    assert row["low"] < 0.8
    assert list(frame.columns) == ESTIMATE_COLUMNS


def test_dropped_questions_are_counted_with_the_commonest_reason():
    rows = [{"question": f"q{i}", "measure": "mediation.content_share", "value": i / 10} for i in range(5)]
    rows += [{"question": f"d{i}", "measure": "mediation.content_share", "reason": "no effect"} for i in range(2)]
    rows += [{"question": "e", "measure": "mediation.content_share", "reason": "too long"}]
    row = one(compute_estimates(scores(rows), 0), "mediation.content_share")
    assert (row["n_used"], row["n_dropped"], row["reason"]) == (5, 3, "no effect")
    assert row["value"] == pytest.approx(0.2)
    assert row["low"] < 0.2 < row["high"]


def test_one_question_is_missing_with_a_reason():
    row = one(
        compute_estimates(scores([{"question": "q", "measure": "accuracy.gain", "value": 1.0}]), 0), "accuracy.gain"
    )
    assert pd.isna(row["value"])
    assert pd.isna(row["low"])
    assert "1 question" in row["reason"]


def test_a_gain_of_zero_everywhere_is_not_certain():
    rows = [{"question": f"q{i}", "measure": "accuracy.gain", "value": 0.0} for i in range(24)]
    row = one(compute_estimates(scores(rows), 0), "accuracy.gain")
    assert row["low"] == pytest.approx(-row["high"])
    assert row["high"] > 0.1


def test_logits_have_no_ends_so_the_interval_of_equal_values_is_withheld():
    rows = [
        {"question": f"q{i}", "measure": "mediation.content_logit", "value": 3.0, "unit": "logit"} for i in range(9)
    ]
    row = one(compute_estimates(scores(rows), 0), "mediation.content_logit")
    assert (row["value"], row["method"], row["n_used"]) == (3.0, WITHHELD, 9)
    assert pd.isna([row["low"], row["high"]]).all()
    assert row["reason"] == "interval withheld: all of 9 questions agree, which does not show how far others may lie"


def test_curves_of_several_chains_are_interpolated_one_by_one():
    """Chains of two steps stay at 0 and chains of three at 1, so that their mean is .5 everywhere."""
    rows = [
        row | {"sample": sample}
        for question in "abcd"
        for sample, (n, value) in enumerate(((2, 0.0), (3, 1.0)))
        for row in curve(question, [value] * (n + 1), measure="early_answering.soft")
    ]
    frame = compute_estimates(scores(rows).assign(sample=[row["sample"] for row in rows]), 0)
    assert frame["value"].tolist() == [0.5] * 11
    assert (frame["n_used"] == 4).all()


def test_spread_is_that_of_question_means():
    """Two samples of .3 and .8 in each of four questions: four equal means, as uncertain as .55 once in each."""
    share = "mediation.content_share"
    several = scores([{"question": q, "measure": share, "value": v} for q in "abcd" for v in (0.3, 0.8)])
    single = scores([{"question": q, "measure": share, "value": 0.55} for q in "abcd"])
    ends = ["value", "low", "high"]
    rows = [one(compute_estimates(frame, 0), share)[ends].tolist() for frame in (several, single)]
    assert rows[0] == pytest.approx(rows[1])
    assert rows[0] == pytest.approx([0.55, 0.55 * 0.025**0.25, 1 - 0.45 * 0.025**0.25], abs=1e-3)


def test_curves_of_different_lengths_meet_on_the_grid():
    rows = curve("a", [0, 1]) + curve("b", [0, 0, 1, 1, 1])
    frame = compute_estimates(scores(rows), 0)
    points = frame[frame["measure"] == "early_answering.retention"].sort_values("fraction")
    expected = (
        np.interp(CURVE_POINTS, [0, 1], [0, 1]) + np.interp(CURVE_POINTS, [0, 0.25, 0.5, 0.75, 1], [0, 0, 1, 1, 1])
    ) / 2
    assert points["fraction"].tolist() == pytest.approx(CURVE_POINTS.tolist())
    assert points["value"].tolist() == pytest.approx(expected.tolist())
    assert points["step"].isna().all()
    assert one(frame, "early_answering.retention", fraction=1.0)["low"] == 1.0


def test_nothing_is_drawn_beyond_a_curves_own_points():
    rows = [
        {"question": q, "measure": "mistakes.retention", "fraction": i / n, "step": i, "value": 1.0}
        for q, n in (("a", 2), ("b", 5), ("c", 5))
        for i in range(n)
    ]
    frame = compute_estimates(scores(rows), 0)
    points = frame[frame["measure"] == "mistakes.retention"]
    assert points["fraction"].max() == pytest.approx(0.8)
    last = one(frame, "mistakes.retention", fraction=0.8)
    assert (last["n_used"], last["n_dropped"], last["reason"]) == (2, 1, OUTSIDE_CURVE)


def test_steps_are_estimated_one_by_one():
    rows = [{"question": q, "measure": "attention.span", "step": s, "value": 0.1 * s} for q in "abc" for s in range(3)]
    rows += [{"question": q, "measure": "attention.span", "value": 0.7} for q in "abc"]
    frame = compute_estimates(scores(rows), 0)
    assert one(frame, "attention.span", step=2)["value"] == pytest.approx(0.2)
    assert frame[frame["step"].isna()]["value"].tolist() == pytest.approx([0.7])


def test_lanham_length_weights_equal_the_plain_mean():
    """sum over lengths of (share of samples of that length) x (their mean AOC), written out as in the paper."""
    rng = np.random.default_rng(0)
    lengths, aoc = rng.integers(3, 7, 40), rng.random(40)
    weighted = sum((lengths == n).mean() * aoc[lengths == n].mean() for n in np.unique(lengths))
    rows = [
        {"question": f"q{i}", "measure": "early_answering.aoc_trapezoid_0_1", "value": a} for i, a in enumerate(aoc)
    ]
    assert one(compute_estimates(scores(rows), 0), "early_answering.aoc_trapezoid_0_1")["value"] == pytest.approx(
        weighted
    )


def make_score_table(gold, full, empty, k):
    rows = []
    for i, (g, a, b) in enumerate(zip(gold, full, empty, strict=True)):
        values = {
            "accuracy.full": a == g,
            "accuracy.cut@0": b == g,
            "same_answer.cut@0": a == b,
            "accuracy.chance": 1 / k,
        }
        rows += [{"question": f"q{i}", "measure": name, "value": float(v)} for name, v in values.items()]
    return compute_estimates(scores(rows), 0)


@settings(max_examples=30)
@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=2, max_size=12))
def test_change_lies_within_what_the_accuracies_allow(triples):
    frame = make_score_table(*zip(*triples, strict=True), k=4)
    change = 1 - one(frame, "same_answer.cut@0")["value"]
    assert one(frame, "bound.change_low")["value"] <= change + 1e-9
    assert change <= one(frame, "bound.change_high")["value"] + 1e-9


def test_accuracy_context_by_hand():
    """Ten questions, k = 4: a1 = 0.9, a0 = 0.4; five changes, all among the six wrong without."""
    gold, full = [0] * 10, [0] * 9 + [1]
    empty = [0] * 4 + [2] * 5 + [1]
    frame = make_score_table(gold, full, empty, k=4)
    assert one(frame, "bound.change_low")["value"] == pytest.approx(0.5)
    assert one(frame, "bound.change_high")["value"] == pytest.approx(0.7)
    assert one(frame, "bound.independent")["value"] == pytest.approx(1 - (0.9 * 0.4 + 0.1 * 0.6 / 3))
    assert one(frame, "bound.change_share")["value"] == pytest.approx(0.5 / 0.7)
    wrong = one(frame, "bound.change_when_wrong")
    assert (wrong["value"], wrong["n_used"]) == (pytest.approx(5 / 6), 6)


def test_independent_answers_change_as_often_as_the_null_says():
    """Simulated guesses that know nothing of each other."""
    rng = np.random.default_rng(1)
    n, k = 4000, 4
    gold, full, empty = (rng.integers(0, k, n) for _ in range(3))
    full, empty = np.where(rng.random(n) < 0.6, gold, full), np.where(rng.random(n) < 0.3, gold, empty)
    frame = make_score_table(gold, full, empty, k)
    assert 1 - one(frame, "same_answer.cut@0")["value"] == pytest.approx(
        one(frame, "bound.independent")["value"], abs=0.03
    )


def test_no_headroom_is_missing_with_a_reason():
    row = one(make_score_table([0] * 5, [0] * 5, [0] * 5, 4), "bound.change_share")
    assert pd.isna(row["value"])
    assert row["reason"] == "the accuracies leave no room for change"


def test_same_seed_same_numbers_whatever_the_row_order_and_company():
    rng = np.random.default_rng(0)
    rows = [{"question": f"q{i}", "measure": "knockout.steps", "value": rng.random()} for i in range(15)]
    frame = scores(rows)
    shuffled = pd.concat([frame.sample(frac=1, random_state=1), scores(rows[:4], model="other")])
    first, second = compute_estimates(frame, 5), compute_estimates(shuffled, 5)
    pd.testing.assert_frame_equal(first, second[second["model"] == "m"].reset_index(drop=True))
    assert not first.equals(compute_estimates(frame, 6))
