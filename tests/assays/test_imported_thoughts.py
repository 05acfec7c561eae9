"""Chains of thought are imported into reasoning models with or without their markers, whichever family's they are."""

import json
from pathlib import Path

import pytest

from faithlens.assays.imported_chains import import_chains
from faithlens.interventions.case import Case, FailedChain
from faithlens.tasks.transcripts import TranscriptTask
from tests.model.thinkers import FAMILIES, Family, make_model


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
def test_the_inside_of_any_markers_is_the_chain(tmp_path: Path, family: Family) -> None:
    thoughts = "Jupiter is larger. So it is (B)."
    cots = [f"<think>{thoughts}</think>B.", f"{thoughts}</think>B.", thoughts, f"[THINK]{thoughts}[/THINK]B."]
    entry = {"question": "Which planet is largest?", "choices": ["Mars", "Jupiter"], "answer": "B", "cots": cots}
    path = tmp_path / "chains.jsonl"
    path.write_text(json.dumps(entry))
    model, task = make_model(family.template), TranscriptTask(path)
    chains = import_chains(model, task, task.transcripts, 0)
    assert [(c.trace.cot, c.trace.reply) if isinstance(c, Case) else c.reason for c in chains] == [
        (thoughts, "" if cot == thoughts else "B.") for cot in cots
    ]


@pytest.mark.parametrize("cot", ["", "<think></think>B.", "<think>\n\n</think>B."])
def test_thoughts_that_hold_nothing_are_said_to_be_empty(tmp_path: Path, cot: str) -> None:
    entry = {"question": "Which planet is largest?", "choices": ["Mars", "Jupiter"], "answer": "B", "cot": cot}
    path = tmp_path / "chains.jsonl"
    path.write_text(json.dumps(entry))
    task = TranscriptTask(path)
    for family in FAMILIES.values():
        [failed] = import_chains(make_model(family.template), task, task.transcripts, 0)
        assert isinstance(failed, FailedChain)
        assert failed.reason == "the model wrote nothing"
