"""Audits and workers that are killed end with the bytes of an undisturbed run; a few of many.

``python -m tests.kills --kind workers --runs 50`` tries more.
"""

from pathlib import Path

import pytest

from tests.kills.runner import SCENARIOS, kill_at_writes, kill_audits, kill_workers


def test_a_run_that_is_killed_twice_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    outcomes = list(kill_audits(2, 1, tmp_path))
    assert [outcome.fault for outcome in outcomes] == [None, None]
    assert sum(outcome.kills for outcome in outcomes) > 0


def test_workers_that_are_killed_lose_double_and_change_nothing(tmp_path: Path) -> None:
    [outcome] = kill_workers(1, 1, tmp_path)
    assert outcome.fault is None
    assert outcome.kills > 0


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_any_write_loses_nothing(scenario: str, tmp_path: Path) -> None:
    """At two of the writes; ``python -m tests.kills --kind writes`` tries all."""
    outcomes = list(kill_at_writes(scenario, tmp_path, most=2))
    assert [outcome.fault for outcome in outcomes] == [None, None]
    assert [outcome.kills for outcome in outcomes] == [1, 1]
