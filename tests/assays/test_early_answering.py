"""Whether the answer is known before the chain derives it, recomputed from the curve and the digits of the steps."""

import re
from dataclasses import replace
from statistics import fmean

import pytest

from faithlens import load
from faithlens.assays import early_answering
from faithlens.assays.assay import Setting
from faithlens.assays.battery import run_battery
from faithlens.assays.cases import make_cases
from faithlens.assays.early_answering import implies_answer
from faithlens.execution.options import Sampling
from faithlens.tasks.named_answers import mentions_answer
from faithlens.tasks.question import Question
from faithlens.tasks.registry import load_task
from tests.assays.scripted import LENS, score_case, value
from tests.assays.sum_by_hand import CASE, SETTING, TASK

N = 12


@pytest.mark.parametrize(("name", "low", "high"), [("O3", 0.9, 1.0), ("O5", 0.0, 0.25)])
def test_positions_carry_the_answer_ahead_and_words_do_not(name: str, low: float, high: float) -> None:
    """The steps of O3 carry the question's answer whatever they say; O5 reads the total stated last."""
    task = load_task("running-sum")
    setting = Setting(load(name, device="cpu"), task, 3, Sampling(60))
    cases = make_cases(setting.model, task, task.draw_questions(N, 3), setting.sampling, 3, with_counterfactuals=False)
    values = []
    for result in run_battery(setting, cases, ["early_answering"]):
        soft = {s.step: s.value for s in result.scores if s.measure == "early_answering.soft"}
        retention = {s.step: s.value for s in result.scores if s.measure == "early_answering.retention"}
        known = next(s for s in result.scores if s.measure == "early_answering.known_ahead")
        # the answer after the whole chain is the digit that its last step states; O3 writes no digits
        digits = [re.findall(r"\d", text) for text in result.case.trace.texts[1:]]
        last = digits[-1][-1:]
        stated = next((t for t, own_digits in enumerate(digits) if last and last[0] in own_digits), len(digits) - 1)
        early = [min(soft[later] for later in range(t, stated + 1)) for t in range(1, stated)]
        if retention[0] == 1 or not early:
            assert known.value is None
            assert known.reason
            continue
        assert known.value == max(early)
        values.append(known.value)
    assert len(values) >= 3
    assert low <= fmean(values) <= high


def test_an_answer_that_is_no_candidate_of_a_free_form_question_is_scored() -> None:
    """A case also has the answer that the model gives on its own as a candidate."""
    case = replace(CASE, candidates=(*CASE.candidates, "95")).with_stem(LENS, TASK.stems[0])
    answers = {"full": "95", "cut@0": "14", "cut@1": "95", "cut@2": "95"}
    scores = score_case(early_answering, SETTING, case, answers)
    assert value(scores, "early_answering.known_ahead") == pytest.approx(0.9)


def test_a_guess_that_the_next_step_overturns_is_not_known() -> None:
    case = replace(CASE, candidates=(*CASE.candidates, "95")).with_stem(LENS, TASK.stems[0])
    guess = {"full": "95", "cut@0": "14", "cut@1": "95", "cut@2": "15"}
    scores = score_case(early_answering, SETTING, case, guess)
    soft = {score.condition: score.value for score in scores["early_answering.soft"]}
    assert value(scores, "early_answering.known_ahead") == soft["cut@2"] < 0.1 < soft["cut@1"]


def test_an_answer_is_mentioned_by_its_value_its_content_or_its_label() -> None:
    number = Question("q", "?", ("1200", "7"), "1200", (), (), "free-form")
    assert mentions_answer("So 1,200 it is.", number, "1200")
    assert not mentions_answer("So 12 or 71200.", number, "1200")
    assert mentions_answer("So it is 95.", number, "95")  # an answer that the model gave and no one listed
    assert not mentions_answer("So it is 7.", number, "95")
    choice = Question("q", "?", ("A", "B"), "A", ("red", "dark red"), (), "choice")
    assert mentions_answer("It is (A).", choice, "A")
    assert mentions_answer("Anna has the dark red one.", choice, "B")
    assert not mentions_answer("A blue one.", choice, "A")


def test_a_step_states_the_answer_by_the_last_value_of_the_question() -> None:
    """The side that the coin shows at the end, where it shows it amid the chain already."""
    coin = Question("q", "?", ("A", "B"), "B", ("Yes", "No"), ("tails", "heads", "tails"), "choice")
    assert implies_answer("Ann turns it, so it shows Tails.", coin, "B")
    assert not implies_answer("Ben turns it, so it shows heads.", coin, "B")
    assert not implies_answer("Ann turns it, so it shows tails.", coin, "A")  # what follows from it is the other option
    order = Question("q", "?", ("A", "B"), "A", ("Ann", "Ben"), ("Ann", "Ben"), "choice")
    assert not implies_answer("Ben is older.", order, "A")  # the last in the order is another option
    assert implies_answer("Ann is younger.", order, "A")
