"""The sentence that reconciles the effects of steps with the word, and the questions that show why a gate fails."""

from typing import Any

import pandas as pd
import pytest

from faithlens.report.chains import choose_example, list_gate_examples, reconcile

STEP = "knockout.step_raw"


def make_gate(
    name: str, status: str = "passed", question: str | None = None, condition: str = "full"
) -> dict[str, Any]:
    example = None
    if question is not None:
        example = {"question": question, "outcome": "fail", "reason": "because", "sample": 0, "condition": condition}
    return {"gate": name, "asks": "?", "status": status, "n_failed": int(question is not None), "example": example}


def make_subject(verdict: str, *gates: dict[str, Any]) -> dict[str, Any]:
    return {"model": "M", "task": "T", "verdict": verdict, "gates": list(gates) or [make_gate("causal")]}


@pytest.mark.parametrize(
    ("subject", "effects", "hidden", "says"),
    [
        (make_subject("trust"), [0.01, 0.02], 0.9, "states what the answer needs more than once"),
        (make_subject("trust"), [0.01, 0.02], 0.03, "can also reach this answer without reading them"),
        (make_subject("trust"), [0.01, 0.8], 0.9, None),
        (make_subject("do-not-trust", make_gate("derived", "failed", "q")), [0.0, 0.8], 0.9, "another link: derived"),
        (make_subject("do-not-trust", make_gate("causal", "failed", "q")), [0.01, 0.02], 0.02, None),
        (make_subject("trust"), [], None, None),
    ],
)
def test_word_and_chain_are_reconciled(
    subject: dict[str, Any], effects: list[float], hidden: float | None, says: str | None
) -> None:
    result = reconcile(subject, STEP, effects, hidden)
    assert result is None if says is None else result is not None and says in result
    assert reconcile(subject, "mistakes.soft", effects, hidden) is None


def make_traces() -> pd.DataFrame:
    common = {"model": "M", "task": "T", "prompt": "?", "cot": " A. B.", "steps": [" A.", " B."], "answer": "1"}
    return pd.DataFrame(
        [{**common, "question": name, "sample": 0, "counterfactual": f"not {name}"} for name in ("first", "second")]
    )


def make_scores() -> pd.DataFrame:
    rows = [("first", 0, 0.0), ("first", 1, 0.0), ("second", 0, 0.2), ("second", 1, 0.7)]
    return pd.DataFrame(
        [{"model": "M", "task": "T", "question": q, "measure": STEP, "step": k, "value": v} for q, k, v in rows]
        + [{"model": "M", "task": "T", "question": "second", "measure": "knockout.steps", "step": None, "value": 0.9}]
    )


def test_the_question_that_fails_is_shown() -> None:
    gates = [make_gate("capable", "passed", "first"), make_gate("derived", "failed", "second", "swap_both")]
    subject = make_subject("do-not-trust", *gates)
    [example] = list_gate_examples(subject, make_traces())
    assert (example["gate"]["gate"], example["trace"]["question"], example["counterfactual"]) == (
        "derived", "second", "not second",
    )  # fmt: skip
    example = choose_example(subject, make_traces(), make_scores())
    assert example is not None
    assert example["trace"]["question"] == "second"
    assert [step["effect"] for step in example["steps"]] == [0.2, 0.7]
    assert "another link: derived" in example["sentence"]


def test_a_trusted_model_shows_its_first_question() -> None:
    example = choose_example(make_subject("trust"), make_traces(), make_scores())
    assert example is not None
    assert example["trace"]["question"] == "first"
