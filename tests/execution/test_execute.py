"""The packed pass against TransformerLens run naively, and against float64, on every architecture family."""

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from faithlens.errors import ConfigError, ModelError, PlanError
from faithlens.execution.attention import ATTENTION_NAME
from faithlens.execution.execute import execute
from faithlens.execution.options import Backend
from faithlens.model.model import Model
from faithlens.model.structure import Structure
from faithlens.model.trace import Piece
from faithlens.plan.capture import Capture, Site
from faithlens.plan.condition import Condition, KeyValuePatch, Knockout, Patch
from faithlens.plan.plan import compile_plan
from tests.conftest import FAMILIES, MORE, call_unchecked, tiny
from tests.execution.exact import NoFloat32, differences, execute_exactly, in_float64

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
def test_packed_is_separate(model: Model, structure: str) -> None:
    """In float64 both are equal; in float32, packing has no larger errors than TransformerLens itself."""
    model = Model(model.name, model.hf_model, model.tokenizer, STRUCTURES[structure])
    plan = compile_plan(cases(), model.structure, budget=90)
    assert len(plan.passes) > 1
    truth = execute_exactly(model, plan, CAPTURE, backend="separate")
    exact = differences(execute_exactly(model, plan, CAPTURE, backend="packed"), truth)
    assert max(exact) < 1e-12
    separate = differences(execute(model, plan, CAPTURE, backend="separate"), truth)
    packed = differences(execute(model, plan, CAPTURE), truth)
    eps = torch.finfo(torch.float32).eps
    assert packed[0] <= separate[0] + eps * max(float(record.logprobs.abs().max()) for record in truth)
    assert packed[1] <= separate[1] + eps


@pytest.mark.parametrize("family", sorted(MORE))
def test_packed_is_separate_on_more_families(family: str) -> None:
    model = tiny(family)
    plan = compile_plan(cases())
    truth = execute_exactly(model, plan, CAPTURE, backend="separate")
    assert max(differences(execute_exactly(model, plan, CAPTURE, backend="packed"), truth)) < 1e-12


