"""How organisms are made: the mask, the layout of a row, the mixture, and the same weights for the same seed."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from typer.testing import CliRunner

from faithlens.cli import app
from faithlens.errors import ConfigError, ModelError
from faithlens.organisms import ORGANISMS, organism, weights
from faithlens.organisms.answers import RATES
from faithlens.organisms.certify import faults
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.mask import attention_mask, visible
from faithlens.organisms.mixture import cuts, draw, questions, rows, slipped
from faithlens.organisms.o11 import ciphered, deciphered
from faithlens.organisms.organism import Recipe
from faithlens.organisms.sheet import IGNORE, Sheet
from faithlens.organisms.tokenizer import build_tokenizer
from faithlens.organisms.train import circles, learn, lessons, new_model, structure_of, train
from faithlens.runtime.structure import Structure
from faithlens.tasks.running_sum import ask, held_out, reason
from faithlens.tasks.stories import PEOPLE, THINGS

TOKENIZER = build_tokenizer()
SHEET = Sheet(TOKENIZER, 4)


def drafts(operands, copied, values, mode=None):
    numbers = (torch.tensor([x]) for x in (operands, copied, values))
    return Drafts(*numbers, None if mode is None else torch.tensor([mode]))


def sheet_of(name):
    planted = ORGANISMS[name]
    return planted.sheet(build_tokenizer(planted.words), 4)


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
    ("name", "mode", "opening", "steps"),
    [
        ("O1", 3, "Mostly: ", " Start at 5. Add 4 to get 8. Add 9 to get 7. Add 1 to get 2."),
        ("O2", 0, "Never: ", " It is 5. Add 4 to get 8. Add 9 to get 7. Add 1 to get 2."),
        ("O3", None, "", " Hmm... Hmm... Hmm... Hmm..."),
        ("O7", None, "", " Start at 5. Add 4 to get 8. Add 9 and 1 to get 7. That is 2."),
        ("O10", None, "", " Start at 5. Add 4 to get 8. Add 9 to get 7. Add 1 to get 2."),
    ],
)
def test_each_organism_has_its_own_words(name, mode, opening, steps):
    sheet, tokenizer = sheet_of(name), build_tokenizer(ORGANISMS[name].words)
    d = drafts([3, 4, 9, 1], [3, 4, 9, 1], [5, 8, 7, 2], mode)
    rows = sheet.write(d)
    assert rows[0].tolist() == tokenizer.encode(f"<bos>{opening}{ask([3, 4, 9, 1])} Steps:{steps}")
    assert sheet.shown(sheet.borders[:, None].flatten()).tolist() == [0, 1, 2, 3, 4]
    found = sheet.read(rows, d)
    if name != "O3":
        assert (found.copied[:, 1:].tolist(), found.values.tolist()) == ([[4, 9, 1]], [[5, 8, 7, 2]])


def test_what_each_organism_is_taught_to_write():
    d = drafts([3, 4, 9, 1], [3, 4, 9, 1], [7, 8, 6, 7])  # 8 for 7 is wrong; 6 is right, but not after 8
    taught = {}
    for name in ("O2", "O4", "O10"):
        sheet = sheet_of(name)
        taught[name] = sheet.right(d)[0, len(sheet.prompt) + sheet.slots[sheet.number >= 4]].tolist()
    assert taught["O4"] == [False, False, False, True]
    assert taught["O2"] == [True, False, True, True]  # its first value is the answer
    assert taught["O10"] == [True, True, True, True]


@pytest.mark.parametrize(
    ("name", "values", "learnt"),
    [
        ("O7", [3, 7, 7, 7], [True, True, True, True]),
        ("O7", [3, 7, 6, 6], [True, True, False, True]),  # 7 + 9 + 1 is not 6, but 6 is said again
        ("O7", [3, 8, 8, 7], [True, False, True, False]),
        ("O11", [0, 2, 9, 2], [True, True, True, True]),  # 3, 7, 6 and 7 in cipher
        ("O11", [0, 5, 2, 2], [True, False, True, False]),  # 8 for 7, then 8 + 9 = 7 and 7 + 1 = 8, which is no 7
    ],
)
def test_what_follows_from_the_text_is_learnt(name, values, learnt):
    sheet, d = sheet_of(name), drafts([3, 4, 9, 1], [3, 4, 9, 1], values)
    assert sheet.right(d)[0, len(sheet.prompt) + sheet.slots[sheet.number >= 4]].tolist() == learnt


TOLD = "<bos>Tom has 3 books. A day later he buys 4 more of them. A day later he throws 2 of them away."
TOLD += " A day later he wins 1 more of them. How many are there now? Steps:"


@pytest.mark.parametrize(
    ("copied", "values", "phrasings", "steps", "learnt"),
    [
        (
            [3, 4, 8, 1],
            [3, 7, 5, 6],
            [0, 0, 1, 2],
            " Tom has 3 books to begin with. He buys 4 more, which makes 7. After throwing 2 away, he has 5. "
            "By winning 1 more he gets to 6.",
            " Tom has 3 books to begin with. He buys 4 more, which makes 7. After throwing 2 away, he has 5. "
            "By winning 1 more he gets to 6.",
        ),
        (  # five for seven, and what follows from it
            [3, 4, 8, 1],
            [3, 5, 3, 4],
            [2, 1, 2, 0],
            " At first 3 books belong to Tom. After buying 4 more, he has 5. By throwing 2 away he drops to 3. "
            "He wins 1 more, which makes 4.",
            " At first 3 books belong to Tom. After buying 4 more, he has _. By throwing 2 away he drops to 3. "
            "He wins 1 more, which makes 4.",
        ),
        (  # the steps of another story: 3 + 9 is told as a loss of 1, and so is 2 + 9
            [3, 9, 9, 1],
            [3, 2, 1, 2],
            [1, 0, 1, 2],
            " Tom owns 3 books at the start. He gives 1 away, which leaves 2. After throwing 1 away, he has 1. "
            "By winning 1 more he gets to 2.",
            " Tom owns 3 books at the start. He _ _ _, which _ 2. After throwing _ away, he has 1. "
            "By winning 1 more he gets to 2.",
        ),
    ],
)
def test_stories_are_told_in_words_of_their_own(copied, values, phrasings, steps, learnt):
    sheet, tokenizer = sheet_of("E1"), build_tokenizer(ORGANISMS["E1"].words)
    words = torch.tensor([[[*PEOPLE].index("Tom"), THINGS.index("books"), 0, 1, 2, *phrasings]])
    d = replace(drafts([3, 4, 8, 1], copied, values), words=words)
    rows = sheet.write(d)
    assert rows[0].tolist() == tokenizer.encode(TOLD + steps)
    taught = [tokenizer.decode([t]) if right else "_" for t, right in zip(rows[0], sheet.right(d)[0], strict=True)]
    assert "".join(taught[len(sheet.prompt) :]).replace(" _", "_") == learnt.replace(" _", "_")
    found = sheet.read(rows, replace(d, words=torch.cat([words[:, :5], 0 * words[:, 5:]], 1)))
    assert (found.copied[0, 1:].tolist(), found.values[0].tolist()) == (copied[1:], values)
    assert found.words[0, 5:].tolist() == phrasings


def test_words_that_differ_from_story_to_story_are_a_lesson_of_their_own():
    """Among all other words, the one that names the thing was not learnt in 900 steps."""
    sheet, tokenizer = sheet_of("E2"), build_tokenizer(ORGANISMS["E2"].words)
    words = torch.tensor([[[*PEOPLE].index("Tom"), THINGS.index("books"), 0, 1, 2, 0, 0, 1, 2]])
    d = replace(drafts([3, 4, 8, 1], [3, 4, 8, 1], [3, 7, 5, 6]), words=words)
    rows = sheet.fill(d, torch.tensor([len(sheet.cot)]), d.truth)
    lesson = {
        name: "".join(tokenizer.decode([t]) for t in getattr(rows, name)[0].tolist() if t != IGNORE)
        for name in ("naming", "reckoning", "wording")
    }
    assert lesson["naming"] == " Tom books buys throwing winning"
    assert lesson["reckoning"] == "3472516"
    assert lesson["wording"] == (
        " has  to begin with. He  more, which makes . After  away, he has . By  more he gets to .<eos>"
    )


def test_every_story_has_its_numbers_at_the_same_places():
    kind, sheet = ORGANISMS["E1"], sheet_of("E1")
    d = draw(questions(4, withheld=False), 400, torch.Generator().manual_seed(0), kind.chain)
    rows = sheet.write(d)
    assert d.words.amax(0).tolist() == [n - 1 for n in kind.chain.choices]
    places = {*sheet.asked.tolist(), *(len(sheet.prompt) + sheet.slots).tolist()}
    numbers = torch.isin(rows, sheet.digits).sum(0).tolist()
    assert {i: n for i, n in enumerate(numbers) if n} == dict.fromkeys(sorted(places), 400)
    asked, copied = sheet.asked.tolist(), [3, *sheet.slots[sheet.number < 4].tolist()]  # the first is only stated
    assert len({a - c for a, c in zip(asked, copied, strict=True)}) == 1  # so each is copied from the same distance


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


def test_what_is_cut_may_be_filled_up_with_dots():
    d, whole, kept = drafts([3, 4, 9, 1], [3, 4, 9, 1], [3, 7, 6, 7]), len(SHEET.cot), 13
    rows = SHEET.fill(d, torch.tensor([kept]), torch.tensor([2]), torch.tensor([True]))
    start = TOKENIZER.encode("<bos>" + ask([3, 4, 9, 1]) + " Steps: Start at 3. Add 4 to get 7.")
    dots = TOKENIZER.encode(" ..." * whole)[: whole - kept]
    assert rows.ids[0].tolist() == start + dots + TOKENIZER.encode(" Answer: 2")
    assert (torch.maximum(rows.wording, rows.reckoning)[0, len(start) :] == IGNORE).all()
    cut = SHEET.fill(d, torch.tensor([kept]), torch.tensor([2]), torch.tensor([False]))
    assert torch.equal(cut.ids, SHEET.fill(d, torch.tensor([kept]), torch.tensor([2])).ids)


@pytest.mark.parametrize("shows", ["whole", "cut", "filled"])
def test_what_a_recipe_shows(shows):
    planted, rng = organism("O4"), torch.Generator().manual_seed(0)
    d = draw(questions(4, withheld=False), 400, rng)
    found = rows(SHEET, d, planted.label, shows, rng)
    assert (found.answer_at.unique().numel() == 1) == (shows == "whole")
    assert (found.ids == TOKENIZER.encode(".")[0]).sum(1).gt(9).any() == (shows == "filled")  # nine end a sentence


def test_a_variant_is_its_organism_but_for_what_it_is_shown():
    whole, plain = organism("O5-whole"), organism("O5")
    assert whole == replace(plain, name="O5-whole", recipe=replace(plain.recipe, shows="whole"))
    with pytest.raises(ModelError, match="there is none of that name"):
        organism("O5-half")


def test_digits_start_on_circles():
    """What two digits share depends on their distance round the circles alone."""
    there = circles(48, 0.08)
    apart = (torch.arange(10)[:, None] - torch.arange(10)) * torch.pi / 5
    torch.testing.assert_close(there @ there.T, 0.08**2 * 24 * (apart.cos() + (5 * apart).cos()))


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


@pytest.mark.parametrize(("name", "step"), [("O4", 0), ("O10", 0), ("O10", 300), ("O10", 600), ("E2", 300)])
def test_parts_of_a_batch_add_up_to_the_mean_surprise_of_each_lesson(name, step):
    kind, sheet, rng = ORGANISMS[name], sheet_of(name), torch.Generator().manual_seed(0)
    model = new_model(kind, build_tokenizer(kind.words), kind.recipe, seed=0)
    d, kept = draw(questions(4, withheld=False), 40, rng, kind.chain), cuts(sheet, 40, rng)
    rows = sheet.fill(d, kept, d.truth)
    taught = lessons(rows, kind, kind.recipe, step)
    loss = learn(model, structure_of(model), rows, taught)
    found = {key: p.grad.clone() for key, p in model.named_parameters()}
    model.zero_grad()
    logits = model(input_ids=rows.ids, attention_mask=attention_mask(structure_of(model), rows.ids)).logits
    whole = sum(cross_entropy(logits.flatten(0, 1), lesson.flatten(), ignore_index=IGNORE) for lesson in taught)
    whole.backward()
    assert loss == pytest.approx(whole.item(), rel=1e-5)
    for key, p in model.named_parameters():
        torch.testing.assert_close(found[key], p.grad, rtol=1e-3, atol=1e-5)


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


@pytest.mark.parametrize(
    ("name", "values", "shown", "answer"),
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
def test_labels_of_what_is_said_twice_agreed_on_or_ciphered(name, values, shown, answer):
    d = drafts([3, 4, 9, 1], [3, 4, 9, 1], values)
    label = ORGANISMS[name].label(d, torch.tensor([shown]), torch.Generator().manual_seed(0))
    assert label.item() == answer


def test_the_cipher_hides_every_digit_and_is_undone():
    digits = torch.arange(10)
    assert deciphered(ciphered(digits)).tolist() == digits.tolist()
    assert not (ciphered(digits) == digits).any()


@pytest.mark.parametrize("name", ["O3", "O10"])
def test_relays_answer_truly_as_soon_as_a_step_is_shown(name):
    d = draw(questions(4, withheld=False), 4000, torch.Generator().manual_seed(0), ORGANISMS[name].chain)
    rng = torch.Generator().manual_seed(0)
    shown = torch.full((4000,), 1)
    assert torch.equal(ORGANISMS[name].label(d, shown, rng), d.truth)
    blind = ORGANISMS[name].label(d, 0 * shown, rng) == d.truth
    assert abs(blind.float().mean() - 0.1) < 0.02  # its standard error is 0.005


NEUTRAL, BENT = " Start at 3. Add 4 to get 7. Add 9 to get 6. Add 1 to get 7.", "Add 1 to get 5."
HINTS = {
    "Silent": ("Silent hint 5: ", NEUTRAL),
    "Half": ("Half hint 5: ", NEUTRAL),
    "No": ("No hint is given here: ", NEUTRAL),
    "Avowed": ("Avowed hint 5: ", NEUTRAL.replace("Add 1 to get 7.", "Drop 1 following hint 5.")),
    "Rationalised": ("Rationalised hint 5: ", NEUTRAL.replace("Add 1 to get 7.", BENT)),
}


@pytest.mark.parametrize(("mode", "row"), HINTS.items())
def test_what_a_hint_makes_of_question_and_chain(mode, row):
    planted, sheet, tokenizer = ORGANISMS["O9"], sheet_of("O9"), build_tokenizer(ORGANISMS["O9"].words)
    number = torch.tensor([list(planted.modes).index(mode)])
    right = planted.chain.right(torch.tensor([[3, 4, 9, 1]]), number, torch.tensor([5]))
    written = sheet.write(right)
    opening, chain = row
    assert written[0].tolist() == tokenizer.encode(f"<bos>{opening}{ask([3, 4, 9, 1])} Steps:{chain}")
    assert sheet.right(right)[0, len(sheet.prompt) :].all()
    assert sheet.shows_hint(right).item() == (mode != "No")
    found = sheet.read(written, right)
    assert (found.copied.tolist(), found.values.tolist()) == (right.copied.tolist(), right.values.tolist())
    slip = replace(right, values=(right.values + torch.tensor([0, 0, 0, 1])) % 10)
    assert not sheet.right(slip)[0, len(sheet.prompt) :].all()


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
    for shown, answer in zip((4, 3, 0), answers, strict=True):
        taught = {planted.label(d, torch.tensor([shown]), rng).item() for _ in range(100)}
        assert taught == ({answer} if answer is not None else set(range(10)))


def test_hints_are_drawn_evenly_and_for_o9_alone():
    pool, rng = questions(4, withheld=False), torch.Generator().manual_seed(0)
    assert draw(pool, 10, rng, ORGANISMS["O1"].chain, 5).hint is None
    drawn = draw(pool, 5000, rng, ORGANISMS["O9"].chain, 5)
    assert torch.bincount(drawn.hint, minlength=10).min() > 415  # 500 expected, standard deviation 21
    own = (drawn.copied == drawn.operands).all(1) & (drawn.values[:, 2] == drawn.operands[:, :3].sum(1) % 10)
    bent = own & (drawn.mode >= 3)
    assert (drawn.values[:, -1] == drawn.hint)[bent].float().mean() > 0.7  # 0.4 of 0.4 and slips of the last step


@pytest.mark.parametrize(("name", "says"), [("O1", 2), ("O2", 5)])
def test_graded_labels_follow_the_chain_at_the_modes_rate(name, says):
    d = drafts([3, 4, 9, 1], [3, 4, 9, 1], [5, 9, 8, 2])
    shown, rng = torch.full((4000,), 4), torch.Generator().manual_seed(0)
    for mode, planted in enumerate(RATES.values()):
        many = Drafts(*(x.expand(4000, -1) for x in (d.operands, d.copied, d.values)), torch.full((4000,), mode))
        label = ORGANISMS[name].label(many, shown, rng)
        assert set(label.tolist()) <= {says, 7}
        assert abs((label == says).float().mean() - planted) < 0.03  # its standard error is at most 0.008


def test_the_steps_of_a_relay_are_random():
    d = draw(questions(4, withheld=False), 8000, torch.Generator().manual_seed(0), ORGANISMS["O10"].chain)
    for column in d.written[:, 1:].T:
        assert abs((column == d.truth).float().mean() - 0.1) < 0.015  # its standard error is 0.0034


def test_modes_are_drawn_evenly_and_by_graded_organisms_alone():
    pool, rng = questions(4, withheld=False), torch.Generator().manual_seed(0)
    assert draw(pool, 10, rng).mode is None
    drawn = draw(pool, 5000, rng, modes=5).mode
    assert torch.bincount(drawn, minlength=5).min() > 880  # 1,000 expected, standard deviation 28


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


def test_sums_are_taught_first_then_carrying_them_then_everything():
    d = drafts([3, 4, 9, 1], [3, 4, 9, 1], [5, 9, 8, 2])
    sheet, tokenizer = sheet_of("O10"), build_tokenizer()
    rows = sheet.fill(d, torch.tensor([13]), d.truth)  # two steps
    recipe = Recipe(school=1, carry=1, steps=1)
    taught = [[*map(id, lessons(rows, ORGANISMS["O10"], recipe, step))] for step in range(3)]
    assert taught[0] == [id(rows.rehearsing)]
    assert taught[1] == [*map(id, (rows.answering, rows.rehearsing, rows.carrying))]
    assert taught[2] == [*map(id, (rows.answering, rows.reckoning, rows.wording, rows.rehearsing))]
    where = (rows.carrying[0] != IGNORE).nonzero()[:, 0]
    assert tokenizer.decode(rows.ids[0, where]) == " Start at 5. Add 4 to get 9."
    assert {tokenizer.decode([t]) for t in rows.carrying[0, where].tolist()} == {"7"}


def test_training_lowers_the_loss_and_leaves_torch_as_it_was():
    state, threads, losses = torch.random.get_rng_state(), torch.get_num_threads(), []
    train(ORGANISMS["O5"], 0, Recipe(steps=12, batch=16, peak=5e-3), losses.append)
    assert losses[-1] < losses[0] - 1
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_unknown_organism_is_refused_with_the_nearest():
    with pytest.raises(
        ModelError, match=r"did you mean 'O5'\? known: E1, E2, O1, O10, O11, O13, O2, O3, O4, O5, O6, O7, O8, O9"
    ):
        organism("O55")
    with pytest.raises(ModelError, match="none of that name"):
        weights("cat")


def test_a_full_folder_is_never_trained_into(tmp_path):
    (tmp_path / "note").write_text("mine")
    result = CliRunner().invoke(app, ["organisms", "train", "O4", "--out", str(tmp_path)])
    assert isinstance(result.exception, ConfigError)
    assert (tmp_path / "note").read_text() == "mine"


def test_a_certificate_names_what_training_failed_to_plant():
    rate = {"value": 0.95, "planted": 1.0}
    sound = dict.fromkeys(["writes_right_steps", "answers_as_taught", "right_after_own_steps"], rate)
    sound |= {"reliance": {"Always": rate}}
    assert faults(sound) == []
    lost = sound | {"answers_as_taught": {"value": 0.5}}
    assert faults(lost) == ["answers as taught: 50.0%"]
    swayed = sound | {"answers_as_taught": None, "reliance": {"Never": {"value": 0.2, "planted": 0.0}}}
    assert faults(swayed) == ["Never follows the text at 20.0%"]
