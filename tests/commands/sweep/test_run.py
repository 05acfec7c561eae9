"""`faithlens sweep`: exact measurements of organisms, the last checkpoint in the slope, and resumption."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from faithlens.cli import main
from faithlens.commands.audit import run_audit
from faithlens.commands.sweep import run as sweeping
from faithlens.commands.sweep import trial
from faithlens.commands.sweep.config import HeldOutText, read_sweep_config
from faithlens.commands.sweep.tables import ITEM_COLUMNS, MEASUREMENT_COLUMNS
from faithlens.errors import ConfigError, ModelError, RunError
from faithlens.model.load import load
from faithlens.store import Run
from faithlens.store.manifest import write_manifest
from tests.commands.sweep.files import EARLY, KNOWN, OPTIONS, SHARE, N, write_config
from tests.conftest import byte_tokenizer, tiny


def command(*words: object) -> str:
    """What `faithlens sweep ...` says; errors are raised."""
    outcome = CliRunner().invoke(main.app, ["sweep", *map(str, words)], catch_exceptions=False, env={"COLUMNS": "160"})
    assert outcome.exit_code == 0
    return outcome.output


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """O4 and O5, each a family of its own, and what was said."""
    folder = tmp_path_factory.mktemp("sweep")
    output = command(write_config(folder, OPTIONS + KNOWN), "--out", folder / "out")
    return Run.open(folder / "out"), output


def measurements(run: Run) -> pd.DataFrame:
    return pd.read_parquet(run.path / "measurements.parquet")


def items(run: Run) -> pd.DataFrame:
    return pd.read_parquet(run.path / "items.parquet")


def test_a_measurement_is_what_is_planted_beside_what_the_audit_says(swept: tuple[Run, str]) -> None:
    table, (run, _) = measurements(swept[0]), swept
    assert list(table.columns) == [name for name in MEASUREMENT_COLUMNS if name != "loss"]
    shares = table[table["measure"] == SHARE].set_index("model")
    assert shares["value"].to_dict() == pytest.approx({"O4": 0.0, "O5": 1.0}, abs=1e-4)
    assert shares["family"].to_dict() == {"O4": "null", "O5": "read"}
    assert set(shares["size"]) == {sum(p.numel() for p in load("O4").hf_model.parameters())}
    assert (shares[["seed", "checkpoint", "n_dropped"]] == 0).all(axis=None)
    assert (shares["n_used"] == N).all()
    assert shares.loc["O4", ["accuracy", "without", "accuracy_se"]].tolist() == [1, 1, 0]
    for model in ("O4", "O5"):
        estimates = Run.open(run.path / "runs" / model).read("estimates").set_index("measure")
        early = table[(table["model"] == model) & (table["measure"] == EARLY)].iloc[0]
        for column in ("value", "low", "high", "method"):
            assert early[column] == estimates.loc[EARLY, column]
        right = estimates.loc["accuracy.no_cot"]
        assert early[["without", "without_low", "without_high"]].tolist() == right[["value", "low", "high"]].tolist()
        by_hand = np.sqrt(right["value"] * (1 - right["value"]) / (N - 1))  # of N answers that are right or wrong
        assert early["without_se"] == pytest.approx(by_hand)


def test_an_item_is_right_unsure_or_moved_as_its_own_run_says(swept: tuple[Run, str]) -> None:
    run, _ = swept
    table = items(run)
    assert list(table.columns) == ITEM_COLUMNS
    assert table.groupby(["model", "measure"]).size().tolist() == [N] * 4
    for model in ("O4", "O5"):
        audited = Run.open(run.path / "runs" / model)
        own = table[(table["model"] == model) & (table["measure"] == EARLY)].set_index("question")
        scores = audited.read("scores").pivot_table(index="question", columns="measure", values="value")
        for column, measure in (("right", "accuracy.full"), ("correct", "accuracy.no_cot"), ("value", EARLY)):
            assert own[column].tolist() == scores.loc[own.index, measure].tolist()
        answers = audited.read("answers").set_index(["question", "condition"])["logprobs"]
        for question, confidence in own["confidence"].items():
            shares = np.exp(answers[question, "no_cot"])
            assert confidence == pytest.approx(shares.max() / shares.sum())


def test_it_says_the_cost_first_then_the_numbers_then_why_there_is_no_slope(swept: tuple[Run, str]) -> None:
    _, text = swept
    order = [
        "O4 running-sum: 5 chains of thought",
        "Models: 2. All will take",
        "1 of 2: O4",
        "2 of 2: O5",
        "1.00 → 1.00",
    ]
    order += ["null: content share, 1 size: there is nothing to compare", "Tables and audits"]
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)


def test_a_dry_run_says_what_it_takes_and_writes_nothing(tmp_path: Path) -> None:
    output = command(
        write_config(tmp_path, OPTIONS + '[families.null]\nmodels = ["O4"]\n'), "--dry-run", "--out", tmp_path / "x"
    )
    assert "O4 running-sum: 5 chains of thought; for the first, 10 edited versions" in output
    assert re.search(r"Models: 1\. All will take at most about [\d.]+ (s|min)\.", output)
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.toml"]


def test_a_killed_sweep_goes_on_and_ends_the_same(
    swept: tuple[Run, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = read_sweep_config(write_config(tmp_path, OPTIONS + KNOWN)), tmp_path / "out"
    audited: list[str] = []

    def kill_audit(options: object, folder: Path, **more: object) -> Run:
        audited.append(folder.name)
        if len(audited) == 2:
            raise KeyboardInterrupt
        return run_audit(options, folder, **more)

    monkeypatch.setattr("faithlens.commands.audit.run_audit", kill_audit)
    with pytest.raises(KeyboardInterrupt):
        sweeping.run_sweep(config, out)
    assert (audited, (out / "measurements.parquet").exists()) == (["O4", "O5"], False)
    with pytest.raises(RunError, match="not empty"):
        sweeping.run_sweep(config, out)
    with pytest.raises(RunError, match=r"options\.n: 5 in the folder, 6 given"):
        sweeping.run_sweep(
            read_sweep_config(write_config(tmp_path, OPTIONS.replace("n = 5", "n = 6") + KNOWN)), out, resume=True
        )
    monkeypatch.setattr(sweeping, "try_out_models", None)  # what trying out showed is kept
    run = sweeping.run_sweep(config, out, resume=True)
    assert audited == ["O4", "O5", "O5"]
    pd.testing.assert_frame_equal(measurements(run), measurements(swept[0]))
    pd.testing.assert_frame_equal(items(run), items(swept[0]))
    assert run.read_json("sweep.json") == swept[0].read_json("sweep.json")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (None, "has no trial of O4"),
        ({}, "has no entry trials.O4.parameters"),
        ({"parameters": 5, "loss": "x", "seconds": 1.0, "refused": {}}, 'has "x" as trials.O4.loss'),
        ({"parameters": 5, "loss": None, "seconds": 1.0, "refused": ["running-sum"]}, "as trials.O4.refused"),
    ],
)
def test_trials_that_could_not_have_been_written_are_refused(
    entry: dict[str, object] | None, problem: str, swept: tuple[Run, str], tmp_path: Path
) -> None:
    run = Run(shutil.copytree(swept[0].path, tmp_path / "out"))
    others = {"O5": run.manifest["trials"]["O5"]}
    write_manifest(run.path, {**run.manifest, "trials": others if entry is None else others | {"O4": entry}})
    config = read_sweep_config(write_config(tmp_path, OPTIONS + KNOWN))
    with pytest.raises(RunError, match=re.escape(problem)):
        sweeping.run_sweep(config, run.path, resume=True)


def grown(name: str, rows: int, folder: Path) -> int:
    """An organism with more rows in its vocabulary, which say nothing; its number of parameters."""
    model = load(name)
    model.hf_model.resize_token_embeddings(len(model.tokenizer) + rows)
    model.hf_model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return sum(p.numel() for p in model.hf_model.parameters())


def test_a_slope_is_of_the_last_checkpoints_and_they_lie_in_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The smaller model ends as O4, the larger as O5: the content share rises from 0 to 1."""
    monkeypatch.chdir(tmp_path)
    size = [grown("O4", 0, tmp_path / "small-7" / "last"), grown("O5", 8000, tmp_path / "large-7" / "last")]
    for name, rows in (("small-7", 0), ("large-7", 8000)):
        grown("O5" if name == "small-7" else "O4", rows, tmp_path / name / "first")
    text = "Question : 1 + 2 = 3 ."
    (tmp_path / "text.txt").write_text(text)
    grew = """
    loss = "text.txt"
    [families.grown]
    models = ["small-{seed}", "large-{seed}"]
    seeds = [7]
    revisions = ["first", "last"]
    """
    few = OPTIONS.replace(f"n = {N}", "n = 3").replace('"early_answering", ', "")
    output = command(write_config(tmp_path, few + grew), "--out", "out")
    run = Run.open("out")
    table = measurements(run)
    assert set(table["seed"]) == set(items(run)["seed"]) == {7}  # not the seed of an estimate's resampling
    shares = table[table["measure"] == SHARE].set_index("model")
    assert shares["checkpoint"].to_dict() == {
        f"{model}-7/{step}": i for model in ("small", "large") for i, step in enumerate(("first", "last"))
    }
    assert shares["size"].to_dict() == {
        f"{n}/{r}": s for n, s in zip(("small-7", "large-7"), size, strict=True) for r in ("first", "last")
    }
    entry = next(entry for entry in run.read_json("sweep.json")["size"] if entry["measure"] == SHARE)
    raw = entry["effects"][0]
    assert raw["value"] == pytest.approx(1 / np.log10(size[1] / size[0]), rel=1e-3)
    assert raw["unit"] == "fraction per tenfold of parameters"
    assert (raw["low"], raw["n_sizes"]) == (None, 2)
    assert "2 sizes: a difference, not a trend" in " ".join(output.split())
    losses = {
        model: trial.compute_held_out_loss(load(model), [HeldOutText(text)])
        for model in ("small-7/first", "large-7/last")
    }
    assert shares.loc[list(losses), "loss"].to_dict() == pytest.approx(losses)


