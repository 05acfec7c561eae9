"""Comparison by span against one span at a time."""

from typing import get_args

import pytest
import torch

from faithlens.kernels.span_compare import compare_rows, compare_spans
from faithlens.kernels.span_compare.api import Implementation

IMPLEMENTATIONS = [impl for impl in get_args(Implementation) if impl != "auto"]

SPANS = torch.tensor([[0, 7], [7, 8], [3, 63], [20, 20]])


def pair(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    a = torch.randn(63, 123, generator=g, dtype=torch.float64)
    return a.to(dtype), (a + 0.1 * torch.randn(63, 123, generator=g, dtype=torch.float64)).to(dtype)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_closed_form(impl: str) -> None:
    a, b = pair()
    ours = compare_spans(a, b, SPANS, impl=impl)
    for i, (start, stop) in enumerate(SPANS.tolist()[:3]):
        rows = range(start, stop)
        cosines = [torch.dot(a[r], b[r]) / a[r].norm() / b[r].norm() for r in rows]
        distances = [(a[r] - b[r]).square().sum().sqrt() / a[r].square().sum().sqrt() for r in rows]
        torch.testing.assert_close(ours.cosine[i], torch.stack(cosines).mean())
        torch.testing.assert_close(ours.relative_l2[i], torch.stack(distances).mean())
    assert all(part[3].isnan() for part in ours)  # nothing to compare


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_equal_rows_are_exactly_equal(impl: str) -> None:
    a, _ = pair(torch.float32)
    ours = compare_spans(a, a.clone(), SPANS[:3], impl=impl)
    assert (ours.relative_l2 == 0).all()
    torch.testing.assert_close(ours.cosine, torch.ones(3))


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_a_zero_row_has_no_cosine_and_spoils_no_other_span(impl: str) -> None:
    a, b = pair()
    b[2] = 0
    ours = compare_spans(a, b, SPANS[:2], impl=impl)
    assert ours.cosine.isnan().tolist() == [True, False]
    assert ours.relative_l2.isfinite().all()
    backwards = compare_spans(b, a, SPANS[:2], impl=impl)
    assert backwards.cosine.isnan().tolist() == backwards.relative_l2.isnan().tolist() == [True, False]


@pytest.mark.parametrize("impl", ["pooled", "triton"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_errs_no_more_than_plain_torch(dtype: torch.dtype, impl: str) -> None:
    a, b = pair(dtype)
    truth = compare_spans(a.double(), b.double(), SPANS[:3], impl="reference")
    plain, ours = (compare_spans(a, b, SPANS[:3], impl=name) for name in ("reference", impl))
    eps = torch.finfo(torch.float32).eps
    for mine, theirs, exact in zip(ours, plain, truth, strict=True):
        assert (mine - exact).abs().max() <= (theirs - exact).abs().max() + 2 * eps * exact.abs().max()


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_pairs_of_rows_are_compared_where_they_are(impl: str) -> None:
    """Rows in any order and more than once; the numbers of a layer go into a buffer of several layers."""
    x, _ = pair()
    references, others = torch.randint(63, (2, 40), generator=torch.Generator().manual_seed(1))
    layers = torch.full((3, 2, 40), 7.0, dtype=torch.float64)
    out = compare_rows(x, references.int(), others.int(), layers[1], impl=impl)
    a, b = x[references], x[others]
    assert out.data_ptr() == layers[1].data_ptr()
    torch.testing.assert_close(layers[1, 0], torch.cosine_similarity(a, b))
    torch.testing.assert_close(layers[1, 1], (a - b).norm(dim=1) / a.norm(dim=1))
    assert (layers[::2] == 7).all()


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize(("rows", "width"), [(1, 1), (507, 20), (33, 1300)])
def test_odd_shapes(rows: int, width: int) -> None:
    g = torch.Generator().manual_seed(rows)
    a, b = (torch.randn(2 * rows, width, generator=g, dtype=torch.float64)[::2] for _ in "ab")
    spans = torch.tensor([[0, rows], [rows // 2, rows // 2 + 1]])
    for ours, truth in zip(compare_spans(a, b, spans, impl="triton"), compare_spans(a, b, spans), strict=True):
        torch.testing.assert_close(ours, truth, atol=1e-12, rtol=1e-12)
