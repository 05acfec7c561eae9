"""Differences between two runs, by hand, against scipy's own tests, and with a planted reason."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, ttest_1samp

from faithlens.errors import MeasureError
from faithlens.stats.compare import MATCHED_ACCURACIES, Difference, compare_scores, correct_p_values
from faithlens.stats.interval import BOUNDED

SHARE = "mediation.content_share"


def run(**measures: list[float | None]) -> pd.DataFrame:
    """Scores of one model and task: measure=[a value a question]; `__` stands for a point, `_at_` for @."""
    rows = []
    for name, values in measures.items():
        measure = name.replace("__", ".").replace("_at_", "@")
        for i, value in enumerate(values):
            why = None if value is not None else "undefined"
            rows.append({"question": f"q{i:03d}", "measure": measure, "value": value, "reason": why})
    same = {"model": "m", "task": "t", "condition": "full", "unit": "fraction", "fraction": np.nan, "step": None}
    return pd.DataFrame(rows).assign(**same)


def right(full: list[float], cut: list[float] | None = None, direct: list[float] | None = None) -> dict:
    return {"accuracy__full": full, "accuracy__cut_at_0": cut or full, "accuracy__no_cot": direct or cut or full}


def one(result: list[Difference], measure: str, questions: str = "all") -> Difference:
    [row] = [d for d in result if (d.measure, d.questions) == (measure, questions)]
    return row


def test_by_hand() -> None:
    """Six questions that all gain a half: a share .025^(1/6) is theirs, the rest may lie at an end; 2 of 2^6 flips."""
    accuracies = right([1, 1, 1, 1, 0, 0])
    first = run(**accuracies, mediation__content_share=[0.1, 0.2, 0.3, 0.4, 0.5, 0.0])
    second = run(**accuracies, mediation__content_share=[0.6, 0.7, 0.8, 0.9, 1.0, 0.5])
    result = one(compare_scores(first, second, seed=0), SHARE)
    assert (result.first, result.second, result.value) == pytest.approx((0.25, 0.75, 0.5))
    unseen = 1 - 0.025 ** (1 / 6)
    assert (result.low, result.high) == pytest.approx((0.5 - unseen * 1.5, 0.5 + unseen * 0.5), abs=1e-3)
    assert (result.n_used, result.n_dropped, result.method) == (6, 0, BOUNDED)
    assert result.p == result.holm == pytest.approx(2 / 64)


def test_the_interval_is_that_of_paired_differences() -> None:
    """Questions differ far more than runs do: scipy's paired t interval, and a question not seen of up to 4.5 %."""
    rng = np.random.default_rng(0)
    level = rng.uniform(0, 1, 80)
    moved = level + rng.normal(0.05, 0.1, 80)
    first, second = (run(**right([1] * 80), mediation__content_share=list(x)) for x in (level, moved))
    result = one(compare_scores(first, second, seed=1), SHARE)
    expected = ttest_1samp(moved - level, 0).confidence_interval()
    assert result.method == BOUNDED
    assert expected.low - 0.045 < result.low < expected.low < expected.high < result.high < expected.high + 0.045
    assert result.p == pytest.approx(ttest_1samp(moved - level, 0).pvalue, abs=0.003)


def test_yes_and_no_get_the_exact_sign_test() -> None:
    first, second = [0] * 8 + [1] + [1, 0, 1], [1] * 8 + [0] + [1, 0, 1]
    accuracies = right([1] * 12)
    result = compare_scores(
        run(**accuracies, propagation__follows=first), run(**accuracies, propagation__follows=second), 0
    )
    assert one(result, "propagation.follows").p == pytest.approx(binomtest(1, 9).pvalue)


def test_a_measure_that_only_follows_accuracy_does_not_differ_at_equal_accuracy() -> None:
    """Answers change exactly where the model is wrong without its chain; the second run is wrong there less often."""
    before, after = [0] * 12 + [1] * 8, [0] * 6 + [1] * 14
    first, second = (run(**right([1] * 20, cut), deletion__change=[1 - x for x in cut]) for cut in (before, after))
    result = compare_scores(first, second, seed=0)
    raw, equal = one(result, "deletion.change"), one(result, "deletion.change", "alike")
    assert raw.value == pytest.approx(-0.3)
    assert raw.holm is not None
    assert raw.holm < 0.05
    assert (equal.value, equal.n_used, equal.n_dropped, equal.p) == (0, 14, 6, 1)
    assert (equal.first, equal.second) == pytest.approx((6 / 14, 6 / 14))


