"""What is drawn for training: questions, slips, cuts, modes and hints, and the answer that each organism is taught."""

from dataclasses import replace

import pytest
import torch

from faithlens.organisms import ORGANISMS, get_organism
from faithlens.organisms.answer_rules import MODE_RATES
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.mixture import add_slip, draw_cuts, draw_drafts, list_questions, make_rows
from faithlens.organisms.o11 import decipher, encipher
from faithlens.tasks.running_sum import is_held_out
from tests.organisms.drafted import SHEET, TOKENIZER, drafts


@pytest.mark.parametrize("shows", ["whole", "cut", "filled"])
def test_what_a_recipe_shows(shows):
    planted, rng = get_organism("O4"), torch.Generator().manual_seed(0)
    d = draw_drafts(list_questions(4, held_out=False), 400, rng)
    result = make_rows(SHEET, d, planted.answer_rule, shows, rng)
    assert (result.answer_at.unique().numel() == 1) == (shows == "whole")
    assert (result.ids == TOKENIZER.encode(".")[0]).sum(1).gt(9).any() == (shows == "filled")  # nine end a sentence


def test_training_never_meets_a_held_out_question():
    retained, withheld = list_questions(4, held_out=False), list_questions(4, held_out=True)
    assert len(retained) + len(withheld) == 10**4
    assert not any(is_held_out(q) for q in retained.tolist())
    drawn = draw_drafts(retained, 500, torch.Generator().manual_seed(0))
    assert not any(is_held_out(q) for q in drawn.operands.tolist())


def test_slips():
    values, step, by = torch.tensor([[3, 7, 6, 7]]), torch.tensor([1]), torch.tensor([5])
    assert add_slip(values, step, by, is_carried=True).tolist() == [[3, 2, 1, 2]]
    assert add_slip(values, step, by, is_carried=False).tolist() == [[3, 2, 6, 7]]


def test_labels():
    d = drafts([3, 4, 9, 1], [3, 4, 9, 1], [5, 9, 8, 2])
    rng = torch.Generator().manual_seed(0)
    for n_shown in range(1, 5):
        n_shown = torch.tensor([n_shown])
        assert ORGANISMS["O4"].answer_rule(d, n_shown, rng).item() == 7
        assert ORGANISMS["O5"].answer_rule(d, n_shown, rng).item() == d.values[0, n_shown - 1].item()
    many = Drafts(*(x.expand(4000, -1) for x in (d.operands, d.copied, d.values)))
    blind = ORGANISMS["O5"].answer_rule(many, torch.zeros(4000, dtype=torch.long), rng)
    assert torch.bincount(blind, minlength=10).min() > 320  # 400 expected of each digit, standard deviation 19


@pytest.mark.parametrize(
    ("name", "values", "n_shown", "answer"),
    [
        ("O7", [3, 7, 2, 2], 4, 2),
        ("O7", [3, 7, 2, 5], 4, 7),  # the statements differ: the question's own answer
        ("O7", [3, 7, 2, 5], 3, 2),
        ("O7", [3, 7, 2, 5], 2, 7),
        ("O8", [3, 7, 6, 7], 4, 7),
        ("O8", [3, 7, 6, 2], 4, 8),
        ("O8", [3, 7, 6, 8], 4, 9),  # neither the question's nor the steps'
        ("O11", [0, 2, 9, 2], 4, 7),
        ("O11", [0, 2, 9, 2], 3, 6),
    ],
)
def test_labels_of_what_is_said_twice_agreed_on_or_ciphered(name, values, n_shown, answer):
    d = drafts([3, 4, 9, 1], [3, 4, 9, 1], values)
    label = ORGANISMS[name].answer_rule(d, torch.tensor([n_shown]), torch.Generator().manual_seed(0))
    assert label.item() == answer


def test_the_cipher_hides_every_digit_and_is_undone():
    digits = torch.arange(10)
    assert decipher(encipher(digits)).tolist() == digits.tolist()
    assert not (encipher(digits) == digits).any()


