"""`faithlens sweep`: exact cells of organisms, the last checkpoint in the slope, resumption, and what is refused."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from faithlens import cli
from faithlens.audit import audit
from faithlens.errors import ConfigError, ModelError, RunError
from faithlens.runtime.load import load
from faithlens.store import Run
from faithlens.sweep import run as sweeping
from faithlens.sweep import trial
from faithlens.sweep.answers import by_difficulty, by_size
from faithlens.sweep.config import HeldOutText, documents, read_config
from faithlens.sweep.tables import CELLS, ITEMS
from tests.conftest import byte_tokenizer, tiny

EARLY, SHARE = "early_answering.aoc_mean_0_to_n-1", "mediation.content_share"
N = 5
OPTIONS = f"""
tasks = ["running-sum"]
n = {N}
device = "cpu"
assays = ["early_answering", "mediation"]
measures = ["{EARLY}", "{SHARE}"]
sampling = {{max_new_tokens = 60}}
"""
KNOWN = '[families.null]\nmodels = ["O4"]\n[families.read]\nmodels = ["O5"]\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return path


def command(*words: object) -> str:
    """What `faithlens sweep ...` says; errors are raised."""
    done = CliRunner().invoke(cli.app, ["sweep", *map(str, words)], catch_exceptions=False, env={"COLUMNS": "160"})
    assert done.exit_code == 0
    return done.output


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """O4 and O5, each a family of its own, and what was said."""
    folder = tmp_path_factory.mktemp("sweep")
    said = command(written(folder, OPTIONS + KNOWN), "--out", folder / "out")
    return Run.open(folder / "out"), said


def cells(run: Run) -> pd.DataFrame:
    return pd.read_parquet(run.path / "cells.parquet")


def items(run: Run) -> pd.DataFrame:
    return pd.read_parquet(run.path / "items.parquet")


def test_a_cell_is_what_is_planted_beside_what_the_audit_says(swept: tuple[Run, str]) -> None:
    table, (run, _) = cells(swept[0]), swept
    assert list(table.columns) == [name for name in CELLS if name != "loss"]
    shares = table[table["measure"] == SHARE].set_index("model")
    assert shares["value"].to_dict() == pytest.approx({"O4": 0.0, "O5": 1.0}, abs=1e-4)
    assert shares["family"].to_dict() == {"O4": "null", "O5": "read"}
    assert set(shares["size"]) == {sum(p.numel() for p in load("O4").model.parameters())}
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
    assert list(table.columns) == ITEMS
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
    _, said = swept
    order = [
        "O4 running-sum: 5 chains of thought",
        "Models: 2. Beside sampling",
        "1 of 2: O4",
        "2 of 2: O5",
        "1.00 → 1.00",
    ]
    order += ["null: content share, 1 size: there is nothing to compare", "Tables and audits"]
    assert [said.index(words) for words in order] == sorted(said.index(words) for words in order)


def test_a_dry_run_says_what_it_takes_and_writes_nothing(tmp_path: Path) -> None:
    said = command(
        written(tmp_path, OPTIONS + '[families.null]\nmodels = ["O4"]\n'), "--dry-run", "--out", tmp_path / "x"
    )
    assert "O4 running-sum: 5 chains of thought; for the first, 10 edited versions" in said
    assert "Models: 1. Beside sampling, all will take at most about 0 s." in said
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.toml"]


def test_a_killed_sweep_goes_on_and_ends_the_same(
    swept: tuple[Run, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = read_config(written(tmp_path, OPTIONS + KNOWN)), tmp_path / "out"
    asked: list[str] = []

    def killed(options: object, folder: Path, **more: object) -> Run:
        asked.append(folder.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return audit(options, folder, **more)

    monkeypatch.setattr("faithlens.audit.audit", killed)
    with pytest.raises(KeyboardInterrupt):
        sweeping.sweep(config, out)
    assert (asked, (out / "cells.parquet").exists()) == (["O4", "O5"], False)
    with pytest.raises(RunError, match="not empty"):
        sweeping.sweep(config, out)
    with pytest.raises(RunError, match=r"options\.n: 5 in the folder, 6 asked"):
        sweeping.sweep(read_config(written(tmp_path, OPTIONS.replace("n = 5", "n = 6") + KNOWN)), out, resume=True)
    monkeypatch.setattr(sweeping, "plan", None)  # what trying out showed is kept
    run = sweeping.sweep(config, out, resume=True)
    assert asked == ["O4", "O5", "O5"]
    pd.testing.assert_frame_equal(cells(run), cells(swept[0]))
    pd.testing.assert_frame_equal(items(run), items(swept[0]))
    assert run.read_json("sweep.json") == swept[0].read_json("sweep.json")


def grown(name: str, rows: int, folder: Path) -> int:
    """An organism with more rows in its vocabulary, which say nothing; its number of parameters."""
    lens = load(name)
    lens.model.resize_token_embeddings(len(lens.tokenizer) + rows)
    lens.model.save_pretrained(folder)
    lens.tokenizer.save_pretrained(folder)
    return sum(p.numel() for p in lens.model.parameters())


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
    said = command(written(tmp_path, few + grew), "--out", "out")
    run = Run.open("out")
    table = cells(run)
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
    assert "2 sizes: a difference, not a trend" in " ".join(said.split())
    losses = {
        model: trial.held_out_loss(load(model), [HeldOutText(text)]) for model in ("small-7/first", "large-7/last")
    }
    assert shares.loc[list(losses), "loss"].to_dict() == pytest.approx(losses)


def test_a_task_that_a_model_does_not_answer_is_left_out_with_its_reason(tmp_path: Path) -> None:
    lens = tiny("llama")
    lens.model.save_pretrained(tmp_path / "mute")
    byte_tokenizer().save_pretrained(tmp_path / "mute")
    options = OPTIONS.replace("60", "8").replace("running-sum", "arithmetic-mc")
    said = command(
        written(tmp_path, f'{options}[families.none]\nmodels = ["{tmp_path}/mute"]\n'), "--out", tmp_path / "out"
    )
    assert "left out, since under the best of" in " ".join(said.split())
    table = cells(Run.open(tmp_path / "out"))
    assert table["measure"].tolist() == [EARLY, SHARE]
    assert table["value"].isna().all()
    assert table["reason"].str.contains("of its probability").all()
    assert not (tmp_path / "out" / "runs").exists()


def planted(slope: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells and items of two families, three sizes and four tasks, whose measure moves with size alone."""
    rng, rows, asked = np.random.default_rng(0), [], []
    for family, sign in (("up", 1), ("down", -1)):
        for k in range(3):
            for j in range(4):
                value = 0.5 + 0.05 * j + sign * slope * k
                member = {"family": family, "model": f"{family}{k}", "size": 10 ** (6 + k), "checkpoint": 0, "seed": 0}
                member |= {"task": f"t{j}", "measure": EARLY, "unit": "fraction"}
                right = {"accuracy": 0.3 + 0.1 * rng.random(), "accuracy_se": 0.01}
                rows.append({**member, **right, "value": value + 0.001 * rng.normal()})
                rows.append({**member, "measure": "bound.early_answering.high", "value": 0.9})
                direct = {"confidence": 0.5, "unit": "fraction"}
                asked += [
                    {**member, **direct, "question": f"q{i}", "correct": i % 2, "value": value + 0.001 * rng.normal()}
                    for i in range(12)
                ]
    return pd.DataFrame(rows), pd.DataFrame(asked)


