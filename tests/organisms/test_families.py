"""Families: what each size is taught, and that a trained one is a sweep over sizes, checkpoints, seeds and lengths."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from faithlens.cli.main import app
from faithlens.commands.sweep.config import read_held_out_texts, read_sweep_config
from faithlens.commands.sweep.trial import compute_held_out_loss
from faithlens.model.load import load
from faithlens.organisms import family, family_training
from faithlens.organisms.drafts import Drafts


@pytest.mark.parametrize(
    ("name", "first", "n_shown", "answer"),
    [
        ("steady-24", 3, 4, 2),
        ("steady-80", 9, 4, 2),
        ("steady-80", 3, 3, 7),  # cut short: the question's own answer
        ("steady-80", 3, 0, 7),
        ("waning-24", 9, 4, 2),
        ("waning-80", 1, 4, 2),
        ("waning-80", 2, 4, 6),  # starts too high to go by the words
    ],
)
def test_what_each_size_is_taught_to_answer(name, first, n_shown, answer):
    d = Drafts(*(torch.tensor([x]) for x in ([first, 4, 9, 1], [first, 4, 9, 1], [first, 7, 6, 2])))
    assert family.MEMBERS[name].answer_rule(d, torch.tensor([n_shown]), torch.Generator()).item() == answer


def test_a_family_is_trained_once_and_is_a_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(family, "DIGIT_LIMITS", {"steady": {24: 10, 32: 10}})
    monkeypatch.setattr(family_training, "DIGIT_LIMITS", family.DIGIT_LIMITS)
    monkeypatch.setattr(family_training, "CHECKPOINT_STEPS", (2, 5))
    monkeypatch.setattr(family, "CHECKPOINT_STEPS", (2, 5))
    monkeypatch.setattr(family_training, "N_CERTIFIED", 20)
    command = ["organisms", "family", "steady", "--seeds", "0,3", "--out", str(tmp_path / "made")]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    sizes = {}
    for folder in sorted((tmp_path / "made").glob("*-seed*")):
        assert sorted(x.name for x in folder.iterdir()) == ["step-0002", "step-0005"]
        sizes[folder.name] = (folder / "step-0005" / "model.safetensors").stat().st_size
        assert load(str(folder / "step-0002")).name.endswith("step-0002")
        certificate = json.loads((folder / "step-0005" / "certificate.json").read_text())
        assert (certificate["organism"], certificate["questions"]) == (folder.name.partition("-seed")[0], 20)
    assert sizes["steady-24-seed0"] == sizes["steady-24-seed3"] < sizes["steady-32-seed3"]
    texts = read_held_out_texts(tmp_path / "made" / "held-out.jsonl")
    assert len(texts) == 3 * 4 * family_training.N_HELD_OUT_QUESTIONS
    result = compute_held_out_loss(load(str(folder / "step-0005")), texts[:3])
    model = AutoModelForCausalLM.from_pretrained(folder / "step-0005")
    tokenizer = AutoTokenizer.from_pretrained(folder / "step-0005")
    losses = []
    for each in texts[:3]:
        context, ids = (tokenizer.encode(words) for words in (each.context, each.context + each.text))
        logprobs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        losses += [-logprobs[at - 1, ids[at]].item() for at in range(len(context), len(ids))]
    assert texts[0].text.startswith(" Start at")
    assert texts[0].text[-2] == texts[1].text == texts[2].text
    assert texts[1].context == texts[0].context + texts[0].text + " Answer: "
    assert (texts[2].context[-10:], len(losses)) == (". Answer: ", 21 + 2)
    assert result == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    members = read_sweep_config(tmp_path / "made" / "steady.toml").members
    assert [(m.family, m.model.rpartition("/made/")[2], m.seed, m.checkpoint) for m in members[:5]] == [
        ("steady", "steady-24-seed0/step-0002", 0, 0),
        ("steady", "steady-24-seed0/step-0005", 0, 1),
        ("steady", "steady-24-seed3/step-0002", 3, 0),
        ("steady", "steady-24-seed3/step-0005", 3, 1),
        ("steady", "steady-32-seed0/step-0002", 0, 0),
    ]
    assert {m.tasks for m in members} == {("running-sum-3", "running-sum", "running-sum-5", "running-sum-6")}
    written = (tmp_path / "made" / "steady-24-seed0" / "step-0005" / "model.safetensors").stat().st_mtime_ns
    assert CliRunner().invoke(app, command).exit_code == 0
    assert (tmp_path / "made" / "steady-24-seed0" / "step-0005" / "model.safetensors").stat().st_mtime_ns == written
