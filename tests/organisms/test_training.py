"""How organisms are made: the mask, the layout of a row, the mixture, and the same weights for the same seed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from faithlens.errors import ConfigError, ModelError
from faithlens.organisms import ORGANISMS, organism, weights
from faithlens.organisms.__main__ import app
from faithlens.organisms.drafts import cuts, draw, questions, slipped
from faithlens.organisms.mask import visible
from faithlens.organisms.organism import Drafts
from faithlens.organisms.sheet import IGNORE, Sheet
from faithlens.organisms.tokenizer import build_tokenizer
from faithlens.organisms.train import Recipe, train
from faithlens.runtime.structure import Structure
from faithlens.tasks.running_sum import ask, held_out, reason

TOKENIZER = build_tokenizer()
SHEET = Sheet(TOKENIZER, 4)


def drafts(operands, copied, values):
    return Drafts(*(torch.tensor([x]) for x in (operands, copied, values)))


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.sets(st.tuples(st.sampled_from(["steps", "answer"]), st.sampled_from(["question", "steps"]))),
)
def test_mask_is_the_structure_of_each_row(ids, forbidden):
    # sections that open once, as in every row an organism meets
    ids = [t for i, t in enumerate(ids) if t < 3 or t not in ids[:i]]
    structure = Structure((("steps", 3), ("answer", 4)), tuple(forbidden))
    seen = visible(structure, torch.tensor([ids]))[0]
    for i, hidden in enumerate(structure.hidden(ids)):
        allowed = {k for k in range(i + 1) if not any(a <= k < b for a, b in hidden)}
        assert set(seen[i].nonzero()[:, 0].tolist()) == allowed


def test_row_reads_as_the_task_writes_it():
    d = drafts([3, 4, 9, 1], [3, 5, 9, 1], [3, 8, 7, 2])
    rows = SHEET.fill(d, torch.tensor([len(SHEET.cot)]), torch.tensor([2]))
    text = "<bos>" + ask([3, 4, 9, 1]) + " Steps:" + "".join(reason([3, 5, 9, 1], [3, 8, 7, 2])) + " Answer: 2"
    assert rows.ids[0].tolist() == TOKENIZER.encode(text)
    assert TOKENIZER.decode(rows.ids[0, : int(rows.answer_at[0]) + 1]) == text[:-1]


@pytest.mark.parametrize(
    ("kept", "after", "shown"),
    [
        (-1, " Answer: 7", 0),
        (0, " Steps: Answer: 7", 0),
        (13, " Steps: Start at 3. Add 4 to get 7. Answer: 7", 2),
        (9, " Steps: Start at 3. Add 4 to Answer: 7", 1),
    ],
)
def test_cut_rows(kept, after, shown):
    d = drafts([3, 4, 9, 1], [3, 4, 9, 1], [3, 7, 6, 7])
    rows = SHEET.fill(d, torch.tensor([kept]), d.truth)
    text = TOKENIZER.decode(rows.ids[0]).replace("<pad>", "")
    assert text == "<bos>" + ask([3, 4, 9, 1]) + after
    assert SHEET.shown(torch.tensor([kept])).item() == shown


def test_lessons_are_the_next_tokens_that_are_right():
    d = drafts([3, 4, 9, 1], [3, 4, 9, 1], [3, 8, 7, 8])  # 3 + 4 = 8 slips; the rest is carried on from it
    rows = SHEET.fill(d, torch.tensor([len(SHEET.cot)]), d.truth)
    lesson = "".join(
        TOKENIZER.decode([t]) if t != IGNORE else "_" for t in torch.maximum(rows.wording, rows.reckoning)[0].tolist()
    )
    assert lesson.strip("_") == "Start at 3. Add 4 to get _. Add 9 to get 7. Add 1 to get 8.<eos>".replace(
        "Start", " Start"
    )
    answering = [TOKENIZER.decode([t]) for t in rows.answering[0].tolist() if t != IGNORE]
    assert answering == ["7", "<eos>"]
    rehearsing = [TOKENIZER.decode([t]) for t in rows.rehearsing[0].tolist() if t != IGNORE]
    assert rehearsing == ["3", "7", "6", "7"]


def test_training_never_meets_a_held_out_question():
    kept, withheld = questions(4, withheld=False), questions(4, withheld=True)
    assert len(kept) + len(withheld) == 10**4
    assert not any(held_out(q) for q in kept.tolist())
    drawn = draw(kept, 500, torch.Generator().manual_seed(0))
    assert not any(held_out(q) for q in drawn.operands.tolist())


def test_slips():
    values, step, by = torch.tensor([[3, 7, 6, 7]]), torch.tensor([1]), torch.tensor([5])
    assert slipped(values, step, by, carried=True).tolist() == [[3, 2, 1, 2]]
    assert slipped(values, step, by, carried=False).tolist() == [[3, 2, 6, 7]]


def test_labels():
    d = drafts([3, 4, 9, 1], [3, 4, 9, 1], [5, 9, 8, 2])
    rng = torch.Generator().manual_seed(0)
    for shown in range(1, 5):
        shown = torch.tensor([shown])
        assert ORGANISMS["O4"].label(d, shown, rng).item() == 7
        assert ORGANISMS["O5"].label(d, shown, rng).item() == d.values[0, shown - 1].item()
    many = Drafts(*(x.expand(4000, -1) for x in (d.operands, d.copied, d.values)))
    blind = ORGANISMS["O5"].label(many, torch.zeros(4000, dtype=torch.long), rng)
    assert torch.bincount(blind, minlength=10).min() > 320  # 400 expected of each digit, standard deviation 19


def test_cuts_cover_every_kind():
    kept = cuts(SHEET, 4000, torch.Generator().manual_seed(0))
    assert {-1, len(SHEET.cot), *SHEET.borders.tolist()} <= set(kept.tolist())
    assert kept.min() == -1
    assert kept.max() == len(SHEET.cot)


@pytest.mark.parametrize("name", ORGANISMS)
def test_same_seed_same_weights(name):
    recipe = Recipe(steps=3, batch=8)
    one, two = (train(ORGANISMS[name], 5, recipe).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    other = train(ORGANISMS[name], 6, recipe).state_dict()
    assert not torch.equal(one["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


def test_training_lowers_the_loss_and_leaves_torch_as_it_was():
    state, threads, losses = torch.random.get_rng_state(), torch.get_num_threads(), []
    train(ORGANISMS["O5"], 0, Recipe(steps=12, batch=16, peak=5e-3), losses.append)
    assert losses[-1] < losses[0] - 1
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_unknown_organism_is_refused_with_the_nearest():
    with pytest.raises(ModelError, match="known: O4, O5"):
        organism("O55")
    with pytest.raises(ModelError, match="none of that name"):
        weights("cat")


def test_a_full_folder_is_never_trained_into(tmp_path):
    (tmp_path / "note").write_text("mine")
    result = CliRunner().invoke(app, ["train", "O4", "--out", str(tmp_path)])
    assert isinstance(result.exception, ConfigError)
    assert (tmp_path / "note").read_text() == "mine"
