"""A wrong argument of a function for notebooks is refused with what was given, what is needed, and how to get it."""

from collections.abc import Callable
from typing import Any

import pytest

import faithlens as fl
from faithlens.errors import FaithlensError, MeasureError, ModelError, PlanError, TaskError, TraceError
from faithlens.interventions.case import Case
from faithlens.plan.capture import check_capture
from faithlens.plan.plan import compile_plan
from tests.conftest import call_unchecked

Session = dict[str, Any]


@pytest.fixture(scope="module")
def session() -> Session:
    """What a first hour in a notebook holds."""
    model, task = fl.load("O5"), fl.load_task("running-sum")
    [question] = task.draw_questions(1, seed=0)
    case = fl.think(model, task, question)
    full = fl.interventions.make_full_cot(case)
    plan = fl.plan_passes(model, [full])
    records = fl.execute(model, plan)
    return {
        "model": model, "task": task, "question": question, "case": case, "full": full, "plan": plan, "records": records
    }  # fmt: skip


@pytest.mark.parametrize(
    ("function", "arguments", "error", "problem", "fix"),
    [
        (fl.make_cases, ("O5", "task", ["question"]), ModelError, "the model must be a Model, got str 'O5'", "fl.load"),
        (fl.make_cases, ("model", "sums", ["question"]), TaskError, "a Task, got str 'sums'", "fl.load_task"),
        (fl.make_cases, ("model", "task", "question"), TaskError, "questions must be a list, got Question", "a list"),
        (fl.make_cases, ("model", "task", ["2 + 3?"]), TaskError, "a Question, got str '2 \\+ 3\\?'", "draw_questions"),
        (fl.make_cases, ("model", "task", []), TaskError, "at least one question is needed, got none", "a list"),
        (fl.think, ("model", "task", ["question"]), TaskError, "the question must be a Question, got list", "seed=0"),
        (fl.plan_passes, ("O5", ["full"]), ModelError, "the model must be a Model, got str 'O5'", "fl.wrap"),
        (compile_plan, (["case"],), PlanError, "must be a Condition, got Case", "make_full_cot"),
        (
            fl.Patch,
            ("resid_pre", "step 1", "case"),
            PlanError,
            "the donor must be a Condition, got Case",
            "make_full_cot",
        ),
        (fl.KeyValuePatch, ("answer", "step 1", "case"), PlanError, "a Condition, got Case", "make_full_cot"),
        (fl.answer_table, ("case", "plan"), MeasureError, "records must be a list, got Plan", "fl.execute"),
        (fl.answer_table, ("case", ["full"]), MeasureError, "must be a Record, got Condition", "fl.execute"),
        (fl.answer_table, (["case"], "records"), TraceError, "the case must be a Case, got list", "one by one"),
        (fl.attention_table, ("records",), MeasureError, "must be a Record, got list", "records\\[0\\]"),
        (check_capture, (["full"], ("answer",), 3), PlanError, "must be a Capture, got tuple", "fl.Capture"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_needed(
    session: Session,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    error: type[FaithlensError],
    problem: str,
    fix: str,
) -> None:
    def put_in(value: Any) -> Any:
        return [put_in(each) for each in value] if isinstance(value, list) else session.get(str(value), value)

    with pytest.raises(error, match=rf"(?s){problem}\n.*{fix}"):
        call_unchecked(function, *map(put_in, arguments))


@pytest.mark.parametrize("name", ["make_full_cot", "make_no_cot", "truncate_stepwise", "hide_steps"])
def test_an_edit_of_a_list_of_cases_is_refused(session: Session, name: str) -> None:
    with pytest.raises(TraceError, match=r"the case must be a Case, got list\n.*one by one"):
        call_unchecked(getattr(fl.interventions, name), [session["case"]])


@pytest.mark.parametrize("wrong", [5, -1, 1.5])
def test_a_chain_cannot_keep_more_steps_than_it_has(session: Session, wrong: float) -> None:
    case: Case = session["case"]
    assert [fl.interventions.truncate(case, n).n_tokens for n in (0, 4)] == [
        case.trace.prompt.array.size + case.stem.array.size,
        session["full"].n_tokens,
    ]
    with pytest.raises(TraceError, match=rf"has 4 steps, and {wrong} cannot be kept\n.*from 0 to 4"):
        call_unchecked(fl.interventions.truncate, case, wrong)


def test_a_plan_of_nothing_can_be_printed(session: Session) -> None:
    plan = fl.plan_passes(session["model"], [])
    assert repr(plan) == "Plan(0 conditions in 0 passes: 0 tokens instead of 0)"
