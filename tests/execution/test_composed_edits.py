"""Several edits of one condition: each writes on what the edits before it left, in both backends as in the oracle."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from faithlens.execution.execute import execute
from faithlens.execution.options import BACKENDS, Backend
from faithlens.model.trace import Piece
from faithlens.plan.capture import Capture, Site
from faithlens.plan.condition import (
    COMPONENTS,
    Ablation,
    AblationKind,
    Apply,
    Condition,
    Edit,
    KeyValuePatch,
    Knockout,
    Patch,
)
from faithlens.plan.packing import CHUNK_ROWS
from faithlens.plan.plan import compile_plan
from tests.conftest import FAMILIES, MORE, tiny
from tests.execution.exact import NoFloat32, in_float64
from tests.execution.oracle import Oracle

OPTIONS = ((65,), (66,), (67, 70), (67, 71, 72))
SIZES = {"prompt": 5, "step 0": 4, "step 1": 3, "step 2": 4}
N = sum(SIZES.values()) + 2


def make_pieces(seed: int, prompt: int = SIZES["prompt"]) -> tuple[Piece, ...]:
    rng = random.Random(seed)
    sizes = SIZES | {"prompt": prompt}
    made = [Piece(name, tuple(rng.randrange(10, 250) for _ in range(n))) for name, n in sizes.items()]
    return (*made, Piece("stem", (5, 100)))


CLEAN = Condition("clean", make_pieces(0), OPTIONS)
DONOR = Condition("donor", make_pieces(1), OPTIONS)
OTHER = Condition("another donor", (*CLEAN.pieces[:2], *DONOR.pieces[2:]), OPTIONS)
FAR = Condition("another trace", make_pieces(2, prompt=9), OPTIONS)


def grown(x: Tensor, positions: Tensor) -> Tensor:
    return 1.5 * x + 0.1 * positions[:, None].to(x)


def turn_rows(x: Tensor, positions: Tensor) -> Tensor:
    return x.flip(-1) * (positions + 1)[:, None].to(x)


def patch_in(edits: tuple[Edit, ...], source: Condition = DONOR) -> Condition:
    return replace(source, name=f"{source.name}, edited", edits=edits)


HALF = Patch("resid_pre", "step 1", DONOR, layers=(1,), amount=0.5)
NESTED = patch_in((HALF, Ablation("mlp_out", (6, 10), "zero", layers=(0,))))
CASES: dict[str, tuple[Edit, ...]] = {
    "zero, then patch": (Ablation("mlp_out", (5, 9), "zero", (0,)), Patch("mlp_out", (3, 7), DONOR, (0,))),
    "patch, then zero": (Patch("mlp_out", (3, 7), DONOR, (0,)), Ablation("mlp_out", (5, 9), "zero", (0,))),
    "two patches": (Patch("resid_pre", (5, 8), DONOR, (1,)), Patch("resid_pre", (3, 6), OTHER, (1,))),
    "two patches, other order": (Patch("resid_pre", (3, 6), OTHER, (1,)), Patch("resid_pre", (5, 8), DONOR, (1,))),
    "function, then zero": (Apply("resid_post", (5, 9), grown, (0,)), Ablation("resid_post", (4, 7), "zero", (0,))),
    "function, then function": (Apply("z", (5, 9), grown, (0,)), Apply("z", (4, 7), turn_rows, (0, 1))),
    "function of heads, then of others": tuple(Apply("z", (5, 9), turn_rows, heads=h) for h in ((0, 2), (1,))),
    "the same function twice": (Apply("resid_pre", "step 1", grown, (1,)),) * 2,
    "the same half patch twice": (HALF, HALF),
    "the same noise twice": (Ablation("attn_out", "step 1", "noise", scale=0.5),) * 2,
    "zero between two halves": (HALF, Ablation("resid_pre", (10, 11), "zero", (1,)), HALF),
    "two splices of one span": (KeyValuePatch("stem", "step 1", DONOR), KeyValuePatch("stem", "step 1", NESTED)),
    "two splices, other order": (KeyValuePatch("stem", "step 1", NESTED), KeyValuePatch("stem", "step 1", DONOR)),
    "splices that overlap in part": (KeyValuePatch("stem", (4, 8), DONOR), KeyValuePatch("answer", (6, 10), NESTED)),
    "splices that overlap in one layer": (
        KeyValuePatch("stem", (4, 9), DONOR), KeyValuePatch("stem", (6, 10), NESTED, layers=(1,)),
    ),
    "splices of rows that overlap": (KeyValuePatch("step 2", (4, 8), DONOR), KeyValuePatch("stem", (2, 6), NESTED)),
    "three splices and a cut": (
        KeyValuePatch("stem", (2, 9), DONOR), KeyValuePatch("stem", (4, 6), NESTED),
        KeyValuePatch("stem", (5, 8), patch_in((), OTHER)), Knockout("stem", ((5, 7),), layers=(0, 2)),
    ),
    "the same splice twice": (KeyValuePatch("stem", "step 1", DONOR),) * 2,
    "the same cut twice": (Knockout("stem", ("step 1",)),) * 2,
    "patch over a source of its own": (Patch("z", "step 1", NESTED), Patch("resid_pre", "step 0", NESTED, (1,))),
    "across a splice": (KeyValuePatch("stem", "step 0", DONOR), Patch("resid_pre", (13, 17), DONOR, (1,), amount=0.5)),
}  # fmt: skip
CAPTURE = Capture(attention=("answer", "step 2"), activations=(Site("resid_post", 1, "step 1"), Site("z", 2, "stem")))


def find_gaps(
    family: str, conditions: list[Condition], budget: int = 4000, backends: Sequence[Backend] = BACKENDS
) -> dict[str, float]:
    """The largest difference between the backends and the oracle, by condition."""
    model, gaps = in_float64(tiny(family)), dict[str, float]()
    with NoFloat32(), torch.no_grad():
        oracle, plan = Oracle(model), compile_plan(conditions, budget=budget)
        for backend in backends:
            for record in execute(model, plan, CAPTURE, backend=backend):
                condition = record.condition
                pairs = [(record.logprobs, oracle.score(condition))]
                for reader, rows in (("answer", range(N - 1, N)), ("step 2", range(12, 16))):
                    pairs.append((record.attention[reader], oracle.pool_attention(condition, rows)))
                for site, rows in zip(CAPTURE.activations, (slice(9, 12), slice(16, 18)), strict=True):
                    expected = oracle.run(condition).activations[site.component, site.layer][rows]
                    pairs.append((record.activations[site], expected))
                gap = float(torch.cat([(a.double() - b).abs().flatten() for a, b in pairs]).max())  # NaN stays NaN
                gaps[f"{condition.name}, {backend}"] = gap
    return gaps


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "gpt_oss", "deepseek_v3"])
def test_edits_that_overlap_apply_in_the_order_given(family: str) -> None:
    conditions = [CLEAN, *(replace(CLEAN, name=name, edits=edits) for name, edits in CASES.items())]
    assert {name: gap for name, gap in find_gaps(family, conditions).items() if not gap < 1e-10} == {}


def draw_span(rng: random.Random, most: int, longest: int = 5) -> tuple[int, int]:
    stop = rng.randint(1, most)
    return max(0, stop - rng.randint(1, longest)), stop


def draw_donor(rng: random.Random, depth: int) -> Condition:
    donor = rng.choice([DONOR, OTHER])
    if depth and rng.random() < 0.4:
        edits = tuple(draw_edit(rng, depth - 1) for _ in range(rng.randint(1, 2)))
        donor = replace(donor, name=f"{donor.name} {rng.random()}", edits=edits)
    return donor


def draw_edit(rng: random.Random, depth: int) -> Edit:
    layers = rng.choice([None, (0,), (1,), (2,), (0, 2), (1, 2)])
    kind = rng.choice(["knockout", "splice", "patch", "patch", "patch", "ablation", "ablation", "apply"])
    if kind == "knockout":  # rows keep a position, also in windows of 12
        reader = rng.choice(["stem", "answer", "step 2", "step 1"])
        return Knockout(reader, (draw_span(rng, 12, 3), draw_span(rng, 16, 2)), layers)
    if kind == "splice":
        reader, most = rng.choice([("stem", 16), ("answer", 16), ("step 2", 12), ("step 1", 9)])
        return KeyValuePatch(reader, draw_span(rng, most), draw_donor(rng, depth), layers)
    component, span = rng.choice(COMPONENTS), draw_span(rng, N)
    heads = tuple(rng.sample(range(6), rng.randint(1, 3))) if component == "z" and rng.random() < 0.5 else None
    if kind == "apply":
        return Apply(component, span, rng.choice([grown, turn_rows]), layers, heads)
    if kind == "ablation":
        how: AblationKind = rng.choice(get_args(AblationKind))
        over = rng.choice([(), (CLEAN,), (DONOR, FAR), (CLEAN, OTHER)])
        return Ablation(component, span, how, layers, heads, over, scale=0.5, seed=rng.randrange(9))
    amount = rng.choice([1.0, 1.0, 0.5, 0.25, -0.5])
    if rng.random() < 0.3:
        start = rng.randrange(sum(len(p.ids) for p in FAR.pieces) - (span[1] - span[0]))
        return Patch(component, span, FAR, layers, heads, (start, start + span[1] - span[0]), amount)
    return Patch(component, span, draw_donor(rng, depth), layers, heads, None, amount)


def draw_conditions(seed: str, n: int) -> list[Condition]:
    """Conditions with up to five edits, some of them twice; later conditions repeat edits of earlier ones."""
    rng, out, pool = random.Random(seed), [CLEAN], list[Edit]()
    for i in range(n):
        pool += [draw_edit(rng, 1) for _ in range(rng.randint(1, 3))]
        edits = tuple(rng.choice(pool) for _ in range(rng.randint(1, 5)))
        out.append(replace(rng.choice([CLEAN, OTHER]), name=f"{seed} {i}", edits=edits))
    return out


@pytest.mark.parametrize("family", sorted(FAMILIES | MORE))
def test_random_edits_are_those_of_the_oracle(family: str) -> None:
    conditions = draw_conditions(family, 6)
    assert {name: gap for name, gap in find_gaps(family, conditions).items() if not gap < 1e-10} == {}


def test_small_chunks_and_passes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHUNK_ROWS, "cpu", 7)
    conditions = [*(replace(CLEAN, name=name, edits=edits) for name, edits in CASES.items()), *draw_conditions("", 8)]
    assert {name: gap for name, gap in find_gaps("llama", conditions, 90).items() if not gap < 1e-10} == {}


def test_a_source_in_a_later_wave_than_an_equal_edit() -> None:
    """The same edit acts on a row that is a source, and on a row that needs this source: they are written apart."""
    zero = Ablation("resid_pre", "step 2", "zero", layers=(1,), over=(CLEAN,))
    source = replace(DONOR, name="source", edits=(zero,))
    reader = replace(DONOR, name="reader", edits=(Patch("resid_pre", "step 2", source, layers=(1,), amount=0.5),))
    both = replace(CLEAN, name="both", edits=(Patch("resid_pre", "step 1", reader, layers=(1,), at=(12, 15)), zero))
    order = replace(CLEAN, name="order", edits=(Patch("resid_pre", "step 2", source, layers=(1,), amount=0.5), zero))
    conditions = [CLEAN, both, order, reader, source, patch_in((zero, HALF), source)]
    assert {name: gap for name, gap in find_gaps("llama", conditions).items() if not gap < 1e-10} == {}
