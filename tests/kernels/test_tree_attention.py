"""Tree attention against the same sequences attended one at a time, in float64."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from faithlens.errors import KernelError
from faithlens.kernels.tree_attention import Readout, Tree, tree_attention

IMPLEMENTATIONS = ("blocked", "reference", "triton")


def grow(parents: list[int], cuts: list[tuple[int, int]]) -> Tree:
    """A tree from each node's parent; parents are made valid and depth-first by construction."""
    depth, until = [], [0] * len(parents)
    for i, parent in enumerate(parents):
        depth.append(0 if parent < 0 else depth[parent] + 1)
        node = i
        while node >= 0:
            until[node] = i + 1
            node = parents[node]
    return Tree(
        torch.tensor(depth),
        torch.arange(len(parents)),
        torch.tensor(until),
        torch.tensor(cuts).reshape(len(parents), 1, 2),
        torch.zeros(len(parents), 0, 2, dtype=torch.long),
    )


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


def store(tree: Tree, order: Tensor) -> Tree:
    """The same tree, whose rows are stored in another order."""
    return Tree(*(x[order] for x in (tree.depth, tree.places, tree.visible_until, tree.hidden, tree.grafts)))


def read(rows: Tensor, spans: Tensor, reads_flow: bool = False) -> Readout:
    """A readout in which each row is a reader of its own."""
    return Readout(rows, torch.arange(len(rows)), spans, torch.ones(len(rows), dtype=torch.long), reads_flow)


def tensors(n: int, seed: int, heads: int = 4, kv: int = 2, d: int = 8) -> list[Tensor]:
    """Queries, keys and values with peaks: some keys equal some queries."""
    g = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(h, n, d, generator=g, dtype=torch.float64) for h in (heads, kv, kv))
    k[:, ::5] = 3 * q[:kv, ::5]
    return [q, k, v]


def rms(x: Tensor) -> float:
    return float(x.double().square().mean().sqrt())


