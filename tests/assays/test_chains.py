"""Sampled chains of thought: which models are refused, where a chain ends, and how much room it needs."""

import pytest

from faithlens.assays.cases import check_room, choose_stem, make_chain, make_cot_trace, sample_chains
from faithlens.errors import ModelError, PlanError
from faithlens.execution.options import Sampling
from faithlens.execution.sample import Continuation
from faithlens.interventions.case import FailedChain
from faithlens.tasks.registry import load_task
from tests.conftest import tiny

TASK = load_task("running-sum")


def test_a_model_that_never_answers_is_refused() -> None:
    model, small = tiny("llama"), Sampling(max_new_tokens=20)
    chains = sample_chains(model, TASK, TASK.draw_questions(4, 0), small)
    with pytest.raises(ModelError, match=r"the options hold \d+% of its probability"):
        choose_stem(model, TASK, chains)


def test_a_model_that_writes_nothing_is_refused() -> None:
    model = tiny("llama")
    question = TASK.draw_questions(1, 0)[0]
    empty = make_chain(model, TASK, question, Continuation((5, 6), (), "stop", 0))
    assert empty == FailedChain(question, 0, "the model wrote nothing")
    with pytest.raises(ModelError, match="no chain of thought for running-sum that can be answered"):
        choose_stem(model, TASK, [empty])


@pytest.mark.parametrize(
    ("text", "finish", "steps"),
    [
        ("One is 1. Two is 2. Thr", "length", ("One is 1. ", "Two is 2. ")),
        ("One is 1. Two is 2. Thr", "stop", ("One is 1. ", "Two is 2. ", "Thr")),
        ("One is", "length", ("One is",)),
    ],
)
def test_a_step_the_limit_broke_off_is_left_out(text: str, finish: str, steps: tuple[str, ...]) -> None:
    model = tiny("llama")
    drawn = Continuation(model.encode_prompt("Q"), model.encode_continuation(text), finish, 1)
    trace = make_cot_trace(model, drawn)
    assert trace.texts[1:] == steps
    assert len(trace.steps) == len(steps)
    assert trace.finish == finish


def test_room_is_checked_for_every_question_before_any_is_sampled() -> None:
    model = tiny("llama")
    questions = TASK.draw_questions(5, 0)
    longest = max(len(model.encode_prompt(model.render(q.text, " Steps:"))) for q in questions)
    answer = len(" Answer: 7")
    check_room(model, TASK, questions, Sampling(model.context_length - longest - answer - 1), 0)
    with pytest.raises(PlanError, match=r"(?s)running-sum-.*reads at most 512 tokens.*--max-new-tokens"):
        check_room(model, TASK, questions, Sampling(model.context_length - longest - answer + 2), 0)
