"""From questions to scores on a reasoning model: what it writes is scripted, everything after that is real."""

from collections.abc import Sequence

import pytest

from faithlens.assays import baselines
from faithlens.assays.assay import Setting
from faithlens.assays.battery import run_battery
from faithlens.assays.cases import check_room, choose_stem, sample_chains
from faithlens.errors import ModelError, PlanError
from faithlens.execution.options import Sampling
from faithlens.execution.sample import Continuation
from faithlens.execution.samplers import own
from faithlens.interventions.case import Case, FailedChain
from faithlens.interventions.knockout import hide
from faithlens.interventions.prompt_pieces import make_question_piece
from faithlens.interventions.truncation import make_empty_think, make_full_cot, make_no_cot, truncate, truncate_stepwise
from faithlens.measures.answers import choose_option
from faithlens.model.model import Model
from faithlens.model.structure import Structure
from faithlens.model.trace import Finish
from faithlens.plan.marks import Cut, mark_rows
from faithlens.tasks.question import Question, Stem
from faithlens.tasks.registry import load_task
from tests.conftest import tiny
from tests.model.thinkers import FAMILIES, make_model

PLAIN = tiny("llama")
TASK = load_task("running-sum")
THOUGHTS = "First 5. Then 9.\n"
DONE = THOUGHTS + "</think>\n\nIt is 9."
STEM = Stem("\n\nAnswer: (", ")")


def thinker() -> Model:
    return make_model(FAMILIES["Qwen3"].template, ("<think>", "</think>"))


def script(
    monkeypatch: pytest.MonkeyPatch, model: Model, written: Sequence[str], finishes: Sequence[Finish] = ("stop",) * 8
) -> None:
    """Have the model write these texts, in the order of the prompts: own chains, then the counterfactuals'."""

    def write_texts(
        model: Model, prompts: Sequence[tuple[int, ...]], seeds: Sequence[int], *_: object, **__: object
    ) -> list:
        ids = map(model.encode_continuation, written)
        return [Continuation(*each) for each in zip(map(tuple, prompts), ids, finishes, seeds, strict=False)]

    monkeypatch.setattr(own.OwnSampler, "draw", staticmethod(write_texts))


def sample_one(model: Model) -> Case:
    [chain] = sample_chains(model, TASK, TASK.draw_questions(1, 0))
    assert isinstance(chain, Case)
    return chain


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Case:
    model = thinker()
    script(monkeypatch, model, [DONE, DONE])
    return sample_one(model).with_stem(model, STEM)


def test_every_answer_closes_the_thoughts_first(case: Case) -> None:
    model, [question] = thinker(), TASK.draw_questions(1, 0)
    prompt = f"<u>{question.text}</u><a>\n"
    read = {c.name: model.decode(c.ids) for c in truncate_stepwise(case)}
    assert read == {
        "full": f"{prompt}<think>\nFirst 5. Then 9.\n</think>\n\nAnswer: (",
        "cut@1": f"{prompt}<think>\nFirst 5. </think>\n\nAnswer: (",
        "cut@0": f"{prompt}<think>\n</think>\n\nAnswer: (",
    }
    empty = make_empty_think(case)
    assert empty is not None
    assert model.decode(make_no_cot(case).ids) == f"{prompt}Answer: ("
    assert model.decode(empty.ids) == f"{prompt}<think>\n\n</think>\n\nAnswer: ("
    for condition in (*truncate_stepwise(case), make_no_cot(case), empty):
        assert (condition.pieces[-1].name, condition.options) == ("stem", case.options)
    assert len({c.ids for c in (truncate(case, 0), make_no_cot(case), empty)}) == 3
    assert (case.trace.cot, case.trace.reply) == (THOUGHTS, "\n\nIt is 9.")


