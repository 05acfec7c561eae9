"""A dry run samples few chains, and its estimate holds for all of them."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from typer.testing import CliRunner

from faithlens.assays.cases import Chain, sample_chains
from faithlens.cli.main import app
from faithlens.commands.gate_costs import GateNeed, RunSeconds, divide_seconds, format_duration
from faithlens.commands.prepare import estimate_audit
from faithlens.config import AuditConfig, Subject
from faithlens.execution.options import Sampling
from faithlens.interventions.case import FailedChain
from faithlens.model.model import Model
from faithlens.tasks.question import Question, Task
from faithlens.tasks.running_sum import RunningSum


def config(n: int) -> AuditConfig:
    return AuditConfig(
        subjects=(Subject("O5", "running-sum"),),
        n=n,
        device="cpu",
        sampling=Sampling(max_new_tokens=60),
        assays=("baselines",),
    )


def test_a_dry_run_samples_the_chains_of_two_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of 20 questions comes from few chains: both the chain and its counterfactual's for each question."""
    sampled = list[str]()

    def count(model: Model, task: Task, questions: Sequence[Question], *args: Any, **options: Any) -> list[Chain]:
        sampled.extend(question.id for question in questions)
        return sample_chains(model, task, questions, *args, **options)

    monkeypatch.setattr("faithlens.commands.prepare.sample_chains", count)
    [cost] = estimate_audit(config(20))
    assert sampled == [question.id for question in RunningSum().draw_questions(20, 0)[:2]]
    assert cost.chains == 20


def test_a_dry_run_samples_a_whole_batch_where_two_chains_cannot_be_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = list[int]()

    def fail_twice(model: Model, task: Task, questions: Sequence[Question], *args: Any, **options: Any) -> list[Chain]:
        batches.append(len(questions))
        chains = sample_chains(model, task, questions, *args, **options)
        return [FailedChain(chain.question, 0, "the model wrote nothing") for chain in chains[:2]] + chains[2:]

    monkeypatch.setattr("faithlens.commands.prepare.sample_chains", fail_twice)
    [cost] = estimate_audit(config(6))
    assert batches == [2, 6]
    assert cost.chains == 6


def test_seconds_are_divided_by_rows_and_by_the_characters_of_texts() -> None:
    """The example of the module, and a text of 30 characters that two gates share next to one of 10 of the second."""
    causal, serial, unread = GateNeed([], 300, ()), GateNeed([], 50, ("rest@0",)), GateNeed([], 50, ())
    assert divide_seconds(RunSeconds(10.0, 4.0, 12.0), [causal, serial, unread], {"rest@0": 7}) == [9.0, 5.5, 1.5]
    sharing, owning = GateNeed([], 0, ("shared",)), GateNeed([], 0, ("shared", "own"))
    parts = divide_seconds(RunSeconds(0.0, 8.0, 1.0), [sharing, owning, GateNeed([], 0, ())], {"shared": 30, "own": 10})
    assert parts == [3.0, 5.0, 1.0]  # what nothing can be divided by is the last part's


def test_durations() -> None:
    assert [format_duration(each) for each in (0.04, 5.27, 53.4, 240.0)] == ["0.0 s", "5.3 s", "53 s", "4 min"]


def test_the_seconds_of_the_gates_add_up_to_those_of_the_run() -> None:
    """With an assay that no gate reads (deletion), and texts that only the gate `serial` needs."""
    command = "audit --model O5 --task running-sum -n 20 --max-new-tokens 60 --device cpu --json --dry-run --assays"
    assays = "baselines,stated,derivation,rewording,mistakes_regenerated,mediation,deletion"
    output = CliRunner().invoke(app, [*command.split(), assays]).stdout
    [cost] = json.loads(output)["subjects"]
    gates = {gate["gate"]: gate for gate in cost["gates"]}
    parts = [gate["seconds"] for gate in gates.values()]
    assert sum(parts) + cost["other_seconds"] + cost["chain_seconds"] == pytest.approx(cost["seconds"], rel=1e-9)
    assert min(*parts[:6], cost["other_seconds"], cost["chain_seconds"]) > 0
    assert gates["disclosed"]["seconds"] == 0  # its assays are not in the run
    a_row = gates["capable"]["seconds"] / gates["capable"]["rows"]
    for name in ("causal", "legible", "derived", "undisturbed"):
        assert gates[name]["seconds"] == pytest.approx(gates[name]["rows"] * a_row, rel=1e-9), name
    assert gates["serial"]["texts"] == cost["texts"] > 0
    assert gates["serial"]["seconds"] > gates["serial"]["rows"] * a_row  # it pays for all texts


def test_the_terminal_shows_the_seconds_of_each_gate() -> None:
    command = "audit --model O5 --task running-sum -n 4 --max-new-tokens 60 --device cpu --dry-run --assays derivation"
    words = " ".join(CliRunner().invoke(app, command.split()).stdout.split())
    assert re.search(r"derived about [\d.]+ s: 1 edited version in \d+ rows", words)
    assert re.search(r"no gate about [\d.]+ s: .* chains about [\d.]+ s: the chains of thought themselves", words)
