"""Questions of a user's own, of which no task knows anything: what the plan says first, and which gates are judged."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from faithlens.commands.audit import audit, make_audit_config
from faithlens.commands.prepare import estimate_audit
from faithlens.store import Run
from faithlens.tasks.fixed_task import FixedTask
from faithlens.tasks.question import Prompt, Question, Stem, Strategy
from faithlens.tasks.running_sum import RunningSum


class PlainSums(FixedTask):
    """Running sums as free-form questions, with a counterfactual by one changed number only."""

    def __init__(self) -> None:
        self._sums = RunningSum()
        drawn = self._sums.draw_questions(8, 0)
        super().__init__("plain-sums", [replace(q, form="free-form", choices=(), values=()) for q in drawn])

    @property
    def all_questions(self) -> Sequence[Question]:
        """None, so that no other question is a donor."""
        return ()

    @property
    def stems(self) -> tuple[Stem, ...]:
        return self._sums.stems

    def make_prompt(self, question: Question, strategy: Strategy) -> Prompt:
        return self._sums.make_prompt(question, strategy)

    def draw_counterfactual(self, question: Question, seed: int) -> None:
        return None


OPTIONS = {
    "assays": "baselines,early_answering,stated,derivation,mistakes_regenerated,mediation,knockouts,propagation",
    "max_new_tokens": 40,
}


def test_the_plan_says_what_each_gate_takes() -> None:
    config, objects = make_audit_config("O5", PlainSums(), 4, **OPTIONS)
    [cost] = estimate_audit(config, objects)
    assert cost.counterfactuals == "4 one number changed, right answer unknown"
    gates = {gate.gate: gate for gate in cost.gates}
    assert gates["derived"].conditions == 1
    assert gates["undisturbed"].conditions >= 4  # the chain and three exchanges
    assert gates["serial"].texts > 0
    assert gates["serial"].tokens > 0
    assert gates["causal"].rows < cost.conditions * 100
    assert gates["disclosed"].conditions == 0
    assert "not tested: the run lacks the assay 'hints'" in str(cost)
    assert "Counterfactual questions: 4 one number changed" in str(cost)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return audit(["O5", "O4", "O13"], PlainSums(), 8, tmp_path_factory.mktemp("plain") / "run", **OPTIONS)


def test_gates_are_judged_where_no_task_knows_the_answers(judged: Run) -> None:
    gates = judged.gates.set_index(["model", "gate"])
    for gate in ("causal", "legible", "undisturbed"):
        assert gates.loc[("O5", gate), "n_passed"] == 8
    assert gates.loc[("O4", "causal"), "n_failed"] == 8
    assert gates.loc[("O5", "serial"), "n_failed"] == 0
    assert gates.loc[("O5", "serial"), "n_passed"] > 0
    assert gates.loc[("O13", "serial"), "n_failed"] == gates.loc[("O5", "serial"), "n_passed"]


def test_the_counterfactual_is_recorded(judged: Run) -> None:
    traces = judged.read("traces")
    assert set(traces["counterfactual_source"]) == {"number"}
    assert all(one != other for one, other in zip(traces["prompt"], traces["counterfactual"], strict=True))
    known = judged.read("scores").query("measure == 'mediation.answer_known'")
    assert set(known["value"]) == {0.0}