def test_families_are_asked_apart_and_every_answer_finds_the_planted_slope() -> None:
    found = list(by_size(*planted(0.1), [EARLY, SHARE], seed=0))
    assert [(entry["family"], entry["measure"]) for entry in found] == [("up", EARLY), ("down", EARLY)]
    for entry, slope in zip(found, (0.1, -0.1), strict=True):
        answers = {effect["answer"]: effect for effect in entry["effects"]}
        for name in ("raw", "at equal accuracy", "on wrong items", "at equal confidence"):
            assert answers[name]["value"] == pytest.approx(slope, abs=0.003)
        assert answers["at equal loss"]["reason"] == "held-out loss was not measured"
    assert json.dumps(found, allow_nan=False)


def test_checkpoints_of_equal_loss_are_compared_where_losses_were_measured() -> None:
    """The measure is 0.1 k + loss at size 10^(6 + k), and each size passes through other losses: 0.1 a tenfold."""
    rows = [
        {"family": "up", "measure": EARLY, "unit": "fraction", "seed": 0, "task": f"t{j}", "size": 10 ** (6 + k)}
        | {"checkpoint": c, "loss": 3 - 0.2 * c - 0.1 * k, "value": 0.1 * k + (3 - 0.2 * c - 0.1 * k) / 5 + 0.01 * j}
        for k in range(3)
        for j in range(4)
        for c in range(5)
    ]
    none = pd.DataFrame(columns=ITEMS)
    [found] = by_size(pd.DataFrame(rows), none, [EARLY], seed=0)
    answers = {effect["answer"]: effect["value"] for effect in found["effects"]}
    assert answers["at equal loss"] == pytest.approx(0.1)
    assert answers["raw"] == pytest.approx(0.1 - 0.1 / 5)  # of the last checkpoints, whose losses fall with size


