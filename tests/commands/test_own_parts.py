"""A task, an assay and a measure of a user's own: what is wrong with one is said before or where it is used."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

import faithlens as fl
from faithlens.assays.battery import collect_conditions, score_case
from faithlens.commands.audit import make_audit_config
from faithlens.commands.identity import hash_questions
from faithlens.commands.prepare import draw_questions
from faithlens.errors import ConfigError, MeasureError, RunError, TaskError
from faithlens.measures.catalogue import Measure, registry
from faithlens.plan.capture import Record
from tests.assays.sum_by_hand import CASE, SETTING
from tests.conftest import call_unchecked

FIELDS = {
    "name": "own.change", "label": "own", "meaning": "The answer changes.", "unit": "fraction", "kind": "yes/no",
    "range": (0.0, 1.0), "direction": 1, "assay": "own",
}  # fmt: skip
STEMS = (fl.tasks.Stem(" So ", "."),)
SENTENCE = fl.measures.Askable("of the last step", "the last step changes the answer on {}")


class Own:
    """An assay that returns what it is made with."""

    name = "own"

    def __init__(self, conditions: Any = (), scores: Any = ()) -> None:
        self._conditions, self._scores = conditions, scores

    def conditions(self, setting, case):
        return self._conditions

    def score(self, setting, case, records):
        return self._scores


class Two:
    """A task with two questions, or with what it is made with."""

    name, size = "two", None

    def __init__(self, questions: Any = None, stems: Any = STEMS, prompt: Any = None) -> None:
        self._questions, self.stems, self._prompt = questions, stems, prompt

    def draw_questions(self, n, seed):
        two = [fl.tasks.Question(f"q{i}", f"{i} + 1?", ("1", "2"), str(i + 1), form="free-form") for i in range(2)]
        return two if self._questions is None else self._questions

    def make_prompt(self, question, strategy):
        return fl.tasks.Prompt(question.text, "") if self._prompt is None else self._prompt

    def draw_counterfactual(self, question, seed):
        return None

    def misstate(self, step, question, rng):
        return None


def draw_from(task: Any) -> list[fl.tasks.Question]:
    config, objects = call_unchecked(make_audit_config, "O5", task, 2)
    return draw_questions(config, config.subjects[0], objects)[1]


def test_a_task_is_taken_as_an_object_or_as_a_class() -> None:
    assert [question.id for question in draw_from(Two())] == ["q0", "q1"]
    assert isinstance(call_unchecked(fl.load_task, Two), Two)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Two(stems=" So "), r"`stems` of the task .* must be a list, got str ' So '\n.*fl.tasks.Stem"),
        (Two(stems=(" So ",)), r"each of `stems` of the task .* must be a Stem, got str"),
        (Two(questions=[]), r"the task two gave no question\nCorrect `draw_questions`"),
        (
            Two(questions=["1 + 1?"]),
            r"each element of what `draw_questions` returns must be a Question, got str '1 \+ 1\?'",
        ),
        (
            Two(questions=[fl.tasks.Question("q", "1 + 1?", ("1", "2"), "3", form="free-form")]),
            r"the answer '3' of the question 'q' is none of its candidates, 1, 2\n",
        ),
    ],
)
def test_a_wrong_task_is_refused_with_what_to_write(task: Two, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        draw_from(task)


def test_an_answer_in_another_spelling_is_a_candidate() -> None:
    question = fl.tasks.Question("q", "600 + 600?", ("1200", "1"), "1,200", form="free-form")
    assert draw_from(Two(questions=[question])) == [question]


def test_a_prompt_that_is_a_text_is_refused() -> None:
    task = Two(prompt="1 + 1?")
    with pytest.raises(TaskError, match=r"must be a Prompt, got str '1 \+ 1\?'\nReturn fl.tasks.Prompt\(text"):
        hash_questions(task, task.draw_questions(2, 0))


def test_a_single_assay_needs_no_list() -> None:
    config, objects = make_audit_config("O5", "running-sum", 2, assays=Own())
    assert config.assays == ("own",)
    assert list(objects.assays) == ["own"]


def test_what_an_assay_returns_is_checked() -> None:
    full = fl.interventions.make_full_cot(CASE)
    assert collect_conditions(SETTING, CASE, {"own": Own(conditions=[full])}) == [full]
    with pytest.raises(MeasureError, match=r"`conditions` of the assay own returns must be a list, got Condition\n"):
        collect_conditions(SETTING, CASE, {"own": Own(conditions=full)})
    for scores, message in ((0.5, "must be a list, got float"), ([0.5], "must be a Score, got float")):
        with pytest.raises(MeasureError, match=rf"`score` of the assay own.* {message}\n.*fl.assays.Score"):
            score_case(SETTING, CASE, {}, {"own": Own(scores=scores)})


def test_a_score_names_a_condition_that_ran_and_a_place_in_the_chain() -> None:
    record = {"cut@0": Record(fl.interventions.make_full_cot(CASE), torch.zeros(len(CASE.candidates)))}
    for score in (fl.assays.Score("accuracy.full", 1.0), fl.assays.Score("accuracy.full", 1.0, "cut@0")):
        assert score_case(SETTING, CASE, record, {"own": Own(scores=[score])}).scores == [score]
    wrong = fl.assays.Score("accuracy.full", 1.0, "cut@O")
    with pytest.raises(MeasureError, match=r"unknown condition of a score of the assay own 'cut@O'\n.*'cut@0'"):
        score_case(SETTING, CASE, record, {"own": Own(scores=[wrong])})
    for place in ({"step": -1}, {"fraction": -0.1}, {"fraction": 1.5}, {"fraction": float("nan")}):
        with pytest.raises(MeasureError, match="of the chain"):
            fl.assays.Score("accuracy.full", 1.0, **place)


def test_a_value_must_be_a_number() -> None:
    with pytest.raises(
        MeasureError, match=r"must be a number, got str '1'\nWrite Score\('accuracy.full', float\(value"
    ):
        call_unchecked(fl.assays.Score, "accuracy.full", "1")


def test_a_verdict_can_rest_on_a_measure_that_says_how_it_is_stated(
    tmp_path: Path, register_measure: Callable[..., Measure]
) -> None:
    register_measure(**FIELDS)
    run = fl.Run.create(tmp_path / "run", {"config": {}, "seed": 0})
    with pytest.raises(ConfigError, match=r"no verdict can rest on the measure 'own.change'.*\n.*needs `askable`"):
        fl.decide(run, measures="own.change")
    with pytest.raises(MeasureError, match=r"`askable` of the measure 'own.change' must be a Askable, got bool\n"):
        call_unchecked(Measure, **FIELDS, askable=True)
    with pytest.raises(MeasureError, match=r"the measure must be a Measure, got str 'own.change'\n"):
        call_unchecked(fl.measures.register_measure, "own.change")


def test_a_run_describes_the_measure_on_which_a_verdict_rests(
    tmp_path: Path, register_measure: Callable[..., Measure]
) -> None:
    described = asdict(register_measure(**FIELDS, askable=SENTENCE))
    fl.Run.create(tmp_path / "run", {"config": {}, "seed": 0, "measures": {"own.change": described}})
    del registry._CATALOGUE["own.change"]  # as in the command `faithlens decide`, which has not registered it
    with pytest.raises(RunError, match=r"holds no|not finished|verdict"):  # the measure is known, and the run is empty
        fl.decide(str(tmp_path / "run"), measures="own.change")
    assert fl.measures.get_measure("own.change").askable == SENTENCE
