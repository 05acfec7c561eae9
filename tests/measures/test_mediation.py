"""Mediation by hand, and its one identity; and the rule every score keeps."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.errors import MeasureError
from faithlens.measures.mediation import Mediation, compute_mediation
from faithlens.measures.score import Score

METRIC = st.floats(-10, 10)


def logs(*probabilities: float) -> np.ndarray:
    return np.log(probabilities)


@given(METRIC, METRIC, METRIC, METRIC)
def test_the_total_is_the_sum_of_its_parts(clean: float, cot: float, question: float, both: float) -> None:
    result = Mediation(clean - both, clean - cot, clean - question)
    assert result.content + result.question + result.interaction == pytest.approx(result.total, abs=1e-9)
    # the interaction is what the double swap does beyond both single ones
    assert result.interaction == pytest.approx(cot + question - clean - both, abs=1e-9)


def test_effects_by_hand() -> None:
    clean, cot, question, both = logs(0.8, 0.1), logs(0.2, 0.6), logs(0.5, 0.25), logs(0.1, 0.8)
    result = compute_mediation(clean, cot, question, both, relay=logs(0.3, 0.3))
    assert result is not None
    probability, logit = result
    assert probability.relay == pytest.approx(8 / 9 - 1 / 2)
    assert logit.relay == pytest.approx(log(8))
    assert probability.divide_by_total(probability.relay) == pytest.approx((8 / 9 - 1 / 2) / (7 / 9))
    without = compute_mediation(clean, cot, question, both)
    assert without is not None
    assert without[0].relay is None
    assert without[0].divide_by_total(None) is None
    assert probability.total == pytest.approx(8 / 9 - 1 / 9)
    assert probability.content == pytest.approx(8 / 9 - 1 / 4)
    assert probability.question == pytest.approx(8 / 9 - 2 / 3)
    assert logit.total == pytest.approx(2 * log(8))
    assert logit.content == pytest.approx(log(8) + log(3))
    assert logit.question == pytest.approx(log(8) - log(2))


def test_two_questions_with_one_answer_have_no_effect_to_share_out() -> None:
    assert compute_mediation(logs(0.8, 0.1), logs(0.2, 0.6), logs(0.5, 0.2), logs(0.5, 0.4)) is None


def test_a_small_total_is_not_shared_out() -> None:
    result = compute_mediation(logs(0.5, 0.4), logs(0.5, 0.4), logs(0.5, 0.4), logs(0.4, 0.5))
    assert result is not None
    assert result[0].total == pytest.approx(1 / 9)
    assert result[0].divide_by_total(result[0].content) is None


def test_a_score_has_a_value_or_a_reason() -> None:
    assert Score("deletion.change", 0.0).unit == "fraction"
    assert Score("deletion.change", None, reason="why").reason == "why"
    for value, reason in ((None, None), (1.0, "why")):
        with pytest.raises(MeasureError, match="either a value or a reason"):
            Score("deletion.change", value, reason=reason)
    with pytest.raises(MeasureError, match=r"deletion\.chang.*\n.*deletion\.change"):
        Score("deletion.chang", 0.0)
