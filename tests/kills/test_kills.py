"""An audit that is killed, and whose resume is killed, ends with the bytes of an undisturbed one; two runs of many.

``python -m tests.kills --runs 20`` tries more.
"""

from pathlib import Path

from tests.kills.runner import find_kill_faults


def test_a_run_that_is_killed_twice_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    faults = list(find_kill_faults(2, 1, tmp_path))
    assert [fault for _, _, fault in faults] == [None, None]
    assert sum(killed for killed, _, _ in faults) > 0