def alone(q: Tensor, k: Tensor, v: Tensor, parents: list[int], tree: Tree, window: int | None) -> tuple[Tensor, Tensor]:
    """Each query over its own ancestors, one by one: the output, and each query's pattern over packed keys."""
    out, pattern = torch.zeros_like(q), torch.zeros(q.shape[0], len(parents), len(parents), dtype=q.dtype)
    k, v = (x.repeat_interleave(q.shape[0] // x.shape[0], 0) for x in (k, v))  # one for each query head
    depth, hidden = tree.depth.tolist(), tree.hidden[:, 0].tolist()
    for i, (low, high) in enumerate(hidden):
        path, node = [], i
        while node >= 0:
            path.append(node)
            node = parents[node]
        own = len(path) - 1
        seen = [p for p in path if not low <= depth[p] < high and (window is None or own - depth[p] < window)]
        weights = torch.softmax(0.3 * (k[:, seen] @ q[:, i, :, None])[..., 0], 1)
        out[:, i] = (weights[:, None] @ v[:, seen])[:, 0]
        pattern[:, i, seen] = weights
    return out, pattern


def check_each_sequence_alone(
    impl: str, window: int | None, grown: tuple[list[int], Tree], seed: int, step: int
) -> None:
    """Compare outputs, and every `step`-th row's attention to two spans, with each query over its own ancestors."""
    parents, tree = grown
    q, k, v = tensors(len(parents), seed)
    rows = torch.arange(0, len(parents), step)
    ends = tree.depth[rows] + 1
    spans = torch.stack([torch.stack([ends * 0, ends // 2], -1), torch.stack([ends // 2, ends], -1)], 1)
    out, mass, _ = tree_attention(q, k, v, tree, 0.3, window=window, readout=read(rows, spans), impl=impl)
    expected, pattern = alone(q, k, v, parents, tree, window)
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=1e-10)
    first = torch.stack([pattern[:, r, tree.depth < ends[i] // 2].sum(-1) for i, r in enumerate(rows)], -1)
    torch.testing.assert_close(mass[..., 0], first, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(mass.sum(-1), torch.ones_like(first), atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("impl", ["blocked", "reference"])
@pytest.mark.parametrize("window", [None, 5])
@given(grown=trees(), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_equals_each_sequence_attended_alone(
    impl: str, window: int | None, grown: tuple[list[int], Tree], seed: int
) -> None:
    check_each_sequence_alone(impl, window, grown, seed, step=2)


@pytest.mark.parametrize("window", [None, 5])
@given(grown=trees(), seed=st.integers(0, 99))
@settings(max_examples=10)
def test_interpreted_triton_equals_each_sequence_attended_alone(
    window: int | None, grown: tuple[list[int], Tree], seed: int
) -> None:
    """On fewer trees and readers: the interpreter runs one reader at a time, which takes seconds for a tree."""
    check_each_sequence_alone("triton", window, grown, seed, step=9)


@pytest.mark.parametrize("impl", ["blocked", "triton"])
@pytest.mark.parametrize("n", [507, 1300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_blocks_err_no_more_than_torch_itself(impl: str, n: int, dtype: torch.dtype) -> None:
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
    readout = read(torch.tensor([n - 1, n // 2]), torch.tensor([[[0, 10], [10, n]]] * 2))
    truth, true_mass, _ = tree_attention(*(x.double() for x in low), tree, 0.3, readout=readout, impl="reference")
    plain, plain_mass, _ = tree_attention(*low, tree, 0.3, readout=readout, impl="reference")
    ours, mass, _ = tree_attention(*low, tree, 0.3, readout=readout, impl=impl)
    eps = torch.finfo(dtype).eps
    assert rms(ours - truth) <= rms(plain - truth) + eps * rms(truth)
    assert rms(mass - true_mass) <= rms(plain_mass - true_mass) + eps * rms(true_mass)


FEATURES = {
    "plain": {},
    "window": {"window": 5},
    "softcap": {"softcap": 1.5},
    "sinks": {"sinks": torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64)},
    "all": {"window": 9, "softcap": 2.0, "sinks": torch.tensor([1.0, 0.0, -2.0, 3.0], dtype=torch.float64)},
}


def make_grafted_tree(n: int) -> Tree:
    """A trunk of half the row, and branches whose last token sees some rows of the branch before."""
    trunk = n // 2
    parents = [i - 1 for i in range(trunk)]
    parents += [trunk // 2 if (i - trunk) % 8 == 0 else i - 1 for i in range(trunk, n)]
    tree = grow(parents, [(0, 0)] * n)
    grafts = torch.zeros(n, 1, 2, dtype=torch.long)
    for end in range(trunk + 15, n, 8):
        grafts[end, 0] = torch.tensor([end - 13, end - 10])
    return Tree(tree.depth, tree.places, tree.visible_until, tree.hidden, grafts)


@pytest.mark.parametrize(
    ("n", "feature", "impl"),
    [
        (n, feature, impl)
        for n, feature, impl in product([63, 123, 507], sorted(FEATURES), ["blocked", "triton"])
        if n < 507 or impl == "blocked" or feature == "all"  # Triton's interpreter is slow on long rows
    ],
)
@pytest.mark.usefixtures("poisoned")
def test_equals_the_reference_on_some_queries(n: int, feature: str, impl: str) -> None:
    """Of every third row of a tree with grafts; keys that nobody sees, and fresh memory, hold no numbers."""
    tree, (q, k, v) = make_grafted_tree(n), tensors(n, seed=n, d=20)
    queries = torch.arange(1, n, 3)
    unseen = ~tree.compute_visible(queries, torch.arange(n), FEATURES[feature].get("window")).any(0)
    k[:, unseen], v[:, unseen] = torch.nan, torch.nan
    for rows in (queries[::9], queries):
        ends = tree.depth[rows] + 1
        spans = torch.stack([torch.stack([ends * 0, ends // 3], -1), torch.stack([ends // 3, ends], -1)], 1)
        for flow in (False, True):
            arguments = {"queries": queries, "readout": read(rows, spans, flow), **FEATURES[feature]}
            truth = tree_attention(q[:, queries], k, v, tree, 0.3, impl="reference", **arguments)
            ours = tree_attention(q[:, queries], k, v, tree, 0.3, impl=impl, **arguments)
            for mine, theirs in zip(ours, truth, strict=True):
                assert (mine is None) == (theirs is None)
                if theirs is not None:
                    torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-10)
            if flow and "sinks" not in FEATURES[feature] and feature != "all":
                torch.testing.assert_close(ours.mass.sum(-1), torch.ones_like(ours.mass[..., 0]))


def test_flow_of_all_spans_is_the_output() -> None:
    tree, (q, k, v) = make_grafted_tree(63), tensors(63, seed=4)
    rows = torch.tensor([20, 40, 62])
    spans = torch.tensor([[[0, 7], [7, 99]]] * 3)
    out, _, flow = tree_attention(q, k, v, tree, 0.3, readout=read(rows, spans, reads_flow=True))
    torch.testing.assert_close(flow.sum(2), out[:, rows], atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("feature", sorted(FEATURES))
def test_gradients_are_those_of_the_reference(feature: str) -> None:
    tree, inputs = make_grafted_tree(63), tensors(63, seed=5)
    gradients = []
    for impl in ("blocked", "reference"):
        leaves = [x.clone().requires_grad_() for x in inputs]
        out = tree_attention(*leaves, tree, 0.3, impl=impl, **FEATURES[feature]).out
        gradients.append(torch.autograd.grad((out**2).sum(), leaves))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-11, rtol=1e-9)


@pytest.mark.parametrize("impl", sorted(IMPLEMENTATIONS))
@pytest.mark.parametrize("window", [None, 5])
@given(grown=trees(), seed=st.integers(0, 99), short=st.integers(1, 9), part=st.floats(0, 1))
@settings(max_examples=25)
def test_rows_may_be_stored_in_any_order_of_ancestors_first(
    impl: str, window: int | None, grown: tuple[list[int], Tree], seed: int, short: int, part: float
) -> None:
    """Rows with few rows below them come last; the last rows are left out, or called by themselves."""
    _, tree = grown
    inputs = tensors(len(tree), seed)
    expected = tree_attention(*inputs, tree, 0.3, window=window, impl="reference").out
    order = (tree.visible_until - tree.places <= short).int().argsort(stable=True)
    n = max(1, int(part * len(tree)))
    stored = replace(store(tree, order), borders=(n, len(tree) // 2))
    q, k, v = (x[:, order] for x in inputs)
    for rows in (range(n), range(n // 2, len(tree))):
        a, b, known = rows.start, rows.stop, slice(0, rows.stop)
        out = tree_attention(q[:, a:b], k[:, known], v[:, known], stored, 0.3, window=window, queries=rows, impl=impl)
        torch.testing.assert_close(out.out, expected[:, order][:, a:b], atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("impl", sorted(IMPLEMENTATIONS))
@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("rows", [9, 90])
def test_a_reader_has_the_mean_of_its_rows(impl: str, flow: bool, rows: int) -> None:
    """In two calls, each with some of the readers' rows, which add to what is there."""
    tree, (q, k, v) = make_grafted_tree(123), tensors(123, seed=9)
    read_rows, readers = torch.randperm(123)[:rows], torch.arange(rows) * 4 // rows
    spans = torch.tensor([[[0, 20], [20, 61]], [[3, 4], [0, 0]], [[0, 70], [1, 2]], [[5, 90], [0, 90]]])
    single = read(read_rows, spans[readers])
    each = tree_attention(q, k, v, tree, 0.3, readout=single, impl="reference").mass
    counts = readers.bincount(minlength=4)
    expected = torch.stack([each[:, readers == i].mean(1) for i in range(4)], 1)
    mass, half = torch.ones(4, 4, 2, dtype=torch.float64), torch.arange(rows) % 2 == 0
    for some in (half, ~half):
        readout = Readout(read_rows[some], readers[some], spans, counts, flow)
        out = tree_attention(q, k, v, tree, 0.3, readout=readout, mass=mass, impl=impl)
        assert out.mass is mass
    torch.testing.assert_close(mass, expected + 1, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("impl", ["blocked", "triton"])
def test_strides_are_read_as_they_are(impl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads side by side in memory, as a model's projections leave them; nothing is copied."""
    tree, inputs = make_grafted_tree(123), tensors(123, seed=10)
    expected = tree_attention(*inputs, tree, 0.3, impl="reference").out
    inputs = [x.transpose(0, 1).contiguous().transpose(0, 1) for x in inputs]
    if impl == "triton":
        monkeypatch.setattr(Tensor, "contiguous", None)
    out = tree_attention(*inputs, tree, 0.3, impl=impl).out
    monkeypatch.undo()
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=1e-10)
    assert out.transpose(0, 1).is_contiguous()


@pytest.mark.parametrize("impl", sorted(IMPLEMENTATIONS))
def test_a_query_that_sees_nothing_gives_zero(impl: str) -> None:
    q, k, v = tensors(7, seed=6)
    tree = grow([i - 1 for i in range(7)], [(0, 0)] * 6 + [(0, 7)])
    readout = read(torch.tensor([6, 5]), torch.tensor([[[0, 9]]] * 2))
    out, mass, _ = tree_attention(q, k, v, tree, 0.3, readout=readout, impl=impl)
    assert out[:, 6].abs().max() == 0 == mass[:, 0].abs().max()
    torch.testing.assert_close(mass[:, 1, 0], torch.ones(4, dtype=torch.float64))


def test_many_spans_take_several_programs() -> None:
    """Every row reads every single position: more spans than one program keeps."""
    tree, (q, k, v) = make_grafted_tree(123), tensors(123, seed=7)
    rows = torch.arange(122, -1, -1)  # in any order, and some of them twice
    rows = torch.cat([rows, rows[:9]])
    spans = torch.stack([torch.arange(80), torch.arange(1, 81)], -1).expand(len(rows), -1, -1)
    readout = read(rows, spans)
    truth = tree_attention(q, k, v, tree, 0.3, readout=readout, impl="reference")
    ours = tree_attention(q, k, v, tree, 0.3, readout=readout, impl="triton")
    torch.testing.assert_close(ours.mass, truth.mass, atol=1e-12, rtol=1e-10)


def test_triton_refuses_rather_than_becoming_another(monkeypatch: pytest.MonkeyPatch) -> None:
    tree, (q, k, v) = make_grafted_tree(63), tensors(63, seed=8)
    with pytest.raises(KernelError, match="a tensor requires one"):
        tree_attention(q.requires_grad_(), k, v, tree, 0.3, impl="triton")
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.raises(KernelError, match="tensors on cpu"):
        tree_attention(q.detach(), k, v, tree, 0.3, impl="triton")
