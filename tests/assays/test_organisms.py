"""All assays on the models whose truth is planted, and on a model that has nothing to say."""

import dataclasses
import json
import re
from collections import Counter
from itertools import product

import pandas as pd
import pytest
from scipy.stats import linregress

from faithlens import load
from faithlens.assays import battery, mediation, paraphrase
from faithlens.assays.assay import Assay, Setting
from faithlens.assays.battery import CaseResult
from faithlens.assays.cases import choose_stem, derive_chain_seed, sample_chains
from faithlens.execution.execute import execute
from faithlens.execution.options import Sampling
from faithlens.interventions.case import Case
from faithlens.measures.answers import choose_option, total_variation
from faithlens.organisms import ORGANISMS, find_weights
from faithlens.plan.memory import plan_passes
from faithlens.plan.plan import compile_plan
from faithlens.stats import grid
from faithlens.tasks.registry import load_task
from faithlens.tasks.rewrite_requests import find_paraphrase_fault
from faithlens.tasks.running_sum import read_mode
from tests.execution.exact import differences, execute_exactly

N = 24
TASK = load_task("running-sum")
STANDARD = battery.select_assays(battery.SUITES["standard"])
CORE = ["baselines", "early_answering", "mistakes", "mediation", "sufficiency", "states", "knockouts", "attention"]
"""What the tests below read of organisms other than O4 and O5, which run the whole standard suite."""


class Ran:
    """An organism, and everything measured on it."""

    def __init__(self, name: str) -> None:
        task = load_task(ORGANISMS[name].task)
        self.setting = Setting(load(name, device="cpu"), task, seed=3)
        self.chains = sample_chains(self.setting.model, task, task.draw_questions(N, 3), seed=3)
        self.chosen = choose_stem(self.setting.model, task, self.chains)
        self.cases = [
            chain.with_stem(self.setting.model, self.chosen.stem) for chain in self.chains if isinstance(chain, Case)
        ]
        assert len(self.cases) == N
        self.results = battery.run_battery(self.setting, self.cases, list(STANDARD) if name in ("O4", "O5") else CORE)
        self.scores = table(self.results)

    def values(self, measure: str) -> pd.Series:
        result = self.scores[self.scores["measure"] == measure]["value"]
        assert result.notna().all()
        return result.astype(float)


def table(results: list[CaseResult]) -> pd.DataFrame:
    rows = [{"model": "m", "task": "t", "question": r.case.question.id, **vars(s)} for r in results for s in r.scores]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def ran() -> dict[str, Ran]:
    return {name: Ran(name) for name in ORGANISMS}


def cells(one: Ran) -> Counter[str]:
    return Counter(grid.find_cells(one.scores)["cell"])


@pytest.mark.parametrize("name", ["O4", "E2"])
def test_the_steps_of_null_chains_do_exactly_nothing(ran: dict[str, Ran], name: str) -> None:
    one = ran[name]
    nothing = ("mediation.content", "mediation.relay", "knockout.steps", "knockout.step_raw")
    for measure in (*nothing, "states.step", "states.step_raw", "states.step_null", "sufficiency.step"):
        assert one.values(measure).abs().max() <= 1e-6
    assert one.values("early_answering.tv").max() <= 0.05  # a cut moves the answer row to another position
    assert set(one.values("early_answering.aoc_trapezoid_0_1")) == {0.0}
    assert set(one.values("mistakes.aoc_mean_0_to_n-1")) == {0.0}
    assert cells(one)["decorative"] >= 0.95 * N


@pytest.mark.parametrize("name", ["O5", "E1"])
def test_the_answer_of_scratchpads_is_their_steps(ran: dict[str, Ran], name: str) -> None:
    one = ran[name]
    assert cells(one)["content-mediated"] >= 0.95 * N
    assert one.values("mediation.content_share").mean() > 0.95
    # next to nothing: the steps themselves saw the question, and the prompt's last word opens them
    assert one.values("mediation.question").abs().max() <= 1e-3
    assert one.values("knockout.question").abs().max() <= 1e-3
    assert one.values("mediation.relay").abs().max() <= 1e-3


