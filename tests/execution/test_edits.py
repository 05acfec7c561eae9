"""Edits of the pass: packed against TransformerLens run one condition at a time, on every kind of edit."""

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from faithlens.errors import PlanError
from faithlens.execution.execute import execute
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.capture import Capture, Record, Site
from faithlens.plan.condition import (
    COMPONENTS,
    Ablation,
    Apply,
    Component,
    Condition,
    Edit,
    KeyValuePatch,
    Knockout,
    Patch,
)
from faithlens.plan.packing import CHUNK_ROWS
from faithlens.plan.plan import compile_plan
from tests.conftest import MORE, call_unchecked, tiny
from tests.execution.exact import execute_exactly

OPTIONS = ((65,), (66,), (67, 70), (67, 71, 72))


def pieces(seed: int, prompt: int = 9) -> tuple[Piece, ...]:
    rng = random.Random(seed)
    sizes = {"prompt": prompt, "step 0": 5, "step 1": 4, "step 2": 6}
    made = [Piece(name, tuple(rng.randrange(10, 250) for _ in range(n))) for name, n in sizes.items()]
    return (*made, Piece("stem", (5, 100, 101)))


CLEAN = Condition("clean", pieces(0), OPTIONS)
DONOR = Condition("donor", pieces(1), OPTIONS)
FAR = Condition("another trace", pieces(2, prompt=14), OPTIONS)
KNOCKED = replace(DONOR, edits=(Knockout("stem", ("step 0",)), Knockout("step 2", ("step 1",), layers=(1,))))
PATCHED = replace(DONOR, edits=(Patch("resid_pre", "step 0", CLEAN, layers=(1,)),))


def turn_rows(x: Tensor, positions: Tensor) -> Tensor:
    """Every row reversed, times its position in the span plus 1 (norms would undo a change of length alone)."""
    return x.flip(-1) * (positions + 1)[:, None]


EDITS: dict[str, tuple[Edit, ...]] = {
    **{f"function of {c}": (Apply(c, "step 1", turn_rows, layers=(1,)),) for c in COMPONENTS},
    "function of heads": (Apply("z", "step 0", turn_rows, layers=(0, 2), heads=(1, 4)),),
    **{f"patch {c}": (Patch(c, "step 1", DONOR, layers=(1,)),) for c in COMPONENTS},
    "patch of the last block": (Patch("resid_post", "stem", DONOR, layers=(2,)),),
    "patch of two layers": (Patch("attn_out", "step 1", DONOR, layers=(0, 2)),),
    "patch of all layers": (Patch("mlp_out", (12, 15), DONOR),),
    "patch of heads": (Patch("z", "step 1", DONOR, layers=(1,), heads=(0, 3)),),
    "patch from another trace": (Patch("resid_pre", "step 2", FAR, layers=(2,)),),
    "patch from elsewhere": (Patch("resid_pre", "step 0", DONOR, layers=(1,), at=(0, 5)),),
    "patch from a knocked-out donor": (Patch("resid_pre", "step 2", KNOCKED, layers=(2,)),),
    "patch from a patched donor": (Patch("z", "step 2", PATCHED, layers=(1,)),),
    "patch half way": (Patch("resid_pre", "step 0", DONOR, layers=(1,), amount=0.5),),
    "two patches": (
        Patch("resid_pre", "step 0", DONOR, layers=(2,)),
        Patch("attn_out", "step 2", DONOR, layers=(1,)),
    ),
    "the same rows twice": (
        Patch("resid_pre", "step 1", DONOR, layers=(1,)),
        Ablation("resid_pre", "step 1", "noise", layers=(1,), scale=0.5, seed=3),
    ),
    **{
        f"{how} {c}": (Ablation(c, "step 1", how, layers=(1,), scale=0.5),)
        for how in ("zero", "mean", "noise")
        for c in COMPONENTS
    },
    "mean over others": (Ablation("resid_pre", "step 1", "mean", layers=(1,), over=(DONOR, FAR)),),
    "zero heads everywhere": (Ablation("z", "step 0", "zero", heads=(1, 5)),),
    "knockout": (Knockout("stem", ("step 1",)),),
    "knockout of a layer": (Knockout("stem", ("step 1",), layers=(1,)),),
    "knockout between steps": (Knockout("step 2", ("step 0", (2, 4)), layers=(1, 2)),),
    "key-value patch": (KeyValuePatch("stem", "step 1", DONOR),),
    "key-value patch of a layer": (KeyValuePatch("stem", "step 1", DONOR, layers=(1,)),),
    "key-value patch between steps": (KeyValuePatch("step 2", "step 0", DONOR, layers=(0, 2)),),
    "key-value patch from a patched donor": (KeyValuePatch("stem", "step 2", PATCHED),),
    "key-value patch of what is knocked out": (KeyValuePatch("stem", "step 1", DONOR), Knockout("stem", ((15, 17),))),
    "key-value patch of what is knocked out elsewhere": (
        KeyValuePatch("stem", "step 1", DONOR, layers=(0, 1)),
        Knockout("stem", ("step 1",), layers=(1, 2)),
    ),
    "everything": (
        KeyValuePatch("stem", "step 0", DONOR, layers=(1, 2)),
        Knockout("stem", ("step 1",), layers=(2,)),
        Patch("resid_pre", "step 2", DONOR, layers=(1,)),
        Ablation("mlp_out", "prompt", "mean", layers=(2,)),
    ),
}
CAPTURE = Capture(
    attention=("answer", "step 2"),
    flow=("answer",),
    logit_lens=("answer", "step 0"),
    compare=True,
    activations=(Site("resid_pre", 1, "step 2"), Site("z", 2, "stem"), Site("resid_post", 0, (3, 6))),
)
KEY_VALUE_PATCHES = {name for name, edits in EDITS.items() if any(isinstance(e, KeyValuePatch) for e in edits)}


