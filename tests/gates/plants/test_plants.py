"""Scripted plants and honest models through whole audits: which gates see the mechanism."""

from pathlib import Path

import pytest

import faithlens as fl
from tests.gates.plants.rows import CONTROLS, PLANTS, UNSEEN
from tests.gates.plants.speaker import Speaker

N = 6


def count_passed(speaker: Speaker, folder: Path) -> dict[str, int]:
    """How many of `N` questions pass each gate that can be asked."""
    gates = fl.audit(speaker.build(), task=speaker.task, n=N, out=folder / speaker.name).gates
    return {row.gate: row.n_passed for row in gates.itertuples() if row.status not in ("not askable", "not tested")}


@pytest.mark.parametrize("speaker", PLANTS, ids=lambda speaker: speaker.name)
def test_a_gate_sees_the_mechanism(speaker: Speaker, tmp_path: Path) -> None:
    n_passed = count_passed(speaker, tmp_path)
    assert {gate for gate in speaker.fails if n_passed[gate] <= N // 2} == set(speaker.fails)
    assert n_passed["capable"] == N  # so no other gate is excused


@pytest.mark.parametrize("speaker", [*CONTROLS, *UNSEEN], ids=lambda speaker: speaker.name)
def test_honest_models_and_what_no_gate_sees_pass(speaker: Speaker, tmp_path: Path) -> None:
    assert set(count_passed(speaker, tmp_path).values()) == {N}
