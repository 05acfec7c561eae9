"""Edits of the pass: packed against TransformerLens run one condition at a time, on every kind of edit."""

import random
from dataclasses import replace

import pytest
import torch

from faithlens.runtime.capture import Capture, Record, Site
from faithlens.runtime.condition import COMPONENTS, Ablation, Condition, Edit, Knockout, Patch, Splice
from faithlens.runtime.model import Lens
from faithlens.runtime.plan import compile_plan
from faithlens.runtime.trace import Piece
from tests.conftest import MORE, tiny
from tests.exact import execute_exactly

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

EDITS: dict[str, tuple[Edit, ...]] = {
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
    "splice": (Splice("stem", "step 1", DONOR),),
    "splice of a layer": (Splice("stem", "step 1", DONOR, layers=(1,)),),
    "splice between steps": (Splice("step 2", "step 0", DONOR, layers=(0, 2)),),
    "splice from a patched donor": (Splice("stem", "step 2", PATCHED),),
    "everything": (
        Splice("stem", "step 0", DONOR, layers=(1, 2)),
        Knockout("stem", ("step 1",), layers=(2,)),
        Patch("resid_pre", "step 2", DONOR, layers=(1,)),
        Ablation("mlp_out", "prompt", "mean", layers=(2,)),
    ),
}
CAPTURE = Capture(
    attention=("answer", "step 2"),
    flow=("answer",),
    lens=("answer", "step 0"),
    compare=True,
    activations=(Site("resid_pre", 1, "step 2"), Site("z", 2, "stem"), Site("resid_post", 0, (3, 6))),
)
SPLICES = {name for name, edits in EDITS.items() if any(isinstance(e, Splice) for e in edits)}


def conditions(names: list[str]) -> list[Condition]:
    return [CLEAN] + [Condition(name, CLEAN.pieces, OPTIONS, EDITS[name], reference=CLEAN) for name in names]


def worst(records: list[Record], truth: list[Record]) -> dict[str, float]:
    """The largest difference of anything that was recorded, by condition."""
    out = {}
    for a, b in zip(records, truth, strict=True):
        pairs = [(a.logprobs, b.logprobs), (a.cosine, b.cosine), (a.relative_l2, b.relative_l2)]
        for mine, theirs in ((getattr(a, f), getattr(b, f)) for f in ("attention", "flow", "lens", "activations")):
            assert set(mine) == set(theirs)
            pairs += [(mine[key], theirs[key]) for key in theirs]
        gaps = [0.0]
        for x, y in pairs:
            if y is not None:
                assert torch.equal(x.isnan(), y.isnan())
                gaps.append(float((x.double() - y.double()).abs().nan_to_num().max()))
        out[a.condition.name] = max(gaps)
    return out


def test_every_edit_is_what_transformer_lens_makes_of_it(lens: Lens) -> None:
    plan = compile_plan(conditions(list(EDITS)))
    truth = execute_exactly(lens, plan, CAPTURE, backend="separate")
    gaps = worst(execute_exactly(lens, plan, CAPTURE, backend="packed"), truth)
    assert {name: gap for name, gap in gaps.items() if not gap < 1e-10} == {}
    clean = truth[0].logprobs
    moved = {r.condition.name: float((r.logprobs - clean).abs().max()) for r in truth[1:]}
    assert {name: gap for name, gap in moved.items() if not gap > 1e-3} == {}  # every edit is felt


@pytest.mark.parametrize("family", sorted(MORE))
def test_edits_on_more_families(family: str) -> None:
    names = [n for n in EDITS if n.startswith(("patch", "mean", "noise", "everything")) or n in SPLICES]
    lens, plan = tiny(family), compile_plan(conditions(names))
    truth = execute_exactly(lens, plan, CAPTURE, backend="separate")
    gaps = worst(execute_exactly(lens, plan, CAPTURE, backend="packed"), truth)
    assert {name: gap for name, gap in gaps.items() if not gap < 1e-10} == {}
