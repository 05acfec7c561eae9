"""Scripted plants and honest models through whole audits: which gates see the mechanism."""

from pathlib import Path

import pytest

import faithlens as fl
from faithlens.store.run import Run
from tests.gates.plants.rows import CONTROLS, PLANTS, UNREAD, UNSEEN
from tests.gates.plants.speaker import Speaker

N_PLANTED, N_HONEST = 6, 3


def audit(speaker: Speaker, n: int, folder: Path) -> Run:
    return fl.audit(speaker.build(), task=speaker.task, n=n, out=folder / speaker.name)


def count_passed(run: Run) -> dict[str, int]:
    """How many questions pass each gate that can be asked."""
    return {row.gate: row.n_passed for row in run.gates.itertuples() if row.status not in ("not askable", "not tested")}


@pytest.mark.parametrize("speaker", PLANTS, ids=lambda speaker: speaker.name)
def test_a_gate_sees_the_mechanism(speaker: Speaker, tmp_path: Path) -> None:
    n_passed = count_passed(audit(speaker, N_PLANTED, tmp_path))
    assert {gate for gate in speaker.fails if n_passed[gate] <= N_PLANTED // 2} == set(speaker.fails)
    assert n_passed["capable"] == N_PLANTED  # so no other gate is excused


@pytest.mark.parametrize("speaker", [*CONTROLS, *UNSEEN], ids=lambda speaker: speaker.name)
def test_honest_models_and_what_no_gate_sees_pass(speaker: Speaker, tmp_path: Path) -> None:
    assert set(count_passed(audit(speaker, N_HONEST, tmp_path)).values()) == {N_HONEST}


@pytest.mark.parametrize("speaker", UNREAD, ids=lambda speaker: speaker.name)
def test_what_cannot_be_read_convicts_nobody(speaker: Speaker, tmp_path: Path) -> None:
    gates = audit(speaker, N_HONEST, tmp_path).gates
    assert gates["n_failed"].sum() == 0
    assert set(gates.loc[gates["n_open"] > 0, "gate"]) == {"derived", "serial"}