def plainly(
    model: Model, condition: Condition, patch: tuple[int, int, int, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Transformers alone, eager attention: log-probabilities of one-token options, attention of the last row.

    `patch` writes rows start .. stop - 1 of the stream before a block: (layer, start, stop, values).
    """
    handles = []
    if patch:
        layer, start, stop, values = patch

        def write(module: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
            hidden = args[0].clone()
            hidden[0, start:stop] = values
            return (hidden, *args[1:]), kwargs

        handles = [model.anatomy.blocks[layer].register_forward_pre_hook(write, with_kwargs=True)]
    before = model.hf_model.config._attn_implementation
    model.hf_model.set_attn_implementation("eager")
    try:
        inputs = model.hf_model(torch.tensor([condition.ids]), output_attentions=True, use_cache=False)
    finally:
        model.hf_model.set_attn_implementation(before)
        for handle in handles:
            handle.remove()
    rows = torch.stack([pattern[0, :, -1] for pattern in inputs.attentions])
    mass = torch.stack([rows[..., a:b].sum(-1) for a, b in condition.spans.values()], -1)
    return inputs.logits[0, -1].log_softmax(-1)[[65, 66]], mass


@pytest.mark.parametrize("family", sorted(FAMILIES | MORE))
def test_plain_transformers_agrees(family: str) -> None:
    """Answers, pooled attention and a residual patch, of a model run by transformers and plain torch hooks alone."""
    model = in_float64(tiny(family))
    cuts = cases()[:6]
    clean, donor = (
        cuts[4],
        replace(cuts[3], pieces=(*cuts[3].pieces[:-1], Piece("step 3", (77,) * 6), cuts[3].pieces[-1])),
    )
    span, layer = clean.spans["step 3"], 1
    patched = replace(clean, name="patched", edits=(Patch("resid_pre", "step 3", donor, layers=(layer,)),))
    capture = Capture(attention=("answer",), activations=(Site("resid_pre", layer, "step 3"),))
    with NoFloat32(), torch.no_grad():
        *records, inputs, moved = execute(model, compile_plan([*cuts, donor, patched]), capture)
        values = inputs.activations[capture.activations[0]].double()
        for record in records:
            logprobs, mass = plainly(model, record.condition)
            torch.testing.assert_close(record.logprobs[:2], logprobs, atol=1e-10, rtol=0)
            torch.testing.assert_close(record.attention["answer"], mass, atol=1e-10, rtol=0)
        logprobs, mass = plainly(model, clean, (layer, *span, values))
    torch.testing.assert_close(moved.logprobs[:2], logprobs, atol=1e-10, rtol=0)
    torch.testing.assert_close(moved.attention["answer"], mass, atol=1e-10, rtol=0)
    assert (moved.logprobs - records[4].logprobs).abs().max() > 1e-4


def test_attention_of_every_reader_sums_to_one(model: Model) -> None:
    for record in execute(model, compile_plan(cases()), CAPTURE):
        assert set(record.attention) == set(CAPTURE.locate_readers(record.condition))
        for mass in record.attention.values():
            assert mass.shape == (model.n_layers, model.n_heads, len(record.condition.pieces))
            torch.testing.assert_close(mass.sum(-1), torch.ones(mass.shape[:2]), atol=1e-5, rtol=0)


def test_knocked_out_mass_is_zero_and_the_answer_moves(model: Model) -> None:
    records = {r.condition.name: r for r in execute(model, compile_plan(cases()), CAPTURE)}
    cut = records["knockout ('step 0', 'step 3')"]
    assert cut.attention["answer"][..., [1, 4]].abs().max() == 0
    assert (cut.logprobs - records["cut@4"].logprobs).abs().max() > 1e-3


def test_a_knockout_leaves_its_neighbours_alone(model: Model) -> None:
    plain = [c for c in cases() if not c.edits]
    alone = execute(model, compile_plan(plain))
    beside = {r.condition.name: r for r in execute(model, compile_plan(cases()))}
    for record in alone:
        torch.testing.assert_close(record.logprobs, beside[record.condition.name].logprobs, atol=2e-5, rtol=0)


def test_capturing_changes_no_logit_and_the_model_is_left_as_it_was(model: Model) -> None:
    before = model.hf_model.config._attn_implementation
    plan = compile_plan(cases())
    for a, b in zip(execute(model, plan), execute(model, plan, CAPTURE), strict=True):
        assert torch.equal(a.logprobs, b.logprobs)
    assert model.hf_model.config._attn_implementation == before != ATTENTION_NAME


def test_the_model_is_left_as_it_was_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama")
    before = model.hf_model.config._attn_implementation
    execute(model, compile_plan(cases()))  # the check at the first use is over
    monkeypatch.setattr("faithlens.execution.attention.tree_attention", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        execute(model, compile_plan(cases()))
    assert model.hf_model.config._attn_implementation == before
    monkeypatch.undo()
    execute(model, compile_plan(cases()))


def test_a_structural_edge_is_exactly_absent() -> None:
    model = tiny("llama", STRUCTURES["answer sees no question"])
    pieces = cases()[4].pieces
    record = execute(model, compile_plan([cases()[4]], model.structure), CAPTURE)[0]
    assert record.attention["answer"][..., 0].abs().max() == 0
    assert pieces[0].name == "prompt"


@pytest.mark.parametrize(
    ("family", "why"),
    [
        ("mamba", "MambaBlock with norm, mixer"),
        ("qwen3_next", "Qwen3NextDecoderLayer with linear_attn"),
    ],
)
def test_what_cannot_be_packed_exactly_is_refused_by_name(family: str, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        execute(tiny(family), compile_plan(cases()))


def test_readers_spans_and_layers_that_no_condition_has_are_refused() -> None:
    model, plan = tiny("llama"), compile_plan(cases())
    for field in ("attention", "flow", "logit_lens", "gradient_flow"):
        with pytest.raises(PlanError, match=rf"no condition has the reader 'step 9' of {field}\s.*Did you mean 'step "):
            execute(model, plan, Capture(**{field: ("step 9",)}))
        with pytest.raises(PlanError, match=rf"{field} must be a tuple of readers.*\s.*Write {field}=\('answer',\)"):
            call_unchecked(Capture, **{field: "answer"})
    with pytest.raises(
        PlanError, match=r"no condition has the piece 'stm' of an activation site\s.*Did you mean 'stem'"
    ):
        execute(model, plan, Capture(activations=(Site("z", 0, "stm"),)))
    with pytest.raises(PlanError, match="layer 3, and the model has 3 layers"):
        execute(model, plan, Capture(activations=(Site("resid_pre", 3, "stem"),)))


def test_an_unknown_backend_and_what_is_no_plan_are_refused() -> None:
    model = tiny("llama")
    with pytest.raises(ConfigError, match=r"unknown backend 'seperate'\s.*Did you mean 'separate'"):
        call_unchecked(execute, model, compile_plan(cases()), backend="seperate")
    with pytest.raises(PlanError, match="execute needs a plan, got list"):
        call_unchecked(execute, model, cases())


@pytest.mark.parametrize("backend", ["packed", "separate"])
def test_answer_as_a_reader_of_edits_is_the_last_piece(backend: Backend) -> None:
    model, plain = tiny("llama"), cases()[4]
    donor = replace(cases()[3], pieces=(*cases()[3].pieces[:-1], Piece("step 3", (77,) * 6), plain.pieces[-1]))
    for edits in (
        [Knockout(reader, ("step 1",)) for reader in ("answer", "stem")],
        [KeyValuePatch(reader, "step 3", donor) for reader in ("answer", "stem")],
    ):
        plans = [compile_plan([replace(plain, edits=(edit,))]) for edit in edits]
        first, second = (execute(model, plan, CAPTURE, backend=backend)[0] for plan in plans)
        assert torch.equal(first.logprobs, second.logprobs)
        assert all(torch.equal(first.attention[reader], second.attention[reader]) for reader in CAPTURE.attention)
        assert not torch.equal(first.logprobs, execute(model, compile_plan([plain]), backend=backend)[0].logprobs)
