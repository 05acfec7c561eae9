"""Tree attention against the same sequences attended one at a time, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from faithlens.kernels.tree_attention import Readout, Tree, tree_attention
from faithlens.kernels.tree_attention.api import IMPLEMENTATIONS


def grow(parents: list[int], cuts: list[tuple[int, int]]) -> Tree:
    """A tree from each node's parent; parents are made valid and depth-first by construction."""
    depth, until = [], [0] * len(parents)
    for i, parent in enumerate(parents):
        depth.append(0 if parent < 0 else depth[parent] + 1)
        node = i
        while node >= 0:
            until[node] = i + 1
            node = parents[node]
    return Tree(torch.tensor(depth), torch.tensor(until), torch.tensor(cuts).reshape(len(parents), 1, 2))


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[int], Tree]:
    """A random depth-first tree: each node hangs from a node on the path to the node before it, or from nothing."""
    n = draw(st.sampled_from([1, 2, 7, 63, 123]))
    parents, path = [], []
    for i in range(n):
        path = path[: draw(st.integers(max(0, len(path) - 3), len(path)))] if draw(st.booleans()) else path
        parents.append(path[-1] if path else -1)
        path = [*path, i]
    # a query always sees itself: hidden intervals lie strictly above it
    depth = grow(parents, [(0, 0)] * n).depth.tolist()
    cuts = [(a, draw(st.integers(a, d))) if (a := draw(st.integers(0, d))) < d else (0, 0) for d in depth]
    return parents, grow(parents, cuts)


def tensors(n: int, seed: int, heads: int = 4, kv: int = 2, d: int = 8) -> list[Tensor]:
    """Queries, keys and values with planted peaks: some keys equal some queries."""
    g = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(h, n, d, generator=g, dtype=torch.float64) for h in (heads, kv, kv))
    k[:, ::5] = 3 * q[:kv, ::5]
    return [q, k, v]


def rms(x: Tensor) -> float:
    return float(x.double().square().mean().sqrt())


def alone(q: Tensor, k: Tensor, v: Tensor, parents: list[int], tree: Tree, window: int | None) -> tuple[Tensor, Tensor]:
    """Each query over its own ancestors, one by one: the output, and each query's pattern over packed keys."""
    out, pattern = torch.zeros_like(q), torch.zeros(q.shape[0], len(parents), len(parents), dtype=q.dtype)
    group = q.shape[0] // k.shape[0]
    for i in range(len(parents)):
        path, node = [], i
        while node >= 0:
            path.append(node)
            node = parents[node]
        low, high = tree.hidden[i, 0].tolist()
        own = len(path) - 1
        seen = [p for p in path if not low <= int(tree.depth[p]) < high]
        seen = [p for p in seen if window is None or own - int(tree.depth[p]) < window]
        for h in range(q.shape[0]):
            weights = torch.softmax(0.3 * (k[h // group, seen] @ q[h, i]), 0)
            out[h, i] = weights @ v[h // group, seen]
            pattern[h, i, seen] = weights
    return out, pattern


@pytest.mark.parametrize("impl", sorted(IMPLEMENTATIONS))
@pytest.mark.parametrize("window", [None, 5])
@given(grown=trees(), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_equals_each_sequence_attended_alone(
    impl: str, window: int | None, grown: tuple[list[int], Tree], seed: int
) -> None:
    parents, tree = grown
    q, k, v = tensors(len(parents), seed)
    rows = torch.arange(0, len(parents), 2)
    ends = tree.depth[rows] + 1
    spans = torch.stack([torch.stack([ends * 0, ends // 2], -1), torch.stack([ends // 2, ends], -1)], 1)
    out, mass = tree_attention(q, k, v, tree, 0.3, window, Readout(rows, spans), impl=impl)
    expected, pattern = alone(q, k, v, parents, tree, window)
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=1e-10)
    first = torch.stack([pattern[:, r, tree.depth < ends[i] // 2].sum(-1) for i, r in enumerate(rows)], -1)
    torch.testing.assert_close(mass[..., 0], first, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(mass.sum(-1), torch.ones_like(first), atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("n", [507, 1300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_blocks_err_no_more_than_torch_itself(n: int, dtype: torch.dtype) -> None:
    """Across several query blocks, many of them gathered: the error budget is torch's own in the same precision."""
    parents = [i - 1 if i % 90 else (i // 3 - 1 if i else -1) for i in range(n)]
    parents = [min(p, i - 1) for i, p in enumerate(parents)]
    for i in range(1, n):  # depth-first: a new branch hangs from an ancestor of the node before it
        node = i - 1
        while node > parents[i]:
            node = parents[node]
        parents[i] = node
    tree = grow(parents, [(0, 0)] * n)
    exact = tensors(n, seed=1)
    low = [x.to(dtype) for x in exact]
    readout = Readout(torch.tensor([n - 1, n // 2]), torch.tensor([[[0, 10], [10, n]]] * 2))
    truth, true_mass = tree_attention(*(x.double() for x in low), tree, 0.3, readout=readout, impl="reference")
    plain, plain_mass = tree_attention(*low, tree, 0.3, readout=readout, impl="reference")
    ours, mass = tree_attention(*low, tree, 0.3, readout=readout, impl="blocked")
    eps = torch.finfo(dtype).eps
    assert rms(ours - truth) <= rms(plain - truth) + eps * rms(truth)
    assert rms(mass - true_mass) <= rms(plain_mass - true_mass) + eps * rms(true_mass)


def test_every_output_cell_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "empty_like", lambda x: torch.full_like(x, torch.nan))
    q, k, v = tensors(63, seed=2)
    tree = grow([i - 1 for i in range(63)], [(0, 0)] * 63)
    out, _ = tree_attention(q, k, v, tree, 0.3)
    assert not out.isnan().any()