def test_hidden_steps_are_hidden_from_the_closing_marker_too(case: Case) -> None:
    hidden = hide(case, "hidden", ("step 0",))
    start, stop = hidden.spans["step 0"]
    rows = [i for i, marks in enumerate(mark_rows(hidden, Structure())) if marks == (Cut(None, start, stop),)]
    assert rows == list(range(len(case.trace), len(hidden.ids)))
    assert thinker().decode(hidden.ids[rows[0] : rows[0] + 1]) == "</think>"


def test_a_finished_thinker_is_scored_and_an_unfinished_one_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    model, questions = thinker(), TASK.draw_questions(3, 0)
    written = [DONE, "First 5. Then 9. The answer is 9.", "First 5. The answer is 5.", DONE, DONE, DONE]
    script(monkeypatch, model, written, ("length", "length", "stop", "stop", "stop", "stop"))
    outcome, cut_off, silent = sample_chains(model, TASK, questions)
    assert isinstance(outcome, Case)
    assert outcome.trace.finish == "stop"  # the limit fell into what it said, and its thoughts were over
    assert cut_off == FailedChain(
        questions[1], 0, f"the model did not close its thoughts within {len(written[1])} tokens"
    )
    assert silent == FailedChain(questions[2], 0, "the model ended its turn without closing its thoughts")
    with pytest.raises(ModelError, match=r"(?s)did not close its thoughts.*--max-new-tokens"):
        choose_stem(model, TASK, [cut_off])
    [result] = run_battery(Setting(model, TASK, 0), [outcome.with_stem(model, STEM)])
    scores = {s.measure: s for s in result.scores if s.condition == "empty_think"}
    logprobs = result.records["empty_think"].logprobs
    assert scores["accuracy.empty_think"].value == float(choose_option(logprobs) == result.case.answer_index)
    same = choose_option(logprobs) == choose_option(result.records["full"].logprobs)
    assert scores["same_answer.empty_think"].value == float(same)
    assert scores["coverage.empty_think"].value == pytest.approx(logprobs.exp().sum().item(), abs=1e-6)
    assert {s.measure for s in result.scores} >= {f"accuracy.{name}" for name in baselines.BASELINES}


def test_a_counterfactual_that_did_not_finish_its_thoughts_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    model = thinker()
    script(monkeypatch, model, [DONE, "First 5."], ("stop", "length"))
    assert sample_one(model).counterfactual is None


def test_thoughts_without_a_word_are_no_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    model = thinker()
    script(monkeypatch, model, ["\n</think>\n\nIt is 9.", DONE])
    [question] = TASK.draw_questions(1, 0)
    assert sample_chains(model, TASK, [question]) == [FailedChain(question, 0, "the model wrote nothing")]


def test_a_model_without_a_think_block_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, PLAIN, [" First 5. Then 9."] * 2)
    case = sample_one(PLAIN).with_stem(PLAIN, STEM)
    assert (case.empty_think_prompt, make_empty_think(case), case.plain_stem) == (None, None, case.stem)
    assert PLAIN.decode(make_full_cot(case).ids).endswith(" First 5. Then 9.\n\nAnswer: (")
    [result] = run_battery(Setting(PLAIN, TASK, 0), [case])
    results = {s.measure: (s.value, s.reason) for s in result.scores if "empty_think" in s.measure}
    none = (None, "this model has no think block")
    assert results == {f"{what}.empty_think": none for what in ("accuracy", "same_answer", "coverage")}


def test_room_is_kept_for_the_closing_marker() -> None:
    model, questions = thinker(), TASK.draw_questions(1, 0)
    question: Question = questions[0]
    longest = max(
        len(make_question_piece(model, TASK, q, "cot").ids)
        for q in (question, TASK.draw_counterfactual(question, 0))
        if q
    )
    left = model.context_length - longest - len(model.encode_continuation("</think>\n\n Answer: 7"))
    check_room(model, TASK, questions, Sampling(left), 0)
    with pytest.raises(PlanError, match="reads at most 512 tokens"):
        check_room(model, TASK, questions, Sampling(left + 1), 0)
