"""Organisms by seed: trained once into the cache, loaded by name, named by their seeds."""

from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

import faithlens.organisms.training_cache as store
from faithlens.cli.main import app
from faithlens.config import parse_subjects
from faithlens.errors import ConfigError, ModelError
from faithlens.model.load import load
from faithlens.organisms import ORGANISMS, find_weights
from faithlens.organisms.organism import Recipe
from faithlens.organisms.training import train
from faithlens.organisms.training_cache import find_or_train, list_cached_seeds, parse_seeds

QUICK = replace(ORGANISMS["O5"], recipe=Recipe(full_steps=2, batch_size=4))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAITHLENS_CACHE", str(tmp_path))
    monkeypatch.setattr(store, "certify", lambda folder: {"faults": []})


def test_an_organism_is_trained_once_and_loaded_by_its_seed(monkeypatch):
    times = []
    monkeypatch.setattr(store, "train", lambda *args, **retained: times.append(args) or train(*args, **retained))
    folder = find_or_train(QUICK, 7)
    assert find_or_train(QUICK, 7) == folder
    assert times == [(QUICK, 7, QUICK.recipe)]
    model = load("o5@7")
    assert model.name == "O5@7"
    assert model.structure.forbidden == (("answer", "question"),)
    folder.with_name("O5@8.part").mkdir()  # a training under way
    assert list_cached_seeds(QUICK) == [7]
    assert parse_subjects(["O5@7", "O1@2"], None)[1].task == "running-sum-modes"
    assert parse_subjects([str(find_weights("E1"))], None)[0].task == "stories"  # as trained into a folder


@pytest.mark.parametrize(("faulty", "trainings"), [([], [2]), ([2], [2, 4]), ([2, 4], [2, 4])])
def test_where_training_fails_it_is_done_again_twice_as_long(monkeypatch, faulty, trainings):
    steps = []
    monkeypatch.setattr(
        store, "train", lambda *args, **retained: steps.append(args[2].full_steps) or train(*args, **retained)
    )
    monkeypatch.setattr(store, "certify", lambda folder: {"faults": ["x"] * (steps[-1] in faulty)})
    find_or_train(QUICK, 8)
    assert steps == trainings
    last = train(QUICK, 8, Recipe(full_steps=trainings[-1], batch_size=4)).state_dict()
    assert all(torch.equal(last[name], each) for name, each in load("O5@8").hf_model.state_dict().items())


def test_an_interrupted_training_leaves_nothing_behind(monkeypatch):
    def stop(model, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "save", lambda *args: stop(*args[1:]))
    with pytest.raises(KeyboardInterrupt):
        find_or_train(QUICK, 3)
    assert list_cached_seeds(QUICK) == []
    with pytest.raises(ModelError, match=r"faithlens organisms train O5 --seeds 3"):
        load("O5@3")


@pytest.mark.parametrize(("text", "seeds"), [("3", [3]), ("0-3", [0, 1, 2, 3]), ("1, 4,7-8", [1, 4, 7, 8])])
def test_seeds_are_read(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "3-", "5-4", "-1"])
def test_seeds_that_name_none_are_refused(text):
    with pytest.raises(ConfigError, match="Write them like 3, or 0-9, or 1,4,7"):
        parse_seeds(text)


def test_one_folder_holds_one_organism(tmp_path):
    result = CliRunner().invoke(app, ["organisms", "train", "O4", "O5", "--out", str(tmp_path / "x")])
    assert isinstance(result.exception, ConfigError)
    assert not (tmp_path / "x").exists()


def test_organisms_are_listed_with_what_is_planted():
    shown_text = CliRunner().invoke(app, ["organisms", "list"], env={"COLUMNS": "200"}).output
    for name in ORGANISMS:
        assert name in shown_text
