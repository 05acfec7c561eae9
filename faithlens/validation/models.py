"""The models whose truth is known: organisms by seed, audited, what is planted beside every score."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from faithlens.assays.cases import choose_stem, draw_drafts, to_case
from faithlens.audit import audited
from faithlens.config import RunConfig, Subject
from faithlens.interventions.case import Case
from faithlens.organisms import organism
from faithlens.organisms.organism import Organism, Planted
from faithlens.organisms.trained import trained
from faithlens.runtime.load import resolve
from faithlens.runtime.model import Lens
from faithlens.store import Run
from faithlens.tasks.registry import task as find_task

ASSAYS = (
    "early_answering", "early_answering_filled", "mistakes", "mistakes_regenerated", "filler", "deletion", "shuffle",
    "propagation", "baselines", "mediation", "sufficiency", "states", "knockouts", "attention",
)  # fmt: skip
"""Those that organisms can take: the others need options with letters, other words, or a model that follows orders."""


def run_models(names: Sequence[str], seeds: int, n: int, out: Path, seed: int = 0) -> dict[str, Run]:
    """Audit each organism with seeds 0 (the shipped weights) to `seeds` - 1, training what is not here yet.

    A graded organism is asked twice as many questions, as its modes share them. An audit that is finished is read.
    """
    runs: dict[str, Run] = {}
    for name in names:
        kind, folder = organism(name), out / "runs" / name
        for number in range(1, seeds):
            trained(kind, number)
        subjects = tuple(Subject(model_name(name, number), kind.task) for number in range(seeds))
        asked = n * (2 if kind.modes else 1)
        config = RunConfig(subjects=subjects, n=asked, seed=seed, assays=ASSAYS, points=2, batch=asked)
        runs[name] = audited(config, folder)
    return runs


def model_name(name: str, seed: int) -> str:
    """What an organism trained with `seed` is called; seed 0 is the shipped one."""
    return f"{name}@{seed}" if seed else name


def certified(model: str, kind: Organism) -> Mapping[str, Planted]:
    """What is planted in a trained organism, by mode, its rates as certified."""
    if not kind.modes:
        return {"": kind.planted}
    _, folder = resolve(model)
    rates = json.loads((folder / "certificate.json").read_text())["reliance"]
    return {mode: kind.planted.graded(rates[mode]["value"]) for mode in kind.modes}


def labelled(name: str, scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of an organism's models with organism, seed, mode, and what is planted for each."""
    kind = organism(name)
    scores = scores.assign(organism=name, seed=[int(m.partition("@")[2] or 0) for m in scores["model"]])
    modes = {mode.lower(): mode for mode in kind.modes}
    scores["mode"] = [next((modes[part] for part in q.split("-") if part in modes), "") for q in scores["question"]]
    truths = [
        {"model": model, "mode": mode} | {f"planted_{k}": v for k, v in asdict(truth).items() if k != "steps"}
        for model in scores["model"].unique()
        for mode, truth in certified(model, kind).items()
    ]
    return scores.merge(pd.DataFrame(truths), on=["model", "mode"])


def planted_cases(lens: Lens, kind: Organism, n: int, seed: int, modes: Sequence[str] = ()) -> list[Case]:
    """`n` questions with the organism's own chains and their twins; of a graded organism, `n` in each of `modes`."""
    task, wanted = find_task(kind.task), {f"-{mode.lower()}-" for mode in modes}
    every = task.questions(n * max(len(kind.modes), 1), seed)
    questions = [q for q in every if not wanted or any(mode in q.id for mode in wanted)]
    drafts = draw_drafts(lens, task, questions, seed=seed)
    stem = choose_stem(lens, task, drafts).stem
    return [to_case(lens, task, draft, stem) for draft in drafts if draft.trace is not None]