def conditions(names: list[str]) -> list[Condition]:
    return [CLEAN] + [Condition(name, CLEAN.pieces, OPTIONS, EDITS[name], reference=CLEAN) for name in names]


def worst(records: list[Record], truth: list[Record]) -> dict[str, float]:
    """The largest difference of anything that was recorded, by condition."""
    out = {}
    for a, b in zip(records, truth, strict=True):
        pairs = [(a.logprobs, b.logprobs), (a.cosine, b.cosine), (a.relative_l2, b.relative_l2)]
        for mine, theirs in (
            (getattr(a, f), getattr(b, f)) for f in ("attention", "flow", "logit_lens", "activations")
        ):
            assert set(mine) == set(theirs)
            pairs += [(mine[key], theirs[key]) for key in theirs]
        gaps = [0.0]
        for x, y in pairs:
            if y is not None:
                assert torch.equal(x.isnan(), y.isnan())
                gaps.append(float((x.double() - y.double()).abs().nan_to_num().max()))
        out[a.condition.name] = max(gaps)
    return out


def test_every_edit_is_what_transformer_lens_makes_of_it(model: Model) -> None:
    plan = compile_plan(conditions(list(EDITS)))
    truth = execute_exactly(model, plan, CAPTURE, backend="separate")
    gaps = worst(execute_exactly(model, plan, CAPTURE, backend="packed"), truth)
    assert {name: gap for name, gap in gaps.items() if not gap < 1e-10} == {}
    clean = truth[0].logprobs
    moved = {r.condition.name: float((r.logprobs - clean).abs().max()) for r in truth[1:]}
    assert {name: gap for name, gap in moved.items() if not gap > 1e-3} == {}  # every edit has an effect


@pytest.mark.parametrize("family", sorted(MORE))
def test_edits_on_more_families(family: str) -> None:
    names = [n for n in EDITS if n.startswith(("patch", "mean", "noise", "everything")) or n in KEY_VALUE_PATCHES]
    model, plan = tiny(family), compile_plan(conditions(names))
    truth = execute_exactly(model, plan, CAPTURE, backend="separate")
    gaps = worst(execute_exactly(model, plan, CAPTURE, backend="packed"), truth)
    assert {name: gap for name, gap in gaps.items() if not gap < 1e-10} == {}


def test_an_edit_leaves_its_neighbours_alone(model: Model) -> None:
    plain = [CLEAN, DONOR, replace(CLEAN, name="cut", pieces=(*CLEAN.pieces[:2], CLEAN.pieces[-1]))]
    alone = execute(model, compile_plan(plain))
    beside = execute(model, compile_plan([*conditions(list(EDITS)), *plain]))[-3:]
    for a, b in zip(alone, beside, strict=True):
        torch.testing.assert_close(a.logprobs, b.logprobs, atol=2e-5, rtol=0)