def test_a_mistake_moves_o5_in_its_last_step_alone(ran: dict[str, Ran]) -> None:
    scores = ran["O5"].scores
    retained = scores[scores["measure"] == "mistakes.retention"].groupby("step")["value"].mean()
    assert list(retained.index) == [0, 1, 2, 3]
    assert retained[:2].min() >= 0.95
    assert retained[2] >= 0.95
    assert retained[3] <= 0.05
    for result in ran["O5"].results:
        text = result.case.candidates[choose_option(result.records["mistake@3"].logprobs)]
        wrong = result.records["mistake@3"].condition.pieces[4]
        assert ran["O5"].setting.model.decode(wrong.ids).endswith(f"get {text}.")


@pytest.mark.parametrize("measure", ["states.step_raw", "sufficiency.step"])
def test_the_last_state_of_o5_is_needed_and_suffices(ran: dict[str, Ran], measure: str) -> None:
    scores = ran["O5"].scores
    by_step = scores[scores["measure"] == measure].groupby("step")["value"].mean()
    assert by_step[3] >= 0.95
    assert by_step[:3].abs().max() <= 0.02


def test_steps_that_do_not_line_up_have_no_state_effect(ran: dict[str, Ran]) -> None:
    one = ran["O5"]
    case = one.cases[0]
    assert case.counterfactual is not None
    counterfactual = dataclasses.replace(
        case.counterfactual, pieces=case.counterfactual.pieces[:-1], texts=case.counterfactual.texts[:-1]
    )
    [result] = battery.run_battery(one.setting, [dataclasses.replace(case, counterfactual=counterfactual)])
    results = {s.measure: s.reason for s in result.scores if s.measure.startswith(("states.", "sufficiency."))}
    assert "do not stand at the same positions" in str(results["states.step"])
    assert "has another number of steps" in str(results["sufficiency.step"])


def test_organisms_are_right_with_their_steps(ran: dict[str, Ran]) -> None:
    for name, one in ran.items():
        assert one.chosen.coverage > 0.95
        assert one.values("accuracy.full").mean() >= 0.95 or name == "O9"  # most of its questions carry a hint
        assert set(one.values("accuracy.chance")) == {0.1}
    for name in ("O4", "E2"):
        assert ran[name].values("accuracy.no_cot").mean() >= 0.95
    for name in ("O3", "O5", "O10", "E1"):
        assert ran[name].values("accuracy.no_cot").mean() < 0.5


@pytest.mark.parametrize("name", ["O3", "O10"])
def test_the_positions_of_relays_are_everything_and_their_words_nothing(ran: dict[str, Ran], name: str) -> None:
    one = ran[name]
    assert all(len(case.trace.steps) == 4 for case in one.cases)
    assert one.values("mediation.content").abs().max() <= 0.05
    assert one.values("mediation.question_share").mean() > 0.95
    assert one.values("knockout.steps").mean() > 0.8
    assert one.values("knockout.question").abs().max() <= 1e-6  # hides what the answer never sees
    assert cells(one)["positions"] >= 0.95 * N


def test_words_that_say_nothing_cannot_be_wrong(ran: dict[str, Ran]) -> None:
    assert set(ran["O3"].values("mediation.content")) == {0.0}
    assert len({case.trace.texts[1:] for case in ran["O3"].cases}) == 1
    scores = ran["O3"].scores
    assert scores[scores["measure"] == "mistakes.retention"]["value"].isna().all()
    retained = ran["O10"].scores.query("measure == 'mistakes.retention'").groupby("step")["value"].mean()
    assert list(retained.index) == [0, 1, 2, 3]
    assert retained.min() >= 0.95


@pytest.mark.parametrize("name", ["O3", "O10"])
def test_relays_give_the_other_questions_answer_through_the_same_words(ran: dict[str, Ran], name: str) -> None:
    assert ran[name].values("mediation.relay_share").mean() > 0.95
    for result in ran[name].results:
        relayed, other = (result.records[each].logprobs for each in ("relay", "swap_question"))
        assert total_variation(relayed, other) <= 1e-5
        assert total_variation(relayed, result.records["full"].logprobs) > 0.8, result.case.question.id


@pytest.mark.parametrize(("name", "moved"), [("O4", 1e-6), ("O5", 1e-3)])
def test_other_organisms_relay_nothing(ran: dict[str, Ran], name: str, moved: float) -> None:
    records = [result.records for result in ran[name].results]
    assert max(total_variation(each["relay"].logprobs, each["full"].logprobs) for each in records) <= moved


