"""The packed pass against TransformerLens run naively, and against float64, on every architecture family."""

import random

import pytest
import torch

from faithlens.errors import ModelError
from faithlens.runtime.capture import Capture
from faithlens.runtime.condition import Condition, Knockout
from faithlens.runtime.execute import execute
from faithlens.runtime.model import Lens
from faithlens.runtime.packed import ENTRY
from faithlens.runtime.plan import compile_plan
from faithlens.runtime.structure import Structure
from faithlens.runtime.trace import Piece
from tests.conftest import MORE, tiny
from tests.exact import differences, execute_exactly

CAPTURE = Capture(attention=("answer", "stem", "step 1"))
STRUCTURES = {
    "free": Structure(),
    "answer sees no question": Structure((("answer", 5),), (("answer", "question"),)),
}


def cases(seed: int = 0) -> list[Condition]:
    """A truncation sweep, a rewritten step, knockouts, and another trace, with options of 1-3 tokens."""
    rng = random.Random(seed)

    def piece(name: str, n: int) -> Piece:
        return Piece(name, tuple(rng.randrange(10, 250) for _ in range(n)))

    options = ((65,), (66,), (67, 70), (67, 71, 72))
    prompt, stem = piece("prompt", 20), Piece("stem", (5, 100, 101))
    steps = [piece(f"step {i}", n) for i, n in enumerate((7, 5, 8, 6))]
    out = [Condition(f"cut@{t}", (prompt, *steps[:t], stem), options) for t in range(5)]
    out.append(Condition("rewrite", (prompt, steps[0], piece("step 1", 9), *steps[2:], stem), options))
    for read in (("step 1",), ("step 0", "step 3"), ("prompt",), ((4, 9),)):
        out.append(Condition(f"knockout {read}", (prompt, *steps, stem), options, (Knockout("stem", read),)))
    out.append(Condition("step knockout", (prompt, *steps, stem), options, (Knockout("step 2", ("step 0",)),)))
    out.append(Condition("elsewhere", (piece("prompt", 11), piece("step 1", 4), stem), options))
    return out


@pytest.mark.parametrize("structure", sorted(STRUCTURES))
def test_packed_is_separate(lens: Lens, structure: str) -> None:
    """Without rounding the two are one; with it, packing errs no more than TransformerLens itself does."""
    lens = Lens(lens.name, lens.model, lens.tokenizer, STRUCTURES[structure])
    plan = compile_plan(cases(), lens.structure, budget=90)
    assert len(plan.passes) > 1
    truth = execute_exactly(lens, plan, CAPTURE, backend="separate")
    exact = differences(execute_exactly(lens, plan, CAPTURE, backend="packed"), truth)
    assert max(exact) < 1e-12
    separate = differences(execute(lens, plan, CAPTURE, backend="separate"), truth)
    packed = differences(execute(lens, plan, CAPTURE), truth)
    eps = torch.finfo(torch.float32).eps
    assert packed[0] <= separate[0] + eps * max(float(record.logprobs.abs().max()) for record in truth)
    assert packed[1] <= separate[1] + eps


@pytest.mark.parametrize("family", sorted(MORE))
def test_packed_is_separate_on_more_families(family: str) -> None:
    lens = tiny(family)
    plan = compile_plan(cases())
    truth = execute_exactly(lens, plan, CAPTURE, backend="separate")
    assert max(differences(execute_exactly(lens, plan, CAPTURE, backend="packed"), truth)) < 1e-12


def test_plain_transformers_agrees(lens: Lens) -> None:
    for record in execute(lens, compile_plan(cases()[:6])):
        ids = torch.tensor([record.condition.ids])
        plain = lens.model(ids).logits[0, -1].log_softmax(-1)
        torch.testing.assert_close(record.logprobs[:2], plain[[65, 66]], atol=2e-5, rtol=0)


def test_attention_of_every_reader_sums_to_one(lens: Lens) -> None:
    for record in execute(lens, compile_plan(cases()), CAPTURE):
        assert set(record.attention) == set(CAPTURE.rows(record.condition))
        for mass in record.attention.values():
            assert mass.shape == (lens.n_layers, lens.n_heads, len(record.condition.pieces))
            torch.testing.assert_close(mass.sum(-1), torch.ones(mass.shape[:2]), atol=1e-5, rtol=0)


def test_knocked_out_mass_is_zero_and_the_answer_moves(lens: Lens) -> None:
    records = {r.condition.name: r for r in execute(lens, compile_plan(cases()), CAPTURE)}
    cut = records["knockout ('step 0', 'step 3')"]
    assert cut.attention["answer"][..., [1, 4]].abs().max() == 0
    assert (cut.logprobs - records["cut@4"].logprobs).abs().max() > 1e-3


def test_a_knockout_leaves_its_neighbours_alone(lens: Lens) -> None:
    plain = [c for c in cases() if not c.edits]
    alone = execute(lens, compile_plan(plain))
    beside = {r.condition.name: r for r in execute(lens, compile_plan(cases()))}
    for record in alone:
        torch.testing.assert_close(record.logprobs, beside[record.condition.name].logprobs, atol=2e-5, rtol=0)


def test_capturing_changes_no_logit_and_the_model_is_left_as_it_was(lens: Lens) -> None:
    before = lens.model.config._attn_implementation
    plan = compile_plan(cases())
    for a, b in zip(execute(lens, plan), execute(lens, plan, CAPTURE), strict=True):
        assert torch.equal(a.logprobs, b.logprobs)
    assert lens.model.config._attn_implementation == before != ENTRY


def test_the_model_is_left_as_it_was_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    lens = tiny("llama")
    before = lens.model.config._attn_implementation
    monkeypatch.setattr("faithlens.runtime.packed.tree_attention", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        execute(lens, compile_plan(cases()))
    assert lens.model.config._attn_implementation == before
    monkeypatch.undo()
    execute(lens, compile_plan(cases()))


def test_a_structural_edge_is_exactly_absent() -> None:
    lens = tiny("llama", STRUCTURES["answer sees no question"])
    pieces = cases()[4].pieces
    record = execute(lens, compile_plan([cases()[4]], lens.structure), CAPTURE)[0]
    assert record.attention["answer"][..., 0].abs().max() == 0
    assert pieces[0].name == "prompt"


def test_what_cannot_be_packed_exactly_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="none of self_attn, attention, attn; it has norm, mixer"):
        execute(tiny("mamba"), compile_plan(cases()))
