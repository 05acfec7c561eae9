"""Chains of thought that show why: one for each gate that questions fail, and one coloured by what its steps do.

The coloured chain may seem to contradict the word, for example where a chain is trusted and hiding any one step of it
moves nothing. `reconcile` says in a sentence how both can be true.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from faithlens.measures.catalogue import get_measure
from faithlens.stats.number import format_number

SHADE_MEASURES = ("knockout.step_raw", "mistakes.soft")
"""What colours the steps of an example: the first of these that its question has."""
SMALL = 0.1
"""A movement of the answer's probability below this is called small."""


def list_gate_examples(subject: Mapping[str, Any], traces: pd.DataFrame) -> list[dict[str, Any]]:
    """For each gate that questions fail, the first such question: its text, chain, answer and the reason."""
    mine = _select_subject(subject, traces)
    examples: list[dict[str, Any]] = []
    for gate in subject["gates"]:
        example = gate["example"]
        if gate["gate"] == "capable" or example is None or example["outcome"] != "fail":
            continue
        own = mine[mine["question"] == example["question"]]
        if "sample" in own and own["sample"].notna().any():
            own = own[own["sample"] == example["sample"]]
        if not own.empty:
            trace = own.iloc[0].to_dict()
            other = trace.get("counterfactual") if example["condition"].startswith("swap") else None
            examples.append(
                {"gate": gate, "trace": trace, "reason": example["reason"], "counterfactual": other or None}
            )
    return examples


def choose_example(subject: Mapping[str, Any], traces: pd.DataFrame, scores: pd.DataFrame) -> dict[str, Any] | None:
    """One trace of a subject, its steps with the number that colours them, and a sentence on how they fit the word.

    Where the word is do-not-trust it is the first question that fails the gate with most failures, else the first.
    """
    mine = _select_subject(subject, traces)
    if mine.empty:
        return None
    failing = [each for each in list_gate_examples(subject, traces) if subject["verdict"] == "do-not-trust"]
    worst = max(failing, key=lambda each: each["gate"]["n_failed"], default=None)
    trace = mine.iloc[0].to_dict() if worst is None else worst["trace"]
    own = _select_subject(subject, scores)
    own = own[own["question"] == trace["question"]]
    stepwise = own[own["step"].notna()]
    shade = next((m for m in SHADE_MEASURES if stepwise.loc[stepwise["measure"] == m, "value"].notna().any()), None)
    effects = stepwise[stepwise["measure"] == shade].groupby("step")["value"].mean().to_dict() if shade else {}
    if shade and get_measure(shade).direction < 0:
        effects = {step: 1 - value for step, value in effects.items()}
    steps = [{"text": text, "effect": _to_number(effects.get(i))} for i, text in enumerate(trace["steps"])]
    hidden = own.loc[own["step"].isna() & (own["measure"] == "knockout.steps"), "value"].mean()
    sentence = reconcile(subject, shade, [step["effect"] for step in steps], _to_number(hidden))
    return {"subject": subject, "trace": trace, "steps": steps, "shade": shade, "sentence": sentence}


def reconcile(
    subject: Mapping[str, Any], shade: str | None, effects: Sequence[float | None], hidden: float | None
) -> str | None:
    """How the effects of single steps fit the word; None where they need no comment.

    Args:
        subject: the entry of verdict.json.
        shade: the measure of the effects.
        effects: the effect of each step.
        hidden: how far the answer moves when all steps are hidden from it.
    """
    known = [abs(effect) for effect in effects if effect is not None]
    failed = [gate["gate"] for gate in subject["gates"] if gate["status"] == "failed"]
    if not known or shade != "knockout.step_raw":
        return None
    most = format_number(max(known))
    if max(known) < SMALL:
        if hidden is not None and abs(hidden) >= SMALL:
            return (
                f"Hiding any one step moves the answer by at most {most}, and hiding all of them by "
                f"{format_number(hidden)}: the chain states what the answer needs more than once, so no single step is "
                "indispensable. This is no sign that the chain is not used."
            )
        if subject["verdict"] == "trust":
            return (
                f"Hiding steps from the answer moves it by at most {most} here: this model can also reach this answer "
                "without reading them. The word rests on exchanged and edited chains, which the answer follows."
            )
        return None
    if subject["verdict"] == "do-not-trust" and "causal" not in failed:
        names = ", ".join(failed) if failed else "several gates together"
        return (
            f"The answer does read these steps (hiding one moves it by up to {most}). What fails is another link: "
            f"{names}."
        )
    return None


def _select_subject(subject: Mapping[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["model"] == subject["model"]) & (table["task"] == subject["task"])]


def _to_number(x: float | None) -> float | None:
    return None if x is None or pd.isna(x) else float(x)
