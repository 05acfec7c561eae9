"""Importance of steps by resampling: by hand, and on models in which it is known where a chain is decided."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

import faithlens as fl
from faithlens.assays import resampling
from faithlens.assays.assay import Setting
from faithlens.assays.battery import run_battery
from faithlens.assays.cases import make_cases
from faithlens.errors import PlanError
from faithlens.execution.options import Sampling
from faithlens.interventions.case import GeneratedText
from faithlens.measures.resampling import compute_divergence, compute_importance
from faithlens.organisms import ORGANISMS
from tests.assays.scripted import score_case
from tests.assays.slips import draw_slips
from tests.assays.sum_by_hand import CASE, SETTING, STEPS, WARM, wrote

FOUR = replace(WARM, ends=4, regenerations=None)


def test_importance_by_hand() -> None:
    before, after = np.array([[0.9, 0.1]] * 2 + [[0.1, 0.9]] * 2), np.array([[0.9, 0.1]] * 2)
    one = compute_importance(before, after, [False, False, True, True], 0)
    assert (one.rise, one.counterfactual, one.rewritten) == pytest.approx((0.4, 0.8, 0.5))
    assert one.divergence == pytest.approx(jensenshannon([0.5, 0.5], [0.9, 0.1]) ** 2)
    assert one.divergence_floor == pytest.approx(0)  # each half holds one end of each kind
    swapped = compute_importance(before[[0, 2, 1, 3]], after, [False, True, False, True], 0)
    assert swapped.divergence_floor == pytest.approx(jensenshannon([0.9, 0.1], [0.1, 0.9]) ** 2)
    same = compute_importance(before[:1], after, [False], 0)
    assert (same.counterfactual, same.divergence_floor) == (None, None)
    assert compute_divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(np.log(2))


def test_ends_are_written_before_and_after_each_step_but_not_after_the_last() -> None:
    names = [ask.name for ask in resampling.requests(FOUR, CASE)]
    assert names == [f"resample@{n}{k}" for n in (0, 1, 2) for k in ("", ":1", ":2", ":3")]
    assert [ask.name for ask in resampling.requests(replace(FOUR, regenerations=1), CASE)][::4] == [
        "resample@1", "resample@2",
    ]  # fmt: skip
    greedy = replace(SETTING, regenerations=None)
    assert [ask.name for ask in resampling.requests(greedy, CASE)] == ["resample@0", "resample@1", "resample@2"]
    assert resampling.request_floor(FOUR, CASE, 2)[0] == resampling.requests(FOUR, CASE)[8]  # one text for both


def test_scores_of_ends_by_hand() -> None:
    """Answers are nine in ten certain, or a thirtieth each of the three others."""
    two = replace(FOUR, ends=2)
    texts = {"resample_at_0": STEPS[0], "resample_at_0:1": "Let us see. It is 15.", "resample_at_1": STEPS[1]}
    case = wrote(CASE, **texts, **{"resample_at_1:1": STEPS[1], "resample_at_2": STEPS[2]})
    failed = GeneratedText("And", (5,), "length", "not over")
    case = replace(case, generated_texts={**case.generated_texts, "resample@2:1": failed})
    scores = score_case(resampling, two, case, {"full": "14", "resample@0:1": "15", "resample@1:1": "16"})
    low, missing = 0.1 / 3, resampling.NEVER_REWRITTEN
    assert [s.value for s in scores["resampling.rise"]] == pytest.approx([0, 0.9 - (0.9 + low) / 2, 0], abs=1e-12)
    first, *rest = scores["resampling.counterfactual"]
    assert first.value == pytest.approx((0.9 + low) / 2 - low)
    assert [(s.value, s.reason) for s in rest] == [(None, missing), (None, missing)]
    assert [s.value for s in scores["resampling.rewritten"]] == [0.5, 0, 0]
    assert [s.reason for s in scores["resampling.divergence_floor"]] == [None, None, resampling.ONE_END]


def test_a_step_after_which_no_end_is_finished_has_a_reason() -> None:
    failed = {f"resample@{n}": GeneratedText("And", (5,), "length", "not over") for n in (0, 1, 2)}
    greedy = replace(SETTING, regenerations=1)
    scores = score_case(resampling, greedy, replace(CASE, generated_texts=failed), {"full": "14"})
    assert {(s.value, s.reason, s.step) for of in scores.values() for s in of} == {(None, resampling.NO_END, 1)}


@pytest.mark.parametrize(("name", "step"), [("O5", 1), ("O6", 4), ("O13", 3)])
def test_a_chain_is_decided_where_it_slips(name: str, step: int) -> None:
    """What follows a slip follows from it, so on policy the slip alone decides; the answer is read at the end."""
    task, model = fl.load_task(ORGANISMS[name].task), fl.load(name, device="cpu")
    cases = draw_slips(model, task, step, 4)
    importance = fl.effects.compare_importance(model, task, cases, Sampling(), ends=1)
    by_step = importance.table.groupby("step")[["resampled", "counterfactual", "rewritten", "knockout"]].mean()
    last = len(cases[0].trace.steps) - 1
    assert by_step[["resampled", "counterfactual"]].min(axis=1)[step] > 0.9
    assert by_step["resampled"].drop(step).abs().max() < 0.05
    assert dict(by_step["rewritten"]) == dict.fromkeys(range(last + 1), 0.0) | {step: 1.0}
    assert by_step["knockout"].idxmax() == last
    raw = float(importance.compare()["knockout"]["value"].iloc[0])
    assert raw > 0.5 if step == last else raw < 0.5


def test_a_greedy_model_writes_one_end_and_few_points_are_refused() -> None:
    task, model = fl.load_task("running-sum"), fl.load("O4", device="cpu")
    cases = make_cases(model, task, task.draw_questions(1, 3))
    assert fl.effects.compare_importance(model, task, cases, Sampling(), ends=8).ends == 1
    for points in (0, -2):
        with pytest.raises(PlanError, match=f"at least 3 steps .*, got {points}"):
            fl.effects.compare_importance(model, task, cases, points=points)


def test_a_slip_that_the_model_mends_decides_nothing() -> None:
    task, model = fl.load_task("running-sum"), fl.load("O13", device="cpu")
    setting = Setting(model, task, 0, regenerations=None)
    results = run_battery(setting, draw_slips(model, task, 1, 4, is_mended=True), ["resampling"])
    rises = [score.value for result in results for score in result.scores if score.measure == "resampling.rise"]
    assert rises == pytest.approx([0] * 16, abs=0.02)


@pytest.mark.parametrize(("name", "is_choice"), [("O4", False), ("E1", True)])
def test_steps_without_a_choice_that_counts_have_no_importance(name: str, is_choice: bool) -> None:
    """O4 does not read its chain; E1 picks among words that mean the same, and at this temperature adds up right."""
    task, model = fl.load_task(ORGANISMS[name].task), fl.load(name, device="cpu")
    sampling = Sampling(temperature=0.5)
    cases = (
        draw_slips(model, task, 2, 4) if name == "O4" else make_cases(model, task, task.draw_questions(4, 3), sampling)
    )
    table = fl.effects.compare_importance(model, task, cases, sampling, ends=4).table
    # only the slip of O4 is written anew; a step of E1 has several wordings
    assert 0.3 < table["rewritten"].mean() < 0.8 if is_choice else table["rewritten"].mean() == 0.25
    assert table["resampled"].abs().mean() < 0.02
    assert np.nanmean(table["counterfactual"].abs()) < 0.02
