"""Chains as data: gates, cells and effects of each, and the sentence that reconciles its effects with the word."""

from typing import Any

import pandas as pd
import pytest

from faithlens.gates.outcome import join_gates, read_scores
from faithlens.gates.profile import judge_chains
from faithlens.report.chains import Names, collect_chains, count_lost_chains, reconcile
from faithlens.report.subjects import read_subjects
from faithlens.store import Run

STEP = "knockout.step_raw"


def make_gate(name: str, status: str = "passed") -> dict[str, Any]:
    return {"gate": name, "status": status}


def make_subject(verdict: str, *gates: dict[str, Any]) -> dict[str, Any]:
    return {"model": "M", "task": "T", "verdict": verdict, "gates": list(gates) or [make_gate("causal")]}


@pytest.mark.parametrize(
    ("subject", "effects", "hidden", "says"),
    [
        (make_subject("trust"), [0.01, 0.02], 0.9, "states what the answer needs more than once"),
        (make_subject("trust"), [0.01, 0.02], 0.03, "can also reach this answer without reading them"),
        (make_subject("trust"), [0.01, 0.8], 0.9, None),
        (make_subject("do-not-trust", make_gate("derived", "failed")), [0.0, 0.8], 0.9, "another link: derived"),
        (make_subject("do-not-trust", make_gate("causal", "failed")), [0.01, 0.02], 0.02, None),
        (make_subject("trust"), [], None, None),
    ],
)
def test_word_and_chain_are_reconciled(
    subject: dict[str, Any], effects: list[float], hidden: float | None, says: str | None
) -> None:
    result = reconcile(subject, STEP, effects, hidden)
    assert result is None if says is None else result is not None and says in result
    assert reconcile(subject, "mistakes.soft", effects, hidden) is None


def make_tables() -> dict[str, pd.DataFrame]:
    common = {"model": "M", "task": "T", "cot": " A. B.", "steps": [" A.", " B."], "answer": "1", "predicted": "1"}
    common |= {"stem": "", "said": None, "finish": "stop", "n_tokens": 9, "candidates": ["1", "2"]}
    traces = [
        {
            **common,
            "question": name,
            "sample": k,
            "prompt": f"<bos>Q {name}?\n\nThink first.<end>",
            "counterfactual": f"not {name}",
        }
        for name in ("first", "second")
        for k in range(2)
    ]
    effects = [("first", 0, 0, 0.01), ("first", 0, 1, -0.02), ("second", 1, 1, 0.7)]
    scores = [
        {
            "model": "M",
            "task": "T",
            "question": q,
            "sample": k,
            "measure": STEP,
            "step": i,
            "value": v,
            "condition": "x",
        }
        for q, k, i, v in effects
    ]
    scores.append(scores[0] | {"measure": "knockout.steps", "step": None, "value": 0.9})
    scores.append(scores[0] | {"question": "third", "measure": "accuracy.full", "step": None, "value": None})
    frame = pd.DataFrame(scores).assign(fraction=None, unit="probability", reason=None)
    frame.loc[frame["question"] == "third", "reason"] = "it wrote none"
    columns = ["model", "task", "question", "sample", "condition", "logprobs"]
    rows = [["M", "T", "first", 0, "cut@1", [-0.5, -1.5]], ["M", "T", "first", 0, "full", [-1.0, -1.0]]]
    edits = pd.DataFrame([{"model": "M", "task": "T", "question": "first", "sample": 0, "condition": "cut@1", "step": 0,
                           "kind": "mistake", "by": "the task", "after": "C.", "tail": ""}])  # fmt: skip
    return {
        "traces": pd.DataFrame(traces),
        "scores": frame,
        "edits": edits,
        "answers": pd.DataFrame(rows, columns=columns),
    }


def test_each_chain_has_its_own_numbers() -> None:
    conditions, measures = Names(), Names()
    chains = collect_chains(make_subject("trust"), make_tables(), conditions, measures)
    assert [(c.line["question"], c.line["sample"], c.line["effect"]) for c in chains] == [
        ("first", 0, -0.02), ("first", 1, None), ("second", 0, None), ("second", 1, 0.7),
    ]  # fmt: skip
    first = chains[0]
    assert first.detail["shades"] == {measures.numbers[STEP]: [0.01, -0.02]}
    assert chains[3].detail["shades"] == {measures.numbers[STEP]: [None, 0.7]}
    assert first.detail["answers"] == [[conditions.numbers["full"], 500, 500], [conditions.numbers["cut@1"], 731, 269]]
    assert first.detail["edits"] == [{"step": 0, "kind": "mistake", "by": "the task", "after": "C.",
                                      "condition": conditions.numbers["cut@1"]}]  # fmt: skip
    assert "states what the answer needs more than once" in first.detail["sentence"]
    assert first.line["about"] == "Q first?"  # without what all prompts begin and end with
    assert "edits" not in chains[1].detail


def test_questions_are_in_the_order_of_their_numbers() -> None:
    tables = make_tables()
    for name, table in tables.items():
        tables[name] = table.assign(question=table["question"].map({"first": "t:0:10", "second": "t:0:9"}))
    chains = collect_chains(make_subject("trust"), tables, Names(), Names())
    assert [(c.line["question"], c.line["sample"]) for c in chains] == [
        (f"t:0:{n}", k) for n in (9, 10) for k in (0, 1)
    ]


def test_lost_chains_are_counted_by_their_reason() -> None:
    assert count_lost_chains(make_subject("trust"), make_tables()) == {"it wrote none": 1}


def test_gates_and_outcomes_are_those_of_the_verdict(finished_run: Run) -> None:
    for subject in read_subjects(finished_run):
        outcomes = judge_chains(read_scores(subject.tables["scores"], subject.tables["traces"]))
        chains = collect_chains(subject.entry, subject.tables, Names(), Names())
        for gate in subject.entry["gates"]:
            counts = pd.Series([chain.line["gates"].get(gate["gate"]) for chain in chains]).value_counts()
            if gate["status"] not in ("not tested", "not askable"):
                assert (counts.get("pass", 0), counts.get("fail", 0)) == (gate["n_passed"], gate["n_failed"])
        read = [g["gate"] for g in subject.entry["gates"] if g["status"] not in ("not tested", "not askable")]
        joined = join_gates({gate: outcomes[gate] for gate in read if gate != "capable"})
        assert [chain.line["outcome"] for chain in chains] == [each.outcome for each in joined]
        cells = pd.Series([chain.line["cell"] for chain in chains]).value_counts().to_dict()
        assert cells == {cell: n for cell, n in subject.entry["cells"].items() if n}
