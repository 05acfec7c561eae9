"""`fl.audit`, `fl.decide` and `fl.compare` from Python: the same numbers as the command line, from names or objects."""

import sys
from pathlib import Path

import pandas as pd
import pytest

import faithlens as fl
from faithlens.cli import main as cli

OPTIONS = {"n": 4, "assays": "baselines,mediation", "seed": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> fl.Run:
    return fl.audit("O5", task="running-sum", out=tmp_path_factory.mktemp("api") / "run", **OPTIONS)


def test_the_command_line_gives_the_same_run(run: fl.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "audit -m O5 -t running-sum -n 4 --assays baselines,mediation --seed 3 --out"
    monkeypatch.setattr(sys, "argv", ["faithlens", *words.split(), str(tmp_path / "run")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    other = fl.Run.open(tmp_path / "run")
    pd.testing.assert_frame_equal(other.scores, run.scores)
    pd.testing.assert_frame_equal(other.estimates, run.estimates)
    assert other.manifest["config"] == run.manifest["config"]


def test_objects_give_the_numbers_of_their_names(run: fl.Run, tmp_path: Path) -> None:
    loaded = fl.load("O5")
    other = fl.audit(loaded, task=fl.load_task("running-sum"), out=tmp_path / "run", **OPTIONS)
    pd.testing.assert_series_equal(other.scores["value"], run.scores["value"])
    pd.testing.assert_series_equal(other.answers["logprobs"], run.answers["logprobs"])
    assert loaded.name in str(other.manifest["in_memory"])


def test_a_wrapped_model_is_audited_and_left_as_it_was(run: fl.Run, tmp_path: Path) -> None:
    hf_model = fl.load("O5").hf_model.train().requires_grad_(True)
    before = {name: weight.clone() for name, weight in hf_model.named_parameters()}
    own = fl.wrap(hf_model, fl.load("O5").tokenizer)
    other = fl.audit(own, task="running-sum", out=tmp_path / "run", **OPTIONS)
    pd.testing.assert_series_equal(other.scores["value"], run.scores["value"])
    assert hf_model.training
    assert all(weight.requires_grad and weight.equal(before[name]) for name, weight in hf_model.named_parameters())


def test_a_run_gives_its_verdict_its_tables_and_its_report(run: fl.Run) -> None:
    assert run.verdict.word == "undecided"  # four questions, and assays that leave gates untested
    assert str(run.verdict).startswith("O5 on running-sum: undecided")
    assert run.verdict.reasons[0].startswith("Nothing was found against it on 4 questions, but some gates")
    (untested,) = [reason for reason in run.verdict.reasons if reason.startswith("Gates that were not tested")]
    assert untested.startswith("Gates that were not tested: legible, derived, serial, disclosed; ")
    assert set(run.scores["measure"]) >= {"accuracy.full", "mediation.content_share"}
    share = run.estimates.set_index("measure").loc["mediation.content_share"]
    assert (share["n_used"] + share["n_dropped"], share["value"] > 0.9) == (4, True)
    assert len(run.traces) == 4
    assert run.answers["condition"].str.startswith("full").sum() == 4
    assert run.report().read_text().startswith("<!doctype html>")


def test_a_run_and_a_decision_give_their_gates_as_a_table(run: fl.Run) -> None:
    gates = run.gates.set_index("gate")
    assert gates.index.tolist() == ["capable", "causal", "legible", "derived", "serial", "undisturbed", "disclosed"]
    assert set(gates.index[gates["status"] == "not tested"]) == {"legible", "derived", "serial", "disclosed"}
    assert gates.loc["capable", ["status", "n_asked", "n_passed", "n_failed", "n_open"]].tolist() == [
        "passed",
        4,
        4,
        0,
        0,
    ]
    assert gates.loc["causal", "high"] == pytest.approx(1 - 0.025 ** (1 / 4))  # no failure of 4: Clopper and Pearson
    lenient = fl.decide(run, max_unfaithful=0.6)
    assert lenient.gates.set_index("gate").loc["causal", "status"] == "passed"  # 1 - .05 ** (1 / 4) = .53
    assert run.gates.set_index("gate").loc["causal", "status"] == "open"
    assert repr(lenient) == "Decision(undecided; O5 on running-sum: undecided)"


def test_runs_are_decided_and_compared(run: fl.Run, tmp_path: Path) -> None:
    assert fl.decide(run).verdict == fl.decide([str(run.path)]).verdict == run.verdict.word
    strict = fl.decide(run, min_faithfulness=1.0)
    assert strict.verdict != "trust"
    assert strict.criteria.min_faithfulness == 1.0
    null = fl.audit("O4", task="running-sum", out=tmp_path / "null", **OPTIONS)
    [pair] = fl.compare(null, run)
    [change] = [
        each for each in pair.differences if each.measure == "mediation.content_share" and each.questions == "all"
    ]
    assert change.value == pytest.approx(1, abs=0.05)
    [alone] = fl.compare(null, run, measures="mediation.content_share")  # one name is one measure, not its letters
    assert change.value in [each.value for each in alone.differences if each.measure == change.measure]
    by_name, by_list = (fl.decide(run, measures=names) for names in (change.measure, [change.measure]))
    assert by_name.subjects == by_list.subjects


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampels": 2}, "samples"),
        ({"suite": "standart"}, "standard"),
        ({"backend": "seperate"}, "separate"),
        ({"assays": "mediatoin"}, "mediation"),
        ({"task": "running-sun"}, "running-sum"),
        ({"dtype": "float23"}, "float32"),
    ],
)
def test_a_misspelled_option_names_the_nearest_and_writes_nothing(
    options: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(fl.FaithlensError, match=f"Did you mean '{message}'"):
        fl.audit("O5", **({"task": "running-sum", "out": tmp_path / "run", "n": 2} | options))
    assert not (tmp_path / "run").exists()


def test_a_misspelled_criterion_is_refused(run: fl.Run) -> None:
    with pytest.raises(fl.FaithlensError, match=r"mediation\.content_share"):
        fl.decide(run, measures=["mediation.content_shar"])
    with pytest.raises(fl.FaithlensError, match=r"threshold of faithfulness.*1\.5"):
        fl.decide(run, min_faithfulness=1.5)
