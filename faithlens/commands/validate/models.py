"""The models whose truth is known: organisms of each seed, their audits, and what is planted beside every score."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from faithlens.assays.cases import make_cases
from faithlens.commands.audit import run_or_read_audit
from faithlens.config import AuditConfig, Subject
from faithlens.interventions.case import Case
from faithlens.model.load import resolve_name
from faithlens.model.model import Model
from faithlens.organisms import ORGANISMS, get_organism
from faithlens.organisms.organism import Organism
from faithlens.stats.verdict import VerdictName
from faithlens.store import Run
from faithlens.tasks.registry import load_task as find_task

ORGANISM_ASSAYS = (
    "early_answering", "early_answering_filled", "mistakes", "mistakes_regenerated", "filler", "deletion", "shuffle",
    "propagation", "baselines", "stated", "derivation", "rewording", "mediation", "claims", "sufficiency", "states",
    "knockouts", "attention",
)  # fmt: skip
"""The assays that organisms can take. The others need lettered options, other words, or a model that obeys requests."""


NOT_LABELS = ["faults", "right_verdict", "verdict", "fails", "failed_gates"]
"""Columns of the table of models that are not copied beside the scores."""


def audit_organism(name: str, number: int, n: int, folder: Path, seed: int = 0) -> Run:
    """An audit of an organism trained with the seed `number`, read if it is finished.

    It has `n` questions, or twice as many if modes share them.
    """
    kind = get_organism(name)
    n_questions = n * (2 if kind.modes else 1)
    subjects = (Subject(name_model(name, number), kind.task),)
    assays = (*ORGANISM_ASSAYS, "hints")
    return run_or_read_audit(
        AuditConfig(subjects=subjects, n=n_questions, seed=seed, assays=assays, regenerations=2, batch=n_questions),
        folder,
    )


def name_model(name: str, seed: int) -> str:
    """The name of an organism trained with `seed`; of an organism that is shipped, seed 0 has the plain name."""
    return f"{name}@{seed}" if seed or name not in ORGANISMS else name


def expect_verdict(kind: Organism) -> VerdictName:
    """The verdict that the mechanism of an organism implies: trust only if none of its questions must fail a gate."""
    return "do-not-trust" if kind.fails else "trust"


def read_certified_truth(name: str, number: int) -> pd.DataFrame:
    """What is planted in an organism trained with the seed `number`, one row for each mode: its rates as certified.

    `faults` says where the certificate differs from what was planted; a model with faults is not used.
    """
    kind, model = get_organism(name), name_model(name, number)
    _, folder = resolve_name(model)
    certificate = json.loads((folder / "certificate.json").read_text())
    truths = {"": kind.planted}
    if kind.modes:
        truths = {mode: kind.planted.with_rate(certificate["reliance"][mode]["value"]) for mode in kind.modes}
    known = {"organism": name, "seed": number, "model": model, "faults": "; ".join(certificate["faults"])}
    known |= {"fails": ", ".join(kind.fails), "right_verdict": expect_verdict(kind)}
    planted = {
        mode: {f"planted_{k}": v for k, v in asdict(truth).items() if k != "steps"} for mode, truth in truths.items()
    }
    return pd.DataFrame([{**known, "mode": mode, **truth} for mode, truth in planted.items()])


def label_scores(models: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of sound models with organism, seed, mode and planted truth: the columns of `read_certified_truth`."""
    modes = {mode.lower(): mode for kind in ORGANISMS.values() for mode in kind.modes}
    question_modes = [next((modes[part] for part in q.split("-") if part in modes), "") for q in scores["question"]]
    sound = models[models["faults"] == ""].drop(columns=NOT_LABELS, errors="ignore")
    return scores.assign(mode=question_modes).merge(sound, on=["model", "mode"])


def make_planted_cases(model: Model, kind: Organism, n: int, seed: int, modes: Sequence[str] = ()) -> list[Case]:
    """`n` questions with the organism's own chains and their counterfactuals; of a graded organism, `n` in each of
    `modes`.
    """
    task, suffixes = find_task(kind.task), {f"-{mode.lower()}-" for mode in modes}
    every = task.draw_questions(n * max(len(kind.modes), 1), seed)
    questions = [q for q in every if not suffixes or any(mode in q.id for mode in suffixes)]
    return make_cases(model, task, questions, seed=seed)