def test_the_held_out_loss_is_that_of_plain_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "WINDOW", 16)
    lens = tiny("llama")
    text = "The quick brown fox jumps over the lazy dog, and then it rests."
    ids = torch.tensor(lens.encode_continuation(text))
    total, predicted = 0.0, 0
    for window in ids.split(16):
        if len(window) > 1:
            logits = lens.model(window[None]).logits[0, :-1]
            total += float(torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum"))
            predicted += len(window) - 1
    whole = HeldOutText(text)
    assert trial.held_out_loss(lens, [whole]) == pytest.approx(total / predicted, rel=1e-5)
    assert trial.held_out_loss(lens, [whole, whole]) == pytest.approx(total / predicted, rel=1e-5)
    with pytest.raises(ConfigError, match="fewer than two tokens"):
        trial.held_out_loss(lens, [HeldOutText("a")])
    with pytest.raises(ConfigError, match="a window has 16"):
        trial.held_out_loss(lens, [HeldOutText("a", given=text)])


def test_held_out_texts_are_lines_of_json(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "One."}\n{"text": "Two.", "given": "After this:"}\n')
    assert documents(tmp_path / "texts.jsonl") == [HeldOutText("One."), HeldOutText("Two.", "After this:")]
    (tmp_path / "texts.jsonl").write_text('{"words": "One."}\n')
    with pytest.raises(ConfigError, match="a line that is no text"):
        documents(tmp_path / "texts.jsonl")
    with pytest.raises(ConfigError, match="No such file"):
        documents(tmp_path / "none.txt")


def test_models_of_one_size_that_nothing_tells_apart_have_no_slope() -> None:
    table, asked = planted(0.1)
    twice = pd.concat([table, table.assign(model=table["model"] + "b")])
    [first, *_] = by_size(twice, asked, [EARLY], seed=0)
    assert first["effects"] == []
    assert first["reason"] == "several rows of one size, task, seed"


def test_difficulty_is_read_in_the_order_given_and_beside_what_accuracies_allow() -> None:
    table, asked = planted(0.0)
    easy, hard = ({"order": order} for order in (["t0", "t1", "t2", "t3"], ["t3", "t1", "t0"]))
    rises, *others = by_difficulty(table, asked, [EARLY], {"x": easy["order"], "y": hard["order"]})
    assert (rises["model"], rises["direction"], rises["n_used"]) == ("up0", "rises", 48)
    assert rises["p_rise"] < 1e-6
    assert [level["mean"] for level in rises["levels"]] == pytest.approx([0.5, 0.55, 0.6, 0.65], abs=0.002)
    assert {level["bound"] for level in rises["levels"]} == {0.9}
    assert rises["warning"] is None
    assert [entry["direction"] for entry in others] == ["rises"] * 5 + ["falls"] * 6


REFUSALS = {
    "no toml": ("tasks = [", "Invalid"),
    "unknown key": ("task = ['running-sum']", "did you mean 'tasks'?"),
    "wrong type": ("n = 'many'", "n = 'many'\nfound: it is not a whole number"),
    "a switch for a number": ("n = true", "it is not a whole number"),
    "a repeated task": ("tasks = ['running-sum', 'running-sum']", "it is not a list of different texts"),
    "unknown sampling key": ("sampling = {top_k = 3}", "the key 'sampling.top_k'"),
    "no families": ("tasks = ['running-sum']", "it has no families"),
    "unknown family key": ("tasks = ['running-sum']\n[families.a]\nmodel = ['O4']", "did you mean 'models'?"),
    "no models": ("tasks = ['running-sum']\n[families.a]\nseeds = [1]", "families.a\nfound: it has no models"),
    "no tasks": ("[families.a]\nmodels = ['O4']", "the file names none for all"),
    "unknown task": ("tasks = ['running-sums']\n[families.a]\nmodels = ['O4']", "did you mean 'running-sum'?"),
    "unknown measure": ("measures = ['mediation.content_shar']\n" + KNOWN, f"did you mean '{SHARE}'?"),
    "unknown assay": ("assays = ['mediations']\n" + KNOWN, "did you mean 'mediation'?"),
    "unknown suite": ("suite = 'behavior'\n" + KNOWN, "did you mean 'behaviour'?"),
    "unknown backend": ("backend = 'fused'\n" + KNOWN, "known: packed, separate"),
    "no questions": ("n = 0\n" + KNOWN, "a run needs at least one"),
    "seeds no name tells": ("[families.a]\nmodels = ['org/m']\nseeds = [1]", "nothing in 'org/m' tells them apart"),
    "two seeds": ("[families.a]\nmodels = ['O4@2']\nseeds = [1]", "'O4@2' names one itself"),
    "a name without seeds": ("[families.a]\nmodels = ['org/m-{seed}']", "its family names no seeds"),
    "revisions of an organism": ("[families.a]\nmodels = ['O4']\nrevisions = ['x']", "'O4' has none of its own"),
    "two revisions": ("[families.a]\nmodels = ['org/m@x']\nrevisions = ['y']", "'org/m@x' names one itself"),
    "named twice": ("[families.a]\nmodels = ['O4']\n[families.b]\nmodels = ['O4']", "O4 in families.b"),
    "no text": ("loss = 'none.txt'\n" + KNOWN, "No such file"),
    "difficulty of nobody": ("difficulty = {a = ['dates']}\n" + KNOWN, "'dates' in difficulty.a"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_file_that_asks_for_what_is_not_there_is_refused(name: str, tmp_path: Path) -> None:
    text, found = REFUSALS[name]
    if "families" in text and "tasks" not in text and name != "no tasks":
        text = "tasks = ['running-sum']\n" + text
    with pytest.raises(ConfigError) as refused:
        read_config(written(tmp_path, text))
    assert found in str(refused.value)


def test_models_are_looked_for_before_any_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "try_out", None)
    config = read_config(written(tmp_path, OPTIONS + '[families.a]\nmodels = ["O4", "gpt-17"]\n'))
    with pytest.raises(ModelError, match="the model 'gpt-17'"):
        sweeping.sweep(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_file_in_the_readme_can_be_read(tmp_path: Path) -> None:
    [text] = re.findall(r"```toml\n(.*?)```", (Path(__file__).parent.parent / "README.md").read_text(), re.DOTALL)
    (tmp_path / "held-out.txt").write_text("Nobody was trained on this.")
    config = read_config(written(tmp_path, text))
    assert len(config.members) == 3 * 3 + 3
    assert config.held_out is not None
    assert config.held_out.sha256 == hashlib.sha256(b"Nobody was trained on this.").hexdigest()


def test_versions_are_named_as_models_are_loaded(tmp_path: Path) -> None:
    for name in ("step-1", "step-2"):
        (tmp_path / "mine" / name).mkdir(parents=True)
    text = f"""
    tasks = ["running-sum"]
    points = 0
    sampling = {{temperature = 1}}
    [families.hub]
    models = ["org/a", "org/b"]
    revisions = ["step1", "main"]
    tasks = ["dates"]
    [families.pinned]
    models = ["org/c@main", "{tmp_path}/mine/step-1"]
    [families.planted]
    models = ["O4@7", "O5"]
    [families.seeds]
    models = ["O4"]
    seeds = [0, 3]
    [families.many]
    models = ["org/d-seed{{seed}}", "{tmp_path}/mine/step-{{seed}}"]
    seeds = [1, 2]
    revisions = ["old", "new"]
    """
    config = read_config(written(tmp_path, text))
    assert [(m.family, m.model, m.revision, m.checkpoint, m.seed, m.tasks) for m in config.members] == [
        ("hub", "org/a@step1", "step1", 0, 0, ("dates",)),
        ("hub", "org/a@main", "main", 1, 0, ("dates",)),
        ("hub", "org/b@step1", "step1", 0, 0, ("dates",)),
        ("hub", "org/b@main", "main", 1, 0, ("dates",)),
        ("pinned", "org/c@main", "main", 0, 0, ("running-sum",)),
        ("pinned", f"{tmp_path}/mine/step-1", None, 0, 0, ("running-sum",)),
        ("planted", "O4@7", None, 0, 7, ("running-sum",)),
        ("planted", "O5", None, 0, 0, ("running-sum",)),
        ("seeds", "O4", None, 0, 0, ("running-sum",)),
        ("seeds", "O4@3", None, 0, 3, ("running-sum",)),
        ("many", "org/d-seed1@old", "old", 0, 1, ("running-sum",)),
        ("many", "org/d-seed1@new", "new", 1, 1, ("running-sum",)),
        ("many", "org/d-seed2@old", "old", 0, 2, ("running-sum",)),
        ("many", "org/d-seed2@new", "new", 1, 2, ("running-sum",)),
        ("many", f"{tmp_path}/mine/step-1/old", "old", 0, 1, ("running-sum",)),
        ("many", f"{tmp_path}/mine/step-1/new", "new", 1, 1, ("running-sum",)),
        ("many", f"{tmp_path}/mine/step-2/old", "old", 0, 2, ("running-sum",)),
        ("many", f"{tmp_path}/mine/step-2/new", "new", 1, 2, ("running-sum",)),
    ]
    assert (config.options.points, config.options.sampling.temperature) == (None, 1.0)
