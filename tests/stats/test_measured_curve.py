"""Curves have points only where something was measured: means over the questions that were edited there."""

import numpy as np
import pandas as pd
import pytest

from faithlens.stats.measured_curve import find_measured_points

MEASURE = "early_answering.retention"


def make_scores(lengths: list[int], seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        [
            {
                "question": f"q{k}",
                "measure": MEASURE,
                "fraction": t / n,
                "value": float(rng.integers(0, 2)) if t < n else 1.0,
            }
            for k, n in enumerate(lengths)
            for t in range(n + 1)
        ]
    )


def test_each_place_that_was_measured_is_a_point() -> None:
    scores = make_scores([3, 4] * 10)
    points = find_measured_points(scores, MEASURE, 0)
    means = scores.groupby(scores["fraction"].round(6))["value"].agg(["mean", "count"])
    assert [p.x for p in points] == pytest.approx(list(means.index), abs=1e-6)
    assert [p.value for p in points] == pytest.approx(means["mean"].to_list())
    assert [p.n for p in points] == means["count"].to_list()
    assert all(p.low is not None and p.high is not None and p.low <= p.value <= p.high for p in points)
    assert (points[-1].low, points[-1].high) == (1, 1)  # fixed at the full chain


def test_many_places_are_collected_in_tenths() -> None:
    scores = make_scores(list(range(3, 33)))
    points = find_measured_points(scores, MEASURE, 0)
    tenth = scores["fraction"].round(6).round(1)
    by_question = scores.groupby([scores["question"], tenth.rename("tenth")])[["fraction", "value"]].mean()
    expected = by_question.groupby("tenth").agg({"fraction": "mean", "value": ["mean", "count"]})
    assert [p.x for p in points] == pytest.approx(expected[("fraction", "mean")].to_list())
    assert [p.value for p in points] == pytest.approx(expected[("value", "mean")].to_list())
    assert [p.n for p in points] == expected[("value", "count")].to_list()


def test_nothing_is_drawn_where_nothing_was_measured() -> None:
    scores = make_scores([4] * 8)
    last = scores["fraction"] == 1
    scores["value"] = scores["value"].mask(last | (scores["fraction"] == 0.5))
    assert [p.x for p in find_measured_points(scores, MEASURE, 0)] == [0, 0.25, 0.75]
    assert find_measured_points(scores, "mistakes.retention", 0) == []


def test_a_place_with_a_single_question_has_a_value_and_no_interval() -> None:
    scores = pd.concat([make_scores([4] * 5), make_scores([3]).assign(question="alone")])
    rows = scores[scores["question"] == "alone"]
    alone = dict(zip(rows["fraction"].round(2), rows["value"], strict=True))
    points = {round(p.x, 2): p for p in find_measured_points(scores, MEASURE, 0)}
    assert {x: p.n for x, p in points.items()} == {0: 6, 0.25: 5, 0.33: 1, 0.5: 5, 0.67: 1, 0.75: 5, 1: 6}
    for x in (0.33, 0.67):
        assert points[x][1:] == (alone[x], None, None, 1)
    assert [p[1:] for p in find_measured_points(make_scores([3]), MEASURE, 0)] == [
        (value, None, None, 1) for value in make_scores([3])["value"]
    ]