def measure_mediation(one: Ran, n: int) -> pd.DataFrame:
    """Mediation alone on `n` questions: columns mode, measure, value."""
    setting, model = one.setting, one.setting.model
    chains = sample_chains(model, setting.task, setting.task.draw_questions(n, 5), seed=5)
    cases = [chain.with_stem(model, one.chosen.stem) for chain in chains if isinstance(chain, Case)]
    requests = [mediation.conditions(setting, case) for case in cases]
    records = iter(execute(model, plan_passes(model, [condition for each in requests for condition in each])))
    return pd.DataFrame(
        {"mode": read_mode(case.question).split()[0], "measure": score.measure, "value": score.value}
        for case, each in zip(cases, requests, strict=True)
        for score in mediation.score(setting, case, {condition.name: next(records) for condition in each})
    )


@pytest.mark.parametrize("name", ["O1", "O2", "O9"])
def test_mediation_measures_the_certified_reliance(ran: dict[str, Ran], name: str) -> None:
    certified = json.loads((find_weights(name) / "certificate.json").read_text())["reliance"]
    result = measure_mediation(ran[name], 100).groupby(["measure", "mode"])["value"].mean()
    for measure, truth in (("content", lambda x: x), ("question", lambda x: 1 - x)):
        mean = result[f"mediation.{measure}"]
        fit = linregress([truth(certified[word]["value"]) for word in mean.index], mean)
        assert len(mean) == len(certified)
        assert abs(fit.slope - 1) < 0.1
        assert abs(fit.intercept) < 0.05


@pytest.mark.parametrize("name", ["O4", "O5"])
def test_packed_is_separate(ran: dict[str, Ran], name: str) -> None:
    one = ran[name]
    model = one.setting.model
    plan = compile_plan(battery.collect_conditions(one.setting, one.results[0].case, STANDARD), model.structure)
    truth = execute_exactly(model, plan, battery.make_capture(STANDARD), backend="separate")
    assert (
        max(differences(execute_exactly(model, plan, battery.make_capture(STANDARD), backend="packed"), truth)) < 1e-12
    )


def test_batches_and_budgets_change_no_number(ran: dict[str, Ran]) -> None:
    one = ran["O5"]
    for a, b in zip(one.results, battery.run_battery(one.setting, one.cases[:3], budget=150), strict=False):
        assert [s.value for s in a.scores] == pytest.approx([s.value for s in b.scores], abs=1e-5)


def test_every_assay_reads_only_what_it_asked_for(ran: dict[str, Ran]) -> None:
    """So each published test can be run alone."""
    one = ran["O5"]
    case, records = one.results[0].case, one.results[0].records  # with the texts that were written for it
    alone = []
    for assay in STANDARD.values():
        assert isinstance(assay, Assay)
        requests = {c.name: records[c.name] for c in assay.conditions(one.setting, case)}
        alone += assay.score(one.setting, case, requests)
    assert alone == one.results[0].scores


def test_shared_conditions_run_once_and_mean_the_same(ran: dict[str, Ran]) -> None:
    one = ran["O5"]
    case = one.results[0].case
    requests = [c for assay in STANDARD.values() for c in assay.conditions(one.setting, case)]
    by_name = {c.name: c for c in requests}
    assert all(by_name[c.name] == c for c in requests)
    assert battery.collect_conditions(one.setting, case, STANDARD) == list(by_name.values())


def test_attention_of_the_answer_is_a_share(ran: dict[str, Ran]) -> None:
    steps, prompt = {}, {}
    for name, one in ran.items():
        result = one.scores[one.scores["measure"] == "attention.span"]
        steps[name] = result[result["step"].notna()].groupby("question")["value"].sum()
        prompt[name] = result[result["step"].isna()].set_index("question")["value"]
        assert (steps[name] + prompt[name] <= 1 + 1e-5).all()
    assert steps["O4"].max() == 0
    assert prompt["O4"].min() > 0.1
    assert steps["O5"].min() > 0.1
    assert prompt["O5"].max() < 0.05


# --- chains in sentences ---


@pytest.fixture(scope="module")
def sentences(ran: dict[str, Ran]) -> dict[str, list[CaseResult]]:
    edited = ["mistakes", "paraphrase", "shuffle", "propagation"]
    return {name: battery.run_battery(ran[name].setting, ran[name].cases, edited) for name in ("E1", "E2")}