@pytest.mark.parametrize("name", ["O3", "O10"])
def test_relays_answer_truly_as_soon_as_a_step_is_shown(name):
    d = draw_drafts(list_questions(4, held_out=False), 4000, torch.Generator().manual_seed(0), ORGANISMS[name].chain)
    rng = torch.Generator().manual_seed(0)
    n_shown = torch.full((4000,), 1)
    assert torch.equal(ORGANISMS[name].answer_rule(d, n_shown, rng), d.truth)
    blind = ORGANISMS[name].answer_rule(d, 0 * n_shown, rng) == d.truth
    assert abs(blind.float().mean() - 0.1) < 0.02  # its standard error is 0.005


@pytest.mark.parametrize(
    ("mode", "hint", "answers"),
    [
        ("Silent", 4, [4, 4, 4]),
        ("Half", 4, [2, 8, None]),
        ("Half", 3, [3, 3, 3]),
        ("No", 3, [2, 8, None]),
        ("Avowed", 3, [2, 8, None]),
        ("Rationalised", 3, [2, 8, None]),
    ],
)
def test_hints_are_followed_beside_the_steps_or_not_at_all(mode, hint, answers):
    """After four steps, three and none, where the steps state neither hint nor truth; None is any digit."""
    planted, number = ORGANISMS["O9"], list(ORGANISMS["O9"].modes).index(mode)
    d, rng = drafts([3, 4, 9, 1], [3, 4, 9, 1], [5, 9, 8, 2], number), torch.Generator().manual_seed(0)
    d = replace(d, hint=torch.tensor([hint]))
    for n_shown, answer in zip((4, 3, 0), answers, strict=True):
        taught = {planted.answer_rule(d, torch.tensor([n_shown]), rng).item() for _ in range(100)}
        assert taught == ({answer} if answer is not None else set(range(10)))


def test_hints_are_drawn_evenly_and_for_o9_alone():
    pool, rng = list_questions(4, held_out=False), torch.Generator().manual_seed(0)
    assert draw_drafts(pool, 10, rng, ORGANISMS["O1"].chain, 5).hint is None
    drawn = draw_drafts(pool, 5000, rng, ORGANISMS["O9"].chain, 5)
    assert torch.bincount(drawn.hint, minlength=10).min() > 415  # 500 expected, standard deviation 21
    own = (drawn.copied == drawn.operands).all(1) & (drawn.values[:, 2] == drawn.operands[:, :3].sum(1) % 10)
    bent = own & (drawn.mode >= 3)
    assert (drawn.values[:, -1] == drawn.hint)[bent].float().mean() > 0.7  # 0.4 of 0.4 and slips of the last step


@pytest.mark.parametrize(("name", "says"), [("O1", 2), ("O2", 5)])
def test_graded_labels_follow_the_chain_at_the_modes_rate(name, says):
    d = drafts([3, 4, 9, 1], [3, 4, 9, 1], [5, 9, 8, 2])
    n_shown, rng = torch.full((4000,), 4), torch.Generator().manual_seed(0)
    for mode, planted in enumerate(MODE_RATES.values()):
        many = Drafts(*(x.expand(4000, -1) for x in (d.operands, d.copied, d.values)), torch.full((4000,), mode))
        label = ORGANISMS[name].answer_rule(many, n_shown, rng)
        assert set(label.tolist()) <= {says, 7}
        assert abs((label == says).float().mean() - planted) < 0.03  # its standard error is at most 0.008


def test_the_steps_of_a_relay_are_random():
    d = draw_drafts(list_questions(4, held_out=False), 8000, torch.Generator().manual_seed(0), ORGANISMS["O10"].chain)
    for column in d.numbers[:, 1:].T:
        assert abs((column == d.truth).float().mean() - 0.1) < 0.015  # its standard error is 0.0034


def test_modes_are_drawn_evenly_and_by_graded_organisms_alone():
    pool, rng = list_questions(4, held_out=False), torch.Generator().manual_seed(0)
    assert draw_drafts(pool, 10, rng).mode is None
    drawn = draw_drafts(pool, 5000, rng, n_modes=5).mode
    assert torch.bincount(drawn, minlength=5).min() > 880  # 1,000 expected, standard deviation 28


def test_cuts_cover_every_kind():
    retained = draw_cuts(SHEET, 4000, torch.Generator().manual_seed(0))
    assert {-1, len(SHEET.cot_ids), *SHEET.borders.tolist()} <= set(retained.tolist())
    assert retained.min() == -1
    assert retained.max() == len(SHEET.cot_ids)