def test_a_task_that_a_model_does_not_answer_is_left_out_with_its_reason(tmp_path: Path) -> None:
    model = tiny("llama")
    model.hf_model.save_pretrained(tmp_path / "mute")
    byte_tokenizer().save_pretrained(tmp_path / "mute")
    options = OPTIONS.replace("60", "8").replace("running-sum", "arithmetic-mc")
    output = command(
        write_config(tmp_path, f'{options}[families.none]\nmodels = ["{tmp_path}/mute"]\n'), "--out", tmp_path / "out"
    )
    assert "does not answer arithmetic-mc: under the best of" in " ".join(output.split())
    table = measurements(Run.open(tmp_path / "out"))
    assert table["measure"].tolist() == [EARLY, SHARE]
    assert table["value"].isna().all()
    assert table["reason"].str.contains("of its probability").all()
    assert not (tmp_path / "out" / "runs").exists()


def test_the_held_out_loss_is_that_of_plain_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "WINDOW", 16)
    model = tiny("llama")
    text = "The quick brown fox jumps over the lazy dog, and then it rests."
    ids = torch.tensor(model.encode_continuation(text))
    total, predicted = 0.0, 0
    for window in ids.split(16):
        if len(window) > 1:
            logits = model.hf_model(window[None]).logits[0, :-1]
            total += float(torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum"))
            predicted += len(window) - 1
    whole = HeldOutText(text)
    assert trial.compute_held_out_loss(model, [whole]) == pytest.approx(total / predicted, rel=1e-5)
    assert trial.compute_held_out_loss(model, [whole, whole]) == pytest.approx(total / predicted, rel=1e-5)
    with pytest.raises(ConfigError, match="fewer than two tokens"):
        trial.compute_held_out_loss(model, [HeldOutText("a")])
    with pytest.raises(ConfigError, match="a window of tiny-llama has 16"):
        trial.compute_held_out_loss(model, [HeldOutText("a", context=text)])


def test_models_are_looked_for_before_any_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "try_out_model", None)
    config = read_sweep_config(write_config(tmp_path, OPTIONS + '[families.a]\nmodels = ["O4", "gpt-17"]\n'))
    with pytest.raises(ModelError, match="no model 'gpt-17'"):
        sweeping.run_sweep(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()
