"""The benchmarks' rivals do the same work, and times are compared round by round."""

import json
from collections.abc import Callable

import pytest
import torch

from benchmarks import capture, harness, patch_grid, truncation_sweep
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


@pytest.mark.parametrize(
    ("subject", "table"),
    [
        ("truncation_sweep", truncation_sweep.table),
        ("capture", capture.table),
    ],
)
def test_the_readme_shows_the_kept_results(subject: str, table: Callable[[dict], str]) -> None:
    result = json.loads((harness.RESULTS / f"{subject}.json").read_text())
    assert table(result) in harness.README.read_text()


def test_the_patch_grids_agree() -> None:
    lens = tiny("llama")
    clean, donor = patch_grid.pair(lens)
    cells = [(0, 0), (1, 11), (2, 5)]
    ours = patch_grid.packed(lens, patch_grid.grid(lens, clean, donor))
    theirs = patch_grid.transformer_lens(lens, clean, donor, cells)
    torch.testing.assert_close(ours[[layer * 12 + step for layer, step in cells]], theirs, atol=1e-4, rtol=0)
    assert (theirs - truncation_sweep.packed(lens, [clean])[0]).abs().max() > 1e-3


def test_the_suffix_loop_agrees() -> None:
    lens = tiny("llama")
    conditions = truncation_sweep.sweep(lens)
    ours, theirs = truncation_sweep.packed(lens, conditions), truncation_sweep.suffixes(lens, conditions)
    assert max(truncation_sweep.errors(ours, theirs).values()) < 1e-4


def test_everything_that_is_timed_of_a_capture_runs() -> None:
    lens = tiny("llama")
    answers = {name: run() for name, run in capture.rivals(lens, 200).items()}
    logits = answers[capture.BARE][0, -1].log_softmax(-1)
    for name, given in answers.items():
        if name.startswith("faithlens"):
            expected = logits[[option[0] for option in given[0].condition.options]]
            torch.testing.assert_close(given[0].logprobs, expected, atol=1e-4, rtol=0)
