"""Kernels alone: tree attention against torch's causal attention, the others against their plain meaning.

Work of tree attention is counted on visible pairs of query and key, so that pairs that the tree leaves out do not
count.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from faithlens.commands.bench.harness import (
    Agreement,
    BenchResult,
    Seconds,
    TimeRatio,
    check_agreements,
    describe_setting,
    divide_rounds,
    race_rivals,
)
from faithlens.commands.bench.traces import make_full_trace, make_truncations
from faithlens.commands.gaps import rms
from faithlens.execution.geometry import Geometry
from faithlens.kernels.answer_logprobs import answer_logprobs
from faithlens.kernels.divergence import divergence
from faithlens.kernels.implementation import choose_implementation
from faithlens.kernels.span_compare import compare_spans
from faithlens.kernels.tree_attention import Readout, Tree, tree_attention
from faithlens.model.mask_rules import Sight
from faithlens.model.model import Model
from faithlens.plan.plan import compile_plan

HEADS, KV_HEADS, WIDTH = 32, 8, 128  # of tree attention, as in models of 7-8 billion parameters
STEPS, STEP, PROMPT = {"cuda": 280, "cpu": 60}, 25, 200
ROWS = {"cuda": 4096, "cpu": 256}  # read through the unembedding
SPANS = 64


def measure(model: Model, repeats: int) -> BenchResult:
    """Time each kernel on random tensors, on the model's device and in its precision, with its own unembedding.

    Raises:
        BenchmarkError: an implementation's numbers differ from the reference's.
    """
    around, kind = describe_setting(model), model.device.type
    g = torch.Generator(model.device).manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, device=model.device, dtype=model.hf_model.dtype)

    tree = Geometry(
        compile_plan(make_truncations(make_full_trace(model, PROMPT, STEPS[kind], STEP)), budget=1 << 20).passes[0],
        1 << 20,
        1,
        Sight(),
    ).build_tree(0)
    attention, pairs = list_attention_rivals(tree, random)
    unembed = model.anatomy.unembedding.weight
    streams = list_unembedding_rivals(unembed, ROWS[kind], random) | list_span_rivals(
        len(tree), unembed.shape[1], random
    )
    agreements = check_agreements(measure_agreement(tree, random, unembed))
    times: Seconds = {}
    with torch.inference_mode():
        times |= race_rivals(attention, repeats)
        times |= race_rivals(streams, repeats)
    tree_time, causal = times["tree_attention"], times["torch, causal attention"]
    speed = [(pairs[0] / a) / (pairs[1] / b) for a, b in zip(tree_time, causal, strict=True)]
    return BenchResult(
        subject="kernels",
        work=f"attention of {len(tree):,} packed rows, {HEADS} heads of {WIDTH} on {KV_HEADS} of keys and values, "
        f"{choose_implementation('plain torch', random(1)).impl}; {ROWS[kind]:,} rows through {len(unembed):,} tokens",
        **around,
        agreements=agreements,
        seconds=times,
        comparisons=[
            TimeRatio("tree_attention / torch's causal attention, visible pairs a second", speed),
            TimeRatio(
                "tree_attention with span mass / without", divide_rounds(times["tree_attention, mass"], tree_time)
            ),
            *(
                TimeRatio(
                    f"{name}: plain meaning / kernel", divide_rounds(times[f"{name}, plain meaning"], times[name])
                )
                for name in ("answer_logprobs", "divergence", "span_compare")
            ),
        ],
        peak_mib={},
    )


def list_attention_rivals(
    tree: Tree, random: Callable[..., Tensor]
) -> tuple[dict[str, Callable[[], object]], tuple[int, int]]:
    """Tree attention and torch's own over a sequence of as many rows; and the visible pairs of each."""
    n = len(tree)
    q, k, v = random(HEADS, n, WIDTH), random(KV_HEADS, n, WIDTH), random(KV_HEADS, n, WIDTH)
    readout = make_readout(tree)
    every = torch.arange(n)
    seen = sum(int(tree.compute_visible(rows, every).sum()) for rows in every.split(512))
    return {
        "tree_attention": lambda: tree_attention(q, k, v, tree, WIDTH**-0.5),
        "tree_attention, mass": lambda: tree_attention(q, k, v, tree, WIDTH**-0.5, readout=readout),
        "torch, causal attention": lambda: scaled_dot_product_attention(
            q[None], k[None], v[None], is_causal=True, enable_gqa=True
        ),
    }, (seen, n * (n + 1) // 2)


def make_readout(tree: Tree) -> Readout:
    """Every leaf's attention to as many spans as there are steps."""
    leaves = (tree.visible_until == tree.places + 1).nonzero()[:, 0]
    borders = torch.arange(PROMPT, int(tree.depth.max()), STEP)
    spans = torch.stack([borders[:-1], borders[1:]], -1).expand(len(leaves), -1, -1)
    return Readout(leaves, torch.arange(len(leaves)), spans, torch.ones(len(leaves), dtype=torch.long))


def list_unembedding_rivals(
    unembed: Tensor, rows: int, random: Callable[..., Tensor]
) -> dict[str, Callable[[], object]]:
    """Kernels that read rows through the unembedding."""
    p, other = random(rows, unembed.shape[1]), random(rows, unembed.shape[1])
    q = p + 0.1 * other
    tokens = torch.arange(4, device=p.device).expand(rows, -1)
    return {
        "answer_logprobs": lambda: answer_logprobs(p, unembed, tokens),
        "answer_logprobs, plain meaning": lambda: answer_logprobs(p, unembed, tokens, impl="reference"),
        "divergence": lambda: divergence(p, q, unembed),
        "divergence, plain meaning": lambda: divergence(p, q, unembed, impl="reference"),
    }


def list_span_rivals(rows: int, width: int, random: Callable[..., Tensor]) -> dict[str, Callable[[], object]]:
    """The kernel that compares blocks of activations."""
    a, b = random(rows, width), random(rows, width)
    borders = torch.linspace(0, rows, SPANS + 1, device=a.device).long()
    spans = torch.stack([borders[:-1], borders[1:]], -1)
    return {
        "span_compare": lambda: compare_spans(a, b, spans),
        "span_compare, plain meaning": lambda: compare_spans(a, b, spans, impl="reference"),
    }


@torch.inference_mode()
def measure_agreement(tree: Tree, random: Callable[..., Tensor], unembed: Tensor) -> list[Agreement]:
    """How far the implementation that "auto" chooses is from the reference in float64.

    Twice the distance of the reference in this precision is allowed, and one rounding.
    """
    n, width = len(tree), unembed.shape[1]
    q, k, v = random(2, n, WIDTH), random(1, n, WIDTH), random(1, n, WIDTH)
    one, other = random(16, width), random(16, width)
    tokens = torch.arange(4, device=one.device).expand(16, -1)
    readout = make_readout(tree)

    def attention(impl: Any, q: Tensor, k: Tensor, v: Tensor) -> list[Tensor]:
        out, mass, _ = tree_attention(q, k, v, tree, WIDTH**-0.5, readout=readout, impl=impl)
        assert mass is not None
        return [out, mass]

    calls: dict[str, tuple[Callable[..., list[Tensor]], tuple[Tensor, ...]]] = {
        "tree_attention": (attention, (q, k, v)),
        "answer_logprobs": (lambda impl, x, u: [answer_logprobs(x, u, tokens, impl=impl)], (one, unembed)),
        "divergence": (lambda impl, x, y, u: [divergence(x, y, u, impl=impl)], (one, one + other, unembed)),
    }
    eps, agreements = torch.finfo(torch.float32).eps, []
    for name, (call, arguments) in calls.items():
        truth = call("reference", *(x.double() for x in arguments))
        plain = rms(call("reference", *arguments), truth)
        allowed = 2 * plain + eps * float(max(x.abs().max() for x in truth))
        agreements.append(Agreement(name, rms(call("auto", *arguments), truth), allowed))
    return agreements
