"""Kernels and packed passes on a GPU, against float64. Without a GPU these tests are skipped.

`TRITON_INTERPRET=0 pytest tests/execution/test_gpu.py`: elsewhere the tests step through the Triton kernels on the CPU.
"""

import os

import pytest
import torch
from torch import Tensor

from faithlens.errors import KernelError
from faithlens.execution.execute import execute
from faithlens.kernels.answer_logprobs import answer_logprobs
from faithlens.kernels.divergence import divergence
from faithlens.kernels.span_compare import compare_spans
from faithlens.kernels.tree_attention import tree_attention
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.plan import compile_plan
from tests.conftest import FAMILIES, MORE, tiny
from tests.execution.exact import differences, execute_exactly
from tests.execution.test_edits import CAPTURE as EVERYTHING
from tests.execution.test_edits import CLEAN, EDITS, conditions, halfway, worst
from tests.execution.test_execute import CAPTURE, cases
from tests.kernels.test_tree_attention import make_grafted_tree, read

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available() or os.environ["TRITON_INTERPRET"] == "1", reason="needs a GPU and TRITON_INTERPRET=0"
)
PRECISIONS = [torch.float32, torch.bfloat16]
FEATURES = {
    "plain": {},
    "window": {"window": 200},
    "softcap": {"softcap": 1.5},
    "sinks": {"sinks": torch.tensor([0.5, -1.0, 2.0, 0.0])},
}
SLACK = 2  # errors may be this many times those of plain torch in the same precision


def random(*shapes: tuple[int, ...], dtype: torch.dtype) -> list[Tensor]:
    g = torch.Generator("cuda").manual_seed(0)
    return [torch.randn(shape, generator=g, device="cuda").to(dtype) for shape in shapes]


def rms(x: Tensor) -> float:
    return float(x.double().square().mean().sqrt())


def errs_no_more(ours: object, plain: object, truth: object, eps: float) -> None:
    for mine, theirs, exact in zip(ours, plain, truth, strict=True):  # type: ignore[call-overload]
        if exact is not None:
            assert mine.isfinite().all()
            assert rms(mine - exact) <= SLACK * rms(theirs - exact) + eps * float(exact.abs().max())


@pytest.mark.parametrize("feature", sorted(FEATURES))
@pytest.mark.parametrize("width", [20, 64, 128, 256])
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("flow", [False, True])
def test_tree_attention(dtype: torch.dtype, width: int, feature: str, flow: bool) -> None:
    """Of every third row; keys that nobody sees hold no numbers, and some rows hide a stretch of depths."""
    n, options = 1300, {name: x.cuda() if isinstance(x, Tensor) else x for name, x in FEATURES[feature].items()}
    tree = make_grafted_tree(n)
    tree.hidden[700:900] = torch.tensor([100, 333])
    queries = torch.arange(1, n, 3)
    q, k, v = random((4, n, width), (2, n, width), (2, n, width), dtype=dtype)
    k[:, ::7] = (width / 2) ** 0.5 * q[:2, ::7]  # peaks
    unseen = ~tree.compute_visible(queries, torch.arange(n), options.get("window")).any(0)  # type: ignore[arg-type]
    k[:, unseen], v[:, unseen] = torch.nan, torch.nan
    rows = queries[::5]
    borders = torch.linspace(0, 1, 90) * (tree.depth[rows] + 1)[:, None]
    spans = torch.stack([borders[:, :-1], borders[:, 1:]], -1).long()
    arguments = {"queries": queries, "readout": read(rows, spans[:, :9] if flow else spans, flow), **options}
    tensors = q[:, queries], k, v

    def by(impl: str, *tensors: Tensor) -> object:
        return tree_attention(*tensors, tree, width**-0.5, impl=impl, **arguments)  # type: ignore[arg-type]

    truth = by("reference", *(x.double() for x in tensors))
    errs_no_more(by("triton", *tensors), by("reference", *tensors), truth, torch.finfo(dtype).eps)


