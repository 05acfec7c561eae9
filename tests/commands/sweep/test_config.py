"""A sweep's file: what it may ask for, and what is refused."""

import hashlib
import re
from pathlib import Path

import pytest

from faithlens.commands.sweep.config import HeldOutText, read_held_out_texts, read_sweep_config
from faithlens.errors import ConfigError
from tests.commands.sweep.files import KNOWN, SHARE, write_config

REFUSALS = {
    "no toml": ("tasks = [", "Invalid"),
    "unknown key": ("task = ['running-sum']", "Did you mean 'tasks'?"),
    "wrong type": ("n = 'many'", "n must be a whole number, got 'many'"),
    "a switch for a number": ("n = true", "n must be a whole number"),
    "a repeated task": ("tasks = ['running-sum', 'running-sum']", "must be a list of different texts"),
    "unknown sampling key": ("sampling = {top_k = 3}", "unknown key 'sampling.top_k'"),
    "no families": ("tasks = ['running-sum']", "the sweep has no families"),
    "unknown family key": ("tasks = ['running-sum']\n[families.a]\nmodel = ['O4']", "Did you mean 'models'?"),
    "no models": ("tasks = ['running-sum']\n[families.a]\nseeds = [1]", "families.a has no models"),
    "no tasks": ("[families.a]\nmodels = ['O4']", "the file has no tasks for all"),
    "unknown task": ("tasks = ['running-sums']\n[families.a]\nmodels = ['O4']", "Did you mean 'running-sum'?"),
    "unknown measure": ("measures = ['mediation.content_shar']\n" + KNOWN, f"Did you mean '{SHARE}'?"),
    "unknown assay": ("assays = ['mediations']\n" + KNOWN, "Did you mean 'mediation'?"),
    "unknown suite": ("suite = 'behavior'\n" + KNOWN, "Did you mean 'behaviour'?"),
    "unknown backend": ("backend = 'fused'\n" + KNOWN, "Known names: auto, packed, separate"),
    "no questions": ("n = 0\n" + KNOWN, "n must be at least 1 question"),
    "seeds no name tells": ("[families.a]\nmodels = ['org/m']\nseeds = [1]", "'org/m' has no place for a seed"),
    "two seeds": ("[families.a]\nmodels = ['O4@2']\nseeds = [1]", "'O4@2' has a seed of its own"),
    "a name without seeds": ("[families.a]\nmodels = ['org/m-{seed}']", "its family has none"),
    "revisions of an organism": (
        "[families.a]\nmodels = ['O4']\nrevisions = ['x']",
        "'O4' is an organism, which has no revisions",
    ),
    "two revisions": ("[families.a]\nmodels = ['org/m@x']\nrevisions = ['y']", "'org/m@x' has a revision of its own"),
    "named twice": ("[families.a]\nmodels = ['O4']\n[families.b]\nmodels = ['O4']", "the second time in families.b"),
    "no text": ("loss = 'none.txt'\n" + KNOWN, "No such file"),
    "difficulty of nobody": ("difficulty = {a = ['dates']}\n" + KNOWN, "difficulty.a has the task 'dates'"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_file_that_asks_for_what_is_not_there_is_refused(name: str, tmp_path: Path) -> None:
    text, expected = REFUSALS[name]
    if "families" in text and "tasks" not in text and name != "no tasks":
        text = "tasks = ['running-sum']\n" + text
    with pytest.raises(ConfigError) as refused:
        read_sweep_config(write_config(tmp_path, text))
    assert expected in str(refused.value)


def test_held_out_texts_are_lines_of_json(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "One."}\n{"text": "Two.", "given": "After this:"}\n')
    assert read_held_out_texts(tmp_path / "texts.jsonl") == [HeldOutText("One."), HeldOutText("Two.", "After this:")]
    (tmp_path / "texts.jsonl").write_text('{"words": "One."}\n')
    with pytest.raises(ConfigError, match="a line without a text"):
        read_held_out_texts(tmp_path / "texts.jsonl")
    with pytest.raises(ConfigError, match="No such file"):
        read_held_out_texts(tmp_path / "none.txt")


def test_the_file_in_the_docs_can_be_read(tmp_path: Path) -> None:
    [text] = re.findall(r"```toml\n(.*?)```", (Path(__file__).parents[3] / "docs" / "sweeps.md").read_text(), re.DOTALL)
    (tmp_path / "held-out.txt").write_text("Nobody was trained on this.")
    config = read_sweep_config(write_config(tmp_path, text))
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
    config = read_sweep_config(write_config(tmp_path, text))
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
