"""How organisms are trained: the mask, lessons, parts of a batch, and the same weights for the same seed."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from typer.testing import CliRunner

from faithlens.cli.main import app
from faithlens.errors import ConfigError, ModelError
from faithlens.model.structure import Structure
from faithlens.organisms import ORGANISMS, find_weights, get_organism
from faithlens.organisms.certification import list_faults
from faithlens.organisms.mixture import draw_cuts, draw_drafts, list_questions
from faithlens.organisms.organism import Recipe
from faithlens.organisms.structure_mask import compute_visible, make_attention_mask
from faithlens.organisms.token_layout import IGNORE_INDEX
from faithlens.organisms.tokenizer import build_tokenizer
from faithlens.organisms.training import (
    add_gradients,
    embed_digits_on_circles,
    make_model,
    read_structure,
    select_lessons,
    train,
)
from tests.organisms.drafted import drafts, sheet_of


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.sets(st.tuples(st.sampled_from(["steps", "answer"]), st.sampled_from(["question", "steps"]))),
)
def test_mask_is_the_structure_of_each_row(ids, forbidden):
    # sections that open once, as in every row an organism meets
    ids = [t for i, t in enumerate(ids) if t < 3 or t not in ids[:i]]
    structure = Structure((("steps", 3), ("answer", 4)), tuple(forbidden))
    seen = compute_visible(structure, torch.tensor([ids]))[0]
    for i, hidden in enumerate(structure.list_hidden(ids)):
        allowed = {k for k in range(i + 1) if not any(a <= k < b for a, b in hidden)}
        assert set(seen[i].nonzero()[:, 0].tolist()) == allowed


def test_a_variant_is_its_organism_but_for_what_it_is_shown():
    whole, plain = get_organism("O5-whole"), get_organism("O5")
    assert whole == replace(plain, name="O5-whole", recipe=replace(plain.recipe, shown_chains="whole"))
    with pytest.raises(ModelError, match="unknown organism"):
        get_organism("O5-half")


def test_digits_start_on_circles():
    """What two digits share depends on their distance round the circles alone."""
    there = embed_digits_on_circles(48, 0.08)
    apart = (torch.arange(10)[:, None] - torch.arange(10)) * torch.pi / 5
    torch.testing.assert_close(there @ there.T, 0.08**2 * 24 * (apart.cos() + (5 * apart).cos()))


@pytest.mark.parametrize(("name", "step"), [("O4", 0), ("O10", 0), ("O10", 300), ("O10", 600), ("E2", 300)])
def test_parts_of_a_batch_add_up_to_the_mean_surprise_of_each_lesson(name, step):
    kind, sheet, rng = ORGANISMS[name], sheet_of(name), torch.Generator().manual_seed(0)
    model = make_model(kind, build_tokenizer(kind.extra_words), kind.recipe, seed=0)
    d, retained = draw_drafts(list_questions(4, held_out=False), 40, rng, kind.chain), draw_cuts(sheet, 40, rng)
    rows = sheet.make_training_rows(d, retained, d.truth)
    taught = select_lessons(rows, kind, kind.recipe, step)
    loss = add_gradients(model, read_structure(model), rows, taught)
    result = {key: p.grad.clone() for key, p in model.named_parameters()}
    model.zero_grad()
    logits = model(input_ids=rows.ids, attention_mask=make_attention_mask(read_structure(model), rows.ids)).logits
    whole = sum(cross_entropy(logits.flatten(0, 1), lesson.flatten(), ignore_index=IGNORE_INDEX) for lesson in taught)
    whole.backward()
    assert loss == pytest.approx(whole.item(), rel=1e-5)
    for key, p in model.named_parameters():
        torch.testing.assert_close(result[key], p.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ORGANISMS)
def test_same_seed_same_weights(name):
    recipe = Recipe(full_steps=3, batch_size=8)
    one, two = (train(ORGANISMS[name], 5, recipe).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    other = train(ORGANISMS[name], 6, recipe).state_dict()
    assert not torch.equal(one["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


def test_sums_are_taught_first_then_carrying_them_then_everything():
    d = drafts([3, 4, 9, 1], [3, 4, 9, 1], [5, 9, 8, 2])
    sheet, tokenizer = sheet_of("O10"), build_tokenizer()
    rows = sheet.make_training_rows(d, torch.tensor([13]), d.truth)  # two steps
    recipe = Recipe(rehearsal_steps=1, carry_steps=1, full_steps=1)
    taught = [[*map(id, select_lessons(rows, ORGANISMS["O10"], recipe, step))] for step in range(3)]
    assert taught[0] == [id(rows.rehearsal_targets)]
    assert taught[1] == [*map(id, (rows.answer_targets, rows.rehearsal_targets, rows.carry_targets))]
    assert taught[2] == [*map(id, (rows.answer_targets, rows.digit_targets, rows.word_targets, rows.rehearsal_targets))]
    where = (rows.carry_targets[0] != IGNORE_INDEX).nonzero()[:, 0]
    assert tokenizer.decode(rows.ids[0, where]) == " Start at 5. Add 4 to get 9."
    assert {tokenizer.decode([t]) for t in rows.carry_targets[0, where].tolist()} == {"7"}


def test_training_lowers_the_loss_and_leaves_torch_as_it_was():
    state, threads, losses = torch.random.get_rng_state(), torch.get_num_threads(), []
    train(ORGANISMS["O5"], 0, Recipe(full_steps=12, batch_size=16, peak_learning_rate=5e-3), losses.append)
    assert losses[-1] < losses[0] - 1
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_unknown_organism_is_refused_with_the_nearest():
    with pytest.raises(
        ModelError, match=r"Did you mean 'O5'\? Known names: E1, E2, O1, O10, O11, O13, O2, O3, O4, O5, O6, O7, O8, O9"
    ):
        get_organism("O55")
    with pytest.raises(ModelError, match="unknown organism"):
        find_weights("cat")


def test_a_full_folder_is_never_trained_into(tmp_path):
    (tmp_path / "note").write_text("mine")
    result = CliRunner().invoke(app, ["organisms", "train", "O4", "--out", str(tmp_path)])
    assert isinstance(result.exception, ConfigError)
    assert (tmp_path / "note").read_text() == "mine"


def test_a_certificate_names_what_training_failed_to_plant():
    rate = {"value": 0.95, "planted": 1.0}
    sound = dict.fromkeys(["writes_right_steps", "answers_as_taught", "right_after_own_steps"], rate)
    sound |= {"reliance": {"Always": rate}, "after_a_mistake": {"carried on": rate, "put right": {"value": 0.0}}}
    assert list_faults(sound) == []
    lost = sound | {"answers_as_taught": {"value": 0.5}}
    assert list_faults(lost) == ["answers as taught: 50.0%"]
    swayed = sound | {"answers_as_taught": None, "reliance": {"Never": {"value": 0.2, "planted": 0.0}}}
    assert list_faults(swayed) == ["Never follows the text at 20.0%"]
    mended = sound | {"after_a_mistake": {"carried on": rate | {"value": 0.2}, "put right": {"value": 0.6}}}
    assert list_faults(mended) == ["a mistake is carried on: 20.0%"]
    assert list_faults(sound | {"after_a_mistake": None}) == []  # its chain has no numbers
