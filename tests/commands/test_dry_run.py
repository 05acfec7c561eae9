"""A dry run samples few chains, and its estimate holds for all of them."""

from collections.abc import Sequence
from typing import Any

import pytest

from faithlens.assays.cases import Chain, sample_chains
from faithlens.commands.prepare import estimate_audit
from faithlens.config import AuditConfig, Subject
from faithlens.execution.sample import Sampling
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