def mean(results: list[CaseResult], measure: str) -> float:
    result = table(results).query("measure == @measure")["value"]
    assert result.notna().all()
    return float(result.mean())


def test_other_words_by_the_task_move_neither_organism(sentences: dict[str, list[CaseResult]]) -> None:
    for results in sentences.values():
        edits = [edit for r in results for edit in r.edits if edit.kind == "paraphrase"]
        assert len(edits) == 3 * N
        assert {(edit.by, edit.invalid) for edit in edits} == {("the task", None)}
        assert all(find_paraphrase_fault(edit.before, edit.after) is None for edit in edits)
        assert not any("other words" in name for r in results for name in r.case.generated_texts)
        assert mean(results, "paraphrase.change") <= 0.02
        assert mean(results, "paraphrase.accuracy") >= 0.95


def test_an_editor_that_is_asked_for_rewords_where_the_task_could(ran: dict[str, Ran]) -> None:
    one = ran["E1"]
    requests = paraphrase.request_paraphrases(dataclasses.replace(one.setting, uses_task_edits=False), one.cases[0])
    assert [ask.name for ask in requests] == [f"other words for {i}, try 0" for i in range(3)]


def test_a_mistake_in_the_last_sentence_moves_e1_and_none_moves_e2(sentences: dict[str, list[CaseResult]]) -> None:
    retained = {
        name: table(results).query("measure == 'mistakes.retention'").groupby("step")["value"].mean()
        for name, results in sentences.items()
    }
    assert retained["E1"][:3].min() >= 0.95
    assert retained["E1"][3] <= 0.05
    assert list(retained["E2"]) == [1.0] * 4
    assert mean(sentences["E1"], "propagation.follows") >= 0.95
    assert mean(sentences["E2"], "propagation.follows") == 0


def test_e1_answers_what_its_last_sentence_says_in_another_order(
    ran: dict[str, Ran], sentences: dict[str, list[CaseResult]]
) -> None:
    """Unless that is the opening sentence, which never stood after others."""
    model, text = ran["E1"].setting.model, []
    for i, r in product(range(3), sentences["E1"]):
        record = r.records[f"shuffle:{i}"]
        _, *middle, last, _ = (model.decode(piece.ids) for piece in record.condition.pieces)
        if r.case.trace.texts[1] in middle:
            stated = re.findall(r"\d", last)[-1]
            text.append(r.case.candidates[choose_option(record.logprobs)] == stated)
    assert len(text) > N
    assert sum(text) >= 0.95 * len(text)
    assert mean(sentences["E1"], "shuffle.change") >= 0.5
    assert mean(sentences["E2"], "shuffle.change") == 0


# --- from questions to cases ---


def test_chains_depend_on_seed_and_question_alone(ran: dict[str, Ran]) -> None:
    model, warm = ran["O5"].setting.model, Sampling(temperature=2.0, max_new_tokens=40)
    questions = TASK.draw_questions(4, 3)
    together = sample_chains(model, TASK, questions, warm, 3)
    assert sample_chains(model, TASK, questions[2:3], warm, 3) == together[2:3]
    assert sample_chains(model, TASK, questions, warm, 4) != together
    assert isinstance(together[0], Case)
    assert together[0].trace.seed == derive_chain_seed(3, questions[0])


def test_a_counterfactual_wrote_its_own_chain(ran: dict[str, Ran]) -> None:
    for d in ran["O5"].cases:
        counterfactual = TASK.draw_counterfactual(d.question, 3)
        assert d.counterfactual is not None
        assert counterfactual is not None
        assert d.counterfactual.texts[0] == f"<bos>{counterfactual.text} Steps:"
        assert d.counterfactual.cot.endswith(f"{counterfactual.answer}.")


def test_a_counterfactual_without_a_chain_is_no_counterfactual(ran: dict[str, Ran]) -> None:
    one = ran["O5"]
    alone = dataclasses.replace(one.cases[0], counterfactual=None)
    scores = battery.run_battery(one.setting, [alone])[0].scores
    result = [s for s in scores if s.measure.startswith("mediation.")]
    assert {s.value for s in result} == {None}
    assert {s.reason for s in result} == {
        "no counterfactual of this question is known, or the model wrote no chain of thought for it"
    }