def test_a_real_change_is_seen_at_equal_accuracy_too() -> None:
    before, after = [0] * 12 + [1] * 8, [0] * 6 + [1] * 14
    first = run(**right([1] * 20, before), deletion__change=[0.2] * 20)
    second = run(**right([1] * 20, after), deletion__change=[0.7, 0.9] * 10)
    result = one(compare_scores(first, second, seed=0), "deletion.change", "alike")
    assert (result.value, result.n_used) == (pytest.approx(0.6), 14)
    assert result.low is not None
    assert result.low > 0.2  # of 14 questions, one not seen may weigh 23 % and lose all


def test_accuracies_are_given_over_all_questions_and_stand_outside_the_family() -> None:
    first, second = right([1, 0] * 5, [0] * 10), right([1] * 10, [0] * 10)
    result = compare_scores(run(**first, deletion__change=[0.5] * 10), run(**second, deletion__change=[0.6] * 10), 0)
    gained = one(result, "accuracy.full")
    assert (gained.value, gained.holm) == (0.5, None)
    assert {d.measure for d in result if d.questions == "alike"} == {"deletion.change"}
    assert {d.measure for d in result if d.questions == "all"} == {*MATCHED_ACCURACIES, "deletion.change"}


def test_holms_correction_by_hand() -> None:
    """Four of .01, .04, .03, .005: .005 x 4, then .01 x 3, then .03 x 2, and .04 no less than that."""
    bare = {"unit": "fraction", "questions": "all", "n_used": 9, "n_dropped": 0, "method": "", "seed": 0}
    result = correct_p_values([Difference("m", p=p, **bare) for p in (0.01, 0.04, None, 0.03, 0.005)])
    assert [d.holm for d in result if d.p] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert result[2].holm is None


def test_questions_without_a_value_in_one_run_are_dropped_and_few_are_too_few() -> None:
    accuracies = right([1] * 6)
    first = run(**accuracies, mediation__content_share=[0.1, 0.2, 0.3, None, 0.5, 0.6], paraphrase__change=[0.0] * 6)
    second = run(**accuracies, mediation__content_share=[None, 0.2, 0.5, 0.6, None, 0.8], paraphrase__change=[0.0] * 6)
    every = compare_scores(first, second, 0)
    result = one(every, SHARE)
    assert (result.value, result.n_used, result.n_dropped) == (None, 3, 3)
    assert result.reason == "fewer than 4 questions to compare"
    assert one(every, "paraphrase.change").value == 0


def test_without_accuracies_nothing_is_said_at_equal_accuracy() -> None:
    result = compare_scores(run(deletion__change=[0.5] * 9), run(deletion__change=[0.6] * 9), 0)
    assert one(result, "deletion.change").value == pytest.approx(0.1)
    equal = one(result, "deletion.change", "alike")
    assert (equal.value, equal.n_used) == (None, 0)
    assert equal.reason == "not both runs scored accuracy.full and accuracy.cut@0 and accuracy.no_cot"


def test_chains_of_one_question_are_one_question() -> None:
    accuracies = right([1] * 5)
    single = run(**accuracies, deletion__change=[0.5] * 5)
    double = pd.concat([run(**accuracies, deletion__change=[x] * 5) for x in (0.5, 1.0)])
    result = one(compare_scores(single, double, 0), "deletion.change")
    assert (result.value, result.n_used) == (pytest.approx(0.25), 5)


def test_what_a_report_does_not_show_is_no_difference() -> None:
    first, second = run(mediation__total=[0.9] * 12), run(mediation__total=[0.9001] * 12)
    assert one(compare_scores(first, second, 0), "mediation.total").p == 1


def test_other_questions_are_refused() -> None:
    with pytest.raises(MeasureError, match="5 are in both and 1 in one alone, such as 'q005'"):
        compare_scores(run(deletion__change=[0.5] * 5), run(deletion__change=[0.5] * 6), 0)


def test_a_measure_that_only_one_run_has_is_refused() -> None:
    first, second = run(deletion__change=[0.5] * 5), run(deletion__change=[0.5] * 5, shuffle__change=[0.5] * 5)
    with pytest.raises(MeasureError, match=r"Known names: deletion\.change"):
        compare_scores(first, second, 0, ["shuffle.change"])
    assert [d.questions for d in compare_scores(second, second, 0, ["shuffle.change"])] == ["all", "alike"]


def test_curves_and_measures_of_steps_are_not_compared() -> None:
    """Attention has a row without a step, the prompt's, beside those of the steps."""
    whole = run(attention__span=[0.5] * 5, early_answering__retention=[1.0] * 5, deletion__change=[0.5] * 5)
    steps = run(attention__span=[0.5] * 5).assign(step=0)
    whole.loc[whole["measure"] == "early_answering.retention", "fraction"] = 0.0
    scores = pd.concat([whole, steps])
    assert {d.measure for d in compare_scores(scores, scores, 0)} == {"deletion.change"}
