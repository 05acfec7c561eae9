"""The benchmarks' rivals do the same work, and times are compared round by round."""

import json

import pytest
import torch

from benchmarks import harness, truncation_sweep
from tests.conftest import tiny


def test_the_rivals_of_the_truncation_sweep_agree() -> None:
    lens = tiny("llama")
    conditions = truncation_sweep.sweep(lens)
    assert len(conditions) == 13
    assert len(conditions[0].ids) == 120 + 12 * 20 + len(truncation_sweep.STEM)
    agreed = truncation_sweep.agreement(lens, conditions)
    assert 0 < agreed["gap"]["logprobs"] < 1e-4
    plain = truncation_sweep.transformers(lens, conditions)
    torch.testing.assert_close(plain, truncation_sweep.packed(lens, conditions)[0], atol=1e-4, rtol=0)


def test_rivals_that_differ_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    lens = tiny("llama")
    conditions = truncation_sweep.sweep(lens)
    logprobs, attention = truncation_sweep.packed(lens, conditions)
    monkeypatch.setattr(truncation_sweep, "packed", lambda *_: (logprobs + 1e-3, attention))
    with pytest.raises(SystemExit, match="not timed"):
        truncation_sweep.agreement(lens, conditions)


def test_everyone_runs_as_often_and_takes_every_turn() -> None:
    ran: list[str] = []
    times = harness.race({name: lambda name=name: ran.append(name) for name in "abc"}, repeats=4, warm_up=2)
    assert {name: len(taken) for name, taken in times.items()} == {"a": 4, "b": 4, "c": 4}
    assert "".join(ran) == "abcbcacababcbcacab"


def test_ratios_are_taken_pair_by_pair() -> None:
    found = harness.ratios({"slow": [8.0, 3.0, 20.0], "fast": [1.0, 3.0, 4.0]}, "slow", "fast")
    assert (found["min"], found["median"], found["max"]) == (1, 5, 8)


def test_the_readme_shows_the_kept_result() -> None:
    result = json.loads((harness.RESULTS / "truncation_sweep.json").read_text())
    assert truncation_sweep.table(result) in harness.README.read_text()