@pytest.mark.parametrize("head", [{}, {"scale": 0.25, "softcap": 30.0}])
@pytest.mark.parametrize("rows", [1, 63, 700])
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_what_is_read_through_the_unembedding(dtype: torch.dtype, rows: int, head: dict) -> None:
    p, q, unembed = random((rows, 200), (rows, 200), (5007, 200), dtype=dtype)
    tokens = torch.arange(5, device="cuda").expand(rows, -1)
    eps = torch.finfo(torch.float32).eps
    for call in (
        lambda impl, *x: [answer_logprobs(x[0], x[2], tokens, impl=impl, **head)],
        lambda impl, *x: [divergence(*x, impl=impl, **head)],
    ):
        truth = call("reference", p.double(), q.double(), unembed.double())
        errs_no_more(call("triton", p, q, unembed), call("reference", p, q, unembed), truth, 4 * eps)
    assert (divergence(p, p.clone(), unembed, impl="triton") == 0).all()


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_span_compare(dtype: torch.dtype) -> None:
    a, b = random((507, 300), (507, 300), dtype=dtype)
    spans = torch.tensor([[0, 7], [7, 8], [3, 507]], device="cuda")
    truth = compare_spans(a.double(), b.double(), spans, impl="reference")
    plain, ours = (compare_spans(a, b, spans, impl=impl) for impl in ("reference", "triton"))
    errs_no_more(ours, plain, truth, 2 * torch.finfo(torch.float32).eps)


def test_float64_is_not_for_triton() -> None:
    x, spans = torch.ones(3, 16, device="cuda", dtype=torch.float64), torch.tensor([[0, 3]], device="cuda")
    assert compare_spans(x, x, spans).cosine.tolist() == [1.0]
    with pytest.raises(KernelError, match="float64"):
        compare_spans(x, x, spans, impl="triton")


def move_to_gpu(model: Model, dtype: torch.dtype = torch.float32) -> Model:
    return Model(model.name, model.hf_model.to(device="cuda", dtype=dtype), model.tokenizer, model.structure)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", sorted(FAMILIES | MORE))
def test_packed_passes(family: str) -> None:
    """As far from the truth as the CPU is, times `SLACK`; the worst number of an edit, times twice that."""
    model, swept, edited = tiny(family), compile_plan(cases(), budget=90), compile_plan(conditions(list(EDITS)))
    truth = execute_exactly(model, swept, CAPTURE, backend="packed")
    edited_truth = execute_exactly(model, edited, EVERYTHING, backend="packed")
    cpu = differences(execute(model, swept, CAPTURE), truth)
    edited_cpu = worst(execute(model, edited, EVERYTHING), edited_truth)
    model = move_to_gpu(model)
    eps = torch.finfo(torch.float32).eps
    for mine, theirs in zip(differences(execute(model, swept, CAPTURE), truth), cpu, strict=True):
        assert mine <= SLACK * theirs + 4 * eps
    gaps = worst(execute(model, edited, EVERYTHING), edited_truth)
    assert max(gaps.values()) <= SLACK * 2 * max(edited_cpu.values())


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_gradients_and_divergences(family: str) -> None:
    model, metric = tiny(family), (1.0, -1.0, 0.0, 0.5)
    runs = [
        (halfway([0.1, 0.5, 0.9]), Capture(attribution=metric)),
        ([CLEAN], Capture(attribution=metric, gradient_flow=("answer",))),
        (conditions(["key-value patch", "knockout"]), Capture(divergence=True)),
    ]
    cpu = [execute(model, compile_plan(own), capture) for own, capture in runs]
    model = move_to_gpu(model)
    for (own, capture), expected in zip(runs, cpu, strict=True):
        for mine, theirs in zip(execute(model, compile_plan(own), capture), expected, strict=True):
            pairs = [(mine.attribution[key], value) for key, value in theirs.attribution.items()]
            pairs += [(mine.gradient_flow[key], value) for key, value in theirs.gradient_flow.items()]
            pairs += [] if mine.kl is None or theirs.kl is None else [(mine.kl, theirs.kl)]
            for a, b in pairs:
                near = 1e-3 * float(b.nan_to_num().abs().max())
                torch.testing.assert_close(a.cpu(), b, atol=near, rtol=1e-3, equal_nan=True)


def test_half_precision_on_a_gpu_is_as_good_as_on_a_cpu() -> None:
    model, plan = tiny("llama"), compile_plan(cases(), budget=90)
    truth = execute_exactly(model, plan, CAPTURE, backend="packed")
    half = Model(model.name, model.hf_model.bfloat16(), model.tokenizer, model.structure)
    cpu = differences(execute(half, plan, CAPTURE), truth)
    for mine, theirs in zip(
        differences(execute(move_to_gpu(half, torch.bfloat16), plan, CAPTURE), truth), cpu, strict=True
    ):
        assert mine <= SLACK * theirs
