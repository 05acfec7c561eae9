"""The benchmarks' rivals do the same work, times are compared round by round, and what is kept is what is shown."""

import json
import math
import statistics
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from benchmarks.__main__ import BARS, ON_A_GPU, README, bars, read_results
from benchmarks.figure import draw
from faithlens.cli.main import app
from faithlens.commands.bench import capture, grid, harness, sweep, throughput
from faithlens.commands.bench.benchmarks import BENCHMARKS, run_benchmarks
from faithlens.commands.bench.harness import Agreement, check_agreements
from faithlens.commands.bench.table import format_result, judge_ratio
from faithlens.commands.bench.traces import STEM, make_full_trace, make_truncations, split_step_ends
from faithlens.commands.gaps import rms
from faithlens.errors import BenchmarkError, ConfigError
from faithlens.plan.capture import Record
from tests.conftest import tiny


def test_traces_have_the_lengths_that_are_asked_for() -> None:
    model = tiny("llama")
    whole = make_full_trace(model, 40, 5, 11)
    stem = len(whole.pieces[-1].ids)
    assert [len(piece.ids) for piece in whole.pieces] == [40, *[11] * 5, stem]
    assert [len(cut.ids) for cut in make_truncations(whole)] == [40 + 11 * t + stem for t in (5, 4, 3, 2, 1, 0)]
    assert split_step_ends(whole).ids == whole.ids
    assert len(split_step_ends(whole).pieces) == 1 + 2 * 5 + 1


def test_the_rivals_of_the_sweep_agree() -> None:
    model = tiny("llama")
    cuts = make_truncations(make_full_trace(model, sweep.PROMPT, sweep.STEPS, sweep.STEP))
    assert len(cuts) == 13
    agreed = check_agreements(sweep.measure_agreement(model, cuts))
    assert len(agreed) == 5
    assert all(each.gap < 1e-4 for each in agreed)


def test_rivals_that_differ_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, packed = tiny("llama"), sweep.run_packed
    monkeypatch.setattr(sweep, "run_packed", lambda *a: ([x + 1e-3 for x in packed(*a)[0]], packed(*a)[1]))
    monkeypatch.setattr(sweep, "race_rivals", lambda *a, **k: pytest.fail("it was timed"))
    with pytest.raises(BenchmarkError, match=r"answers of faithlens, packed differs by 1\.0e-03 from"):
        sweep.measure(model, 1)
    with pytest.raises(BenchmarkError):
        check_agreements([Agreement("something without numbers", float("nan"), 1.0)])


def test_everyone_runs_as_often_and_takes_every_turn() -> None:
    ran: list[str] = []
    times = harness.race_rivals({name: lambda name=name: ran.append(name) for name in "abc"}, repeats=4, warm_up=2)
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 4, "b": 4, "c": 4}
    assert "".join(ran) == "abcbcacababcbcacab"


def test_ratios_are_taken_round_by_round() -> None:
    result = harness.summarise_spread(harness.divide_rounds([8.0, 3.0, 20.0], [1.0, 3.0, 4.0]))
    assert (result["min"], result["median"], result["max"]) == (1, 5, 8)


def test_a_bar_is_met_on_its_own_side() -> None:
    assert judge_ratio(8.0, ("at least", 8.0)).endswith("met")
    assert judge_ratio(7.9, ("at least", 8.0)).endswith("missed")
    assert judge_ratio(1.1, ("at most", 1.1)).endswith("met")
    assert judge_ratio(1.2, ("at most", 1.1)).endswith("missed")


def test_the_patch_grids_agree() -> None:
    model = tiny("llama")
    clean, donor = grid.make_pair(model)
    conditions, cells = grid.make_grid(model, clean, donor), [(0, 0), (1, 11), (2, 5)]
    [agreed] = check_agreements(grid.measure_agreement(model, clean, donor, conditions, cells))
    assert 0 < agreed.gap < 1e-4
    moved = rms(grid.run_transformer_lens(model, clean, donor, cells), grid.run_packed(model, [clean] * 3))
    assert moved > 1e-3


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_everything_that_is_timed_of_a_capture_gives_the_same_answers(family: str) -> None:
    agreed = check_agreements(capture.measure_agreement(tiny(family), 200))
    assert len(agreed) == 9 + (find_spec("nnsight") is not None)


def test_a_trace_compared_with_itself_costs_no_rows() -> None:
    model = tiny("llama")
    [record] = capture.list_rivals(model, 200)[capture.MORE]()
    assert isinstance(record, Record)
    assert record.relative_l2 is not None
    assert record.relative_l2.abs().max() == 0
    assert len(record.condition.ids) == 200