def test_chunks_change_nothing(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in small chunks, and in any number of passes, give the same results."""
    plan = compile_plan(conditions(list(EDITS)))
    whole = execute_exactly(model, plan, CAPTURE, backend="packed")
    monkeypatch.setitem(CHUNK_ROWS, "cpu", 17)
    assert max(worst(execute_exactly(model, plan, CAPTURE, backend="packed"), whole).values()) < 1e-10
    passes = compile_plan(conditions(list(EDITS)), budget=200)
    assert len(passes.passes) > 3
    assert max(worst(execute_exactly(model, passes, CAPTURE, backend="packed"), whole).values()) < 1e-10


def halfway(
    amounts: list[float], component: Component = "resid_pre", heads: tuple[int, ...] | None = None
) -> list[Condition]:
    """The clean trace on its way to the donor's activations at step 1, in the second block."""
    edits = [Patch(component, "step 1", DONOR, layers=(1,), heads=heads, amount=a) for a in amounts]
    return [replace(CLEAN, name=str(edit.amount), edits=(edit,)) for edit in edits]


SITES: list[tuple[Component, tuple[int, ...] | None]] = [*((c, None) for c in COMPONENTS), ("z", (0, 3))]


@pytest.mark.parametrize(("component", "heads"), SITES)
def test_gradients_are_those_of_transformer_lens(
    model: Model, component: Component, heads: tuple[int, ...] | None
) -> None:
    plan = compile_plan(halfway([0.1, 0.5, 0.9], component, heads))
    capture = Capture(attribution=(1.0, -1.0, 0.0, 0.5))
    packed, separate = (execute_exactly(model, plan, capture, backend=b) for b in ("packed", "separate"))
    for a, b in zip(packed, separate, strict=True):
        [(edit, score)] = a.attribution.items()
        assert score.abs().max() > 1e-6
        torch.testing.assert_close(score, b.attribution[edit], atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize(("component", "heads"), SITES)
def test_integrated_gradients_add_up_to_the_effect(component: Component, heads: tuple[int, ...] | None) -> None:
    """The mean over midpoints of gradient times step, summed over tokens, is the effect of the whole patch."""
    model, n, weights = tiny("llama"), 100, (1.0, -1.0, 0.0, 0.0)
    midpoints = [(i + 0.5) / n for i in range(n)]
    records = execute(model, compile_plan(halfway(midpoints, component, heads)), Capture(attribution=weights))
    total = float(torch.stack([score.sum() for r in records for score in r.attribution.values()]).mean())
    ends = execute(model, compile_plan(halfway([0.0, 1.0], component, heads)))
    clean, patched = (float((torch.tensor(weights) * r.logprobs).sum()) for r in ends)
    assert abs(patched - clean) > 0.01
    assert total == pytest.approx(patched - clean, rel=0.02)


def test_a_function_of_ones_own_is_a_hook_of_transformer_lens() -> None:
    model = tiny("llama")
    span, edit = slice(*CLEAN.spans["step 1"]), Apply("resid_pre", "step 1", turn_rows, layers=(1,))

    def hook(x: Tensor, hook: object) -> Tensor:
        x[:, span] = x[:, span].flip(-1) * torch.arange(1, 5)[:, None]
        return x

    logits = model.bridge.run_with_hooks(torch.tensor([CLEAN.ids]), fwd_hooks=[("blocks.1.hook_resid_pre", hook)])
    [record] = execute(model, compile_plan([replace(CLEAN, edits=(edit,))]))
    torch.testing.assert_close(record.logprobs[:2], logits[0, -1].log_softmax(-1)[[65, 66]], atol=2e-5, rtol=0)


def test_a_function_that_gives_back_other_rows_is_refused() -> None:
    edit = Apply("mlp_out", "step 1", lambda x, positions: x[:1], layers=(0,))
    with pytest.raises(PlanError, match="Return a tensor of the same shape"):
        execute(tiny("llama"), compile_plan([replace(CLEAN, edits=(edit,))]))


def test_gradients_of_all_heads_at_once() -> None:
    """Patches of many layers and heads in one plan: each has its own gradient, equal to that of TransformerLens."""
    heads = [Patch("z", "stem", DONOR, layers=(layer,), heads=(h,), amount=0.3) for layer in range(3) for h in range(6)]
    several = Patch("mlp_out", "step 1", DONOR, layers=(0, 2), amount=0.5)
    plan = compile_plan([replace(CLEAN, edits=(*heads, several))])
    for family in ("llama", "gpt2"):
        model, capture = tiny(family), Capture(attribution=(1.0, -1.0, 0.0, 0.5))
        [packed], [separate] = (execute_exactly(model, plan, capture, backend=b) for b in ("packed", "separate"))
        assert set(packed.attribution) == set(separate.attribution) == {*heads, several}
        for edit, score in packed.attribution.items():
            assert score.abs().max() > 1e-7
            torch.testing.assert_close(score, separate.attribution[edit], atol=1e-10, rtol=1e-8)


def test_gradients_of_shared_rows_are_refused() -> None:
    longer = replace(halfway([0.5])[0], name="also knocked out")
    longer = replace(longer, edits=(*longer.edits, Knockout("stem", ("step 0",))))
    with pytest.raises(PlanError, match="2 conditions share its rows"):
        execute(tiny("llama"), compile_plan([*halfway([0.5]), longer]), Capture(attribution=(1.0, -1.0, 0.0, 0.0)))


def test_nothing_is_a_fraction_of_a_zeroed_reference() -> None:
    model = tiny("llama")
    reference = replace(CLEAN, edits=(Ablation("resid_post", "step 1", "zero", layers=(2,)),))
    plan, capture = compile_plan([replace(CLEAN, reference=reference)]), Capture(compare=True)
    packed, separate = (execute(model, plan, capture, backend=b) for b in ("packed", "separate"))
    assert max(worst(packed, separate).values()) < 1e-4  # and the same is missing in both
    distance, number = packed[0].relative_l2, list(CLEAN.spans).index("step 1")
    assert distance is not None
    assert distance[2].isnan().tolist() == [i == number for i in range(5)]


def test_splicing_oneself_and_patching_oneself_change_nothing(model: Model) -> None:
    edits: list[Edit] = [
        KeyValuePatch("stem", "step 1", CLEAN),
        *(Patch(c, "step 1", CLEAN, layers=(1,)) for c in COMPONENTS),
    ]
    first, *others = execute(model, compile_plan([CLEAN, *(replace(CLEAN, edits=(edit,)) for edit in edits)]))
    for other in others:
        torch.testing.assert_close(other.logprobs, first.logprobs, atol=1e-5, rtol=0)


def test_a_patch_costs_nothing_below_and_before_it() -> None:
    patched = replace(CLEAN, edits=(Patch("resid_pre", "step 2", DONOR, layers=(2,)),))
    (packed,) = compile_plan([CLEAN, patched]).passes
    rows = sum(len(p.ids) for p in CLEAN.pieces) + 3  # with the options' own tokens: 67, 67 71
    assert packed.count_row_blocks(3) == 2 * (rows - 1) * 3 + (6 + 3 + 2) * 1


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Patch("resid_pre", "step 9", DONOR), "has no piece 'step 9'"),
        (Patch("resid_pre", "step 1", DONOR, at="step 2"), "4 tokens here and 6 in the donor"),
        (KeyValuePatch("stem", "step 1", FAR), "Choose a donor with as many tokens"),
        (Patch("resid_pre", "step 1", DONOR, heads=(1,)), "component 'z' only"),
        (Knockout("stem", ("step 1",), layers=()), "Name layers from 0 on"),
        (Knockout("stem", ((3, 99),)), "which has 27 tokens"),
    ],
)
def test_edits_without_meaning_are_refused(edit: Edit, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        compile_plan([replace(CLEAN, edits=(edit,))])


def test_unknown_components_and_kinds_of_ablation_are_refused_by_name() -> None:
    for make in (
        lambda name: call_unchecked(Patch, name, "step 1", DONOR),
        lambda name: call_unchecked(Ablation, name, "step 1", "zero"),
        lambda name: call_unchecked(Apply, name, "step 1", lambda x, offsets: x),
        lambda name: call_unchecked(Capture, activations=(Site("z", 1, "step 1")._replace(component=name),)),
    ):
        with pytest.raises(PlanError, match=r"unknown component 'resid_per'\s.*Did you mean 'resid_pre'"):
            make("resid_per")
    with pytest.raises(PlanError, match=r"unknown kind of ablation 'zeros'\s.*Did you mean 'zero'"):
        call_unchecked(Ablation, "z", "step 1", "zeros")
    with pytest.raises(PlanError, match=r"must be a tuple .* got the text 'step 1'\sWrite \('step 1',\)"):
        call_unchecked(Knockout, "answer", "step 1")


@pytest.mark.parametrize(
    "edit",
    [
        Patch("resid_pre", "step 1", DONOR, layers=(3,)),
        Patch("z", "step 1", DONOR, heads=(6,)),
        Knockout("stem", ("step 1",), (7,)),
    ],
)
def test_layers_and_heads_that_do_not_exist_are_refused(edit: Edit) -> None:
    with pytest.raises(PlanError, match=r"tiny-llama has \d"):
        execute(tiny("llama"), compile_plan([replace(CLEAN, edits=(edit,))]))
