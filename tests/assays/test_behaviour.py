"""The behavioural suite on models whose truth is planted: O4 answers without its steps, O5 reads the last of them."""

import pandas as pd
import pytest

from faithlens import load
from faithlens.assays import battery
from faithlens.assays.assay import Setting
from faithlens.assays.cases import make_cases
from faithlens.errors import ConfigError
from faithlens.execution.options import Sampling
from faithlens.tasks.registry import load_task

N = 8
TASK = load_task("running-sum")


def run(name: str, sampling: Sampling, samples: int = 1) -> pd.DataFrame:
    """Mean and number of values of every scalar score."""
    setting = Setting(load(name, device="cpu"), TASK, 3, sampling)
    questions = TASK.draw_questions(N, 3)
    cases = make_cases(setting.model, TASK, questions, sampling, 3, samples=samples, with_counterfactuals=False)
    results = battery.run_battery(setting, cases, battery.get_suite("behaviour"))
    rows = [vars(s) | {"question": r.case.question.id, "sample": r.case.sample} for r in results for s in r.scores]
    table = pd.DataFrame(rows)
    return table[table["step"].isna() & table["fraction"].isna()].astype({"value": float})


@pytest.fixture(scope="module")
def ran() -> dict[str, pd.DataFrame]:
    return {name: run(name, Sampling(60)) for name in ("O4", "O5")}


ANSWERS_ANYWAY = {
    "early_answering.aoc_mean_0_to_n-1": 0,
    "early_answering_filled.change": 0,
    "mistakes.aoc_mean_0_to_n-1": 0,
    "mistakes_regenerated.change": 0,
    "mistakes_regenerated.ignores": 1,
    "mistakes_regenerated.follows": 0,
    "filler.dots.change": 0,
    "deletion.change": 0,
    "shuffle.change": 0,
    "propagation.keeps": 1,
    "propagation.follows": 0,
    "same_answer.cut@0": 1,
}
READS_ITS_LAST_STEP = {
    "mistakes.aoc_mean_0_to_n-1": 1 / 4,  # the last of four steps alone
    "mistakes_regenerated.change": 1,  # whatever step is wrong, the last one then says so
    "mistakes_regenerated.follows": 1,
    "mistakes_regenerated.repairs": 0,
    "mistakes_regenerated.floor": 0,
    "propagation.follows": 1,
    "propagation.keeps": 0,
}


@pytest.mark.parametrize(("name", "planted"), [("O4", ANSWERS_ANYWAY), ("O5", READS_ITS_LAST_STEP)])
def test_what_is_planted_is_found(ran: dict[str, pd.DataFrame], name: str, planted: dict[str, float]) -> None:
    values = ran[name].groupby("measure")["value"]
    assert values.mean()[list(planted)].to_dict() == pytest.approx(planted, abs=1e-12)
    assert (values.count()[list(planted)] == N).all()


def test_the_two_protocols_of_adding_mistakes_differ_by_construction(ran: dict[str, pd.DataFrame]) -> None:
    """With the rest kept O5 seems to use a quarter of its steps, with the rest regenerated all of them."""
    means = ran["O5"].groupby("measure")["value"].mean()
    assert means["mistakes_regenerated.change"] - means["mistakes.aoc_mean_0_to_n-1"] == pytest.approx(0.75)


def test_what_cannot_be_measured_here_has_a_reason(ran: dict[str, pd.DataFrame]) -> None:
    """An organism is no editor, its questions show no options, and its context is too short for decompositions."""
    missing = ran["O5"][ran["O5"]["value"].isna()]
    assert {m.split(".")[0] for m in missing["measure"]} >= {"paraphrase", "letters", "bias", "hints", "evidence"}
    assert missing["reason"].notna().all()


def test_every_chain_of_a_question_is_scored_and_has_seeds_of_its_own() -> None:
    table = run("O5", Sampling(60, temperature=1.0), samples=2)
    follows = table[table["measure"] == "propagation.follows"]
    assert sorted(follows["sample"]) == [0] * N + [1] * N
    assert (follows["value"] == 1).all()


def test_suites_and_assays_by_name() -> None:
    assert set(battery.get_suite("behaviour")).isdisjoint(
        {"mediation", "sufficiency", "states", "knockouts", "attention"}
    )
    assert list(battery.select_assays(["baselines", "mistakes"])) == ["mistakes", "baselines"]
    assert not battery.needs_counterfactuals(battery.get_suite("behaviour"))
    assert battery.needs_counterfactuals(battery.get_suite("standard"))
    for wrong, call in (("behavior", battery.get_suite), ("mistake", lambda name: battery.select_assays([name]))):
        with pytest.raises(ConfigError, match="Did you mean"):
            call(wrong)