def test_throughput_counts_the_tokens_that_are_packed() -> None:
    model = tiny("llama")
    result = throughput.measure(model, 1)
    tokens = int(result.work.split()[0])
    assert model.context_length - len(STEM) - 25 < tokens <= model.context_length  # one cut more would be too many
    ours, bare = (result.seconds[name][0] for name in (throughput.PACKED_RIVAL, throughput.BARE))
    assert result.comparisons[0].values == [bare / ours]


def test_the_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("faithlens.model.load.load", lambda *a, **k: tiny("llama"))
    file = tmp_path / "numbers.json"
    outcome = CliRunner().invoke(app, ["bench", "-b", "sweep", "-b", "grid", "--repeats", "2", "--json", str(file)])
    assert outcome.exit_code == 0, outcome.output
    results = json.loads(file.read_text())
    assert [result["subject"] for result in results] == ["sweep", "grid"]
    for result in results:
        assert all(len(s["all"]) == 2 and s["min"] > 0 for s in result["seconds"].values())
        assert set(BARS[result["subject"]]) <= set(result["comparisons"])
        assert all(f"| {name} |" in format_result(result) for name in result["seconds"])
    assert "TransformerLens loop / faithlens, packed" in outcome.output


def test_an_unknown_subject_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'sweep'"):
        next(run_benchmarks(tiny("llama"), ["grid", "sweeep"], 1))


def test_memory_is_read_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tests.conftest import byte_tokenizer

    model = tiny("llama")
    model.hf_model.save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    model.hf_model.name_or_path = str(tmp_path)
    assert 0 < capture.measure_peak_mib(model, 400, capture.BARE) < 1000


@pytest.mark.parametrize("subject", sorted(read_results()))
def test_the_readme_shows_the_kept_results(subject: str) -> None:
    assert format_result(read_results()[subject], bars(read_results()[subject])) in README.read_text()


def test_every_bar_is_of_something_that_is_measured() -> None:
    assert set(BARS) == set(BENCHMARKS)
    assert set(ON_A_GPU) <= set(BENCHMARKS)
    for result in read_results().values():
        subject = result["subject"]
        assert set(BARS[subject]) | set(ON_A_GPU.get(subject, ())) <= set(result["comparisons"])


def test_the_figure_shows_every_bar() -> None:
    results = {subject: result for subject, result in read_results().items() if subject in BENCHMARKS}
    figure = draw(results, BARS)
    assert len(figure.data) == 2 * sum(len(BARS[subject]) for subject in results)


def test_kernels_agree_on_a_tiny_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from faithlens.commands.bench import kernels

    monkeypatch.setitem(kernels.STEPS, "cpu", 6)
    monkeypatch.setitem(kernels.ROWS, "cpu", 20)
    result = kernels.measure(tiny("llama"), 1)
    assert {each.what for each in result.agreements} == {"tree_attention", "answer_logprobs", "divergence"}
    assert all(each.gap > 0 for each in result.agreements)


def test_long_chains_are_answered_alike_and_their_growth_is_an_exponent() -> None:
    """The second and third chain are longer than the context of 512 tokens, and the third is run without rivals."""
    from faithlens.commands.bench import long

    result = long.measure(tiny("llama"), 2, sizes=((200, 5), (600, 10), (800, 10)), raced=600)
    ratios = {each.what: each.values for each in result.comparisons}
    assert [each.gap <= each.allowed for each in result.agreements] == [True] * 7
    stem = len(make_full_trace(tiny("llama"), 1, 1, 1).pieces[-1].ids)
    assert ratios["early answering / one forward, 200 tokens"] == [(200 + 6 * stem) / (200 + stem)]
    assert ratios["knockouts / one forward, 600 tokens"] == [(600 + 11 * stem) / (600 + stem)]
    for kind, name in long.LOOPS.items():
        first, second = (result.seconds[f"{name}, {n} tokens"] for n in (200, 600))
        assert (len(first), len(second)) == (2, 1)
        assert f"{name}, 800 tokens" not in result.seconds
        assert f"{kind} loop / packed pass, 600 tokens" in ratios
        growth = math.log(second[0] / statistics.median(first)) / math.log(3)
        assert ratios[f"growth of {name}, 200 to 600 tokens"][0] == pytest.approx(growth)
    low, high = (statistics.median(result.seconds[f"{long.PASS}, {n} tokens"]) for n in (200, 800))
    growth = math.log(high / low) / math.log(4)
    assert ratios[f"growth of {long.PASS}, 200 to 800 tokens"][0] == pytest.approx(growth)


def test_a_longer_context_keeps_the_weights() -> None:
    from faithlens.commands.bench import long

    model = tiny("llama")
    longer = long.lengthen(model, 2000)
    assert (model.context_length, longer.context_length) == (512, 2000)
    assert long.lengthen(model, 500) is model
    for mine, theirs in zip(longer.hf_model.parameters(), model.hf_model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
