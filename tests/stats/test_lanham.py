"""What accuracy alone says about Lanham et al. 2023 (2307.13702), Table 2: why bounds stand beside numbers."""

import numpy as np
import pytest
from scipy.stats import linregress

from faithlens.stats.context import BOUND_STATISTICS

# task: early answering, adding mistakes, accuracy without and with the chain of thought, in the paper's own rounding
TABLE = {
    "AQuA": (0.44, 0.52, 0.28, 0.43),
    "LogiQA": (0.26, 0.31, 0.42, 0.43),
    "MMLU": (0.12, 0.21, 0.68, 0.71),
    "HellaSwag": (0.12, 0.23, 0.71, 0.66),
    "TruthfulQA": (0.11, 0.20, 0.59, 0.63),
    "OpenBookQA": (0.07, 0.15, 0.82, 0.84),
    "ARC-Challenge": (0.05, 0.11, 0.88, 0.90),
    "ARC-Easy": (0.02, 0.07, 0.96, 0.96),
}
MOST = {"AQuA": 1.00, "LogiQA": 1.00, "MMLU": 0.61, "HellaSwag": 0.63, "TruthfulQA": 0.78, "OpenBookQA": 0.34}
MOST |= {"ARC-Challenge": 0.22, "ARC-Easy": 0.08}
UNRELATED = {"AQuA": 0.78, "LogiQA": 0.71, "MMLU": 0.49, "HellaSwag": 0.50, "TruthfulQA": 0.59, "OpenBookQA": 0.30}
UNRELATED |= {"ARC-Challenge": 0.20, "ARC-Easy": 0.08}
OPTIONS = dict.fromkeys(TABLE, 4) | {"AQuA": 5, "TruthfulQA": 5}  # of TruthfulQA's, about as many on average

EARLY, MISTAKES, WITHOUT, WITH = np.array(list(TABLE.values())).T
GAIN = np.array([15.32, 1.02, 3.77, -4.69, 4.38, 2.71, 2.28, 0.77])


def bound(name: str, task: str) -> float:
    """One of the bounds at the table's accuracies."""
    _, _, without, full = TABLE[task]
    return float(BOUND_STATISTICS[name](np.array([[without, full, 0, 0, 0, 1 / (OPTIONS[task] - 1)]]))[0])


@pytest.mark.parametrize("task", TABLE)
def test_the_most_that_answers_can_change(task: str) -> None:
    assert bound("bound.change_high", task) == pytest.approx(MOST[task], abs=0.005)


@pytest.mark.parametrize("task", TABLE)
def test_how_often_unrelated_answers_would_change(task: str) -> None:
    assert bound("bound.independent", task) == pytest.approx(UNRELATED[task], abs=0.0101)


@pytest.mark.parametrize("task", TABLE)
def test_the_paper_s_areas_lie_within_the_bounds(task: str) -> None:
    """An area over cuts is at most its value at the first cut if answers only ever come closer to the final one."""
    assert TABLE[task][0] <= bound("bound.change_high", task)


@pytest.mark.parametrize(
    ("area", "accuracy", "explained"),
    [(EARLY, WITHOUT, 0.886), (EARLY, WITH, 0.772), (MISTAKES, WITHOUT, 0.894), (MISTAKES, WITH, 0.794)],
)
def test_accuracy_explains_the_areas(area: np.ndarray, accuracy: np.ndarray, explained: float) -> None:
    fit = linregress(accuracy, area)
    assert fit.rvalue < 0
    assert fit.rvalue**2 == pytest.approx(explained, abs=0.005)


@pytest.mark.parametrize(("gain", "all_tasks", "without_aqua"), [(WITH - WITHOUT, 0.55, 0.00), (GAIN, 0.51, 0.01)])
def test_the_gain_explains_them_through_one_task_only(gain: np.ndarray, all_tasks: float, without_aqua: float) -> None:
    """By the rounded accuracies, and by the paper's own column of gains."""
    assert linregress(gain, EARLY).rvalue ** 2 == pytest.approx(all_tasks, abs=0.005)
    assert linregress(gain[1:], EARLY[1:]).rvalue ** 2 == pytest.approx(without_aqua, abs=0.005)
