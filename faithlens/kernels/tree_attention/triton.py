"""Tree attention in Triton, over the tiles of keys that a block of queries sees.

1. A program takes one block of queries and one head, and keeps a running softmax.
2. It reads the run of keys that all of its queries see, without a test, and then the other tiles (`tiles.py`, which has
   an example). Which pairs of these are visible is computed from places and depths, as in `tree.py` (`find_seen`).
3. It writes the output, and for each query the highest score and the sum of the weights.
4. For a readout, a second kernel computes the weights again from these two numbers, and adds them up for each span. A
   program takes one reader and one head, and adds the mean over the reader's rows to the mass in place. It skips tiles
   without keys of its spans. If flow is read, a kernel adds up weights and weighted values by row and span.

The kernels are in `triton_kernels.py`.
"""

# The branches of a kernel are chosen when it is compiled, which a type checker cannot know.
# pyright: reportPossiblyUnboundVariable=false, reportOperatorIssue=false, reportIndexIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false

import os
from itertools import pairwise
from math import log
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import pad
from triton.tools.tensor_descriptor import TensorDescriptor

from faithlens.kernels.integers import copy_integers
from faithlens.kernels.tree_attention.tiles import NO_WINDOW, choose_shape, list_tiles
from faithlens.kernels.tree_attention.tree import (
    AttentionOutput,
    Readout,
    Tree,
    find_queries,
    list_rows,
    pool_readers,
)
from faithlens.kernels.tree_attention.triton_kernels import flow_kernel, kernel, mass_kernel

MOST_SPANS = 64  # the spans in one program; more spans take more programs
READ_QUERIES = 16  # the rows of a reader that are read at once
LOG2E = 1 / log(2)  # GPUs compute powers of two
FLOAT32 = "tf32x3"  # tensor cores multiply float32 as three products of its upper and lower halves


def attend(
    q: Float[Tensor, "head query d_head"],
    k: Float[Tensor, "kv_head pos d_head"],
    v: Float[Tensor, "kv_head pos d_head"],
    tree: Tree,
    scale: float,
    queries: range | Int[Tensor, " query"],
    window: int | None,
    softcap: float | None,
    sinks: Float[Tensor, " head"] | None,
    readout: Readout | None,
    mass: Float[Tensor, "head reader span"] | None,
) -> AttentionOutput:
    """See `tree_attention`."""
    launch = Launch(q, k, v, tree, scale, queries, window, softcap)
    out, norm = launch.run_attention(sinks)
    if readout is None or not len(readout.rows):
        return AttentionOutput(out, mass)
    if readout.reads_flow:
        shares, flow = launch.read_flow(readout, norm)
        return AttentionOutput(out, pool_readers(shares, readout, mass), flow)
    assert mass is not None
    launch.add_mass(readout, norm, mass)
    return AttentionOutput(out, mass)


_MADE: WeakKeyDictionary[Tree, dict[object, tuple[object, dict[str, Tensor]]]] = WeakKeyDictionary()

BLOCKS = ("rows", "depth", "place", "until", "hidden", "grafts", "extent", "run", "tiles", "first")
"""The arrays of `Launch.describe_blocks`, in the order in which kernels take them."""


class Launch:
    """All launches on the tensors of one layer.

    `norm` holds two numbers for each query: the highest score, and the sum of the weights.
    """

    def __init__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        tree: Tree,
        scale: float,
        queries: range | Int[Tensor, " query"],
        window: int | None,
        softcap: float | None,
    ) -> None:
        width, double = q.shape[2], q.dtype == torch.float64
        self.tree, self.queries, self.window, self.shape = tree, queries, window, choose_shape(width, q)
        self.q = q if q.stride(-1) == 1 else q.contiguous()
        self.wide = max(16, triton.next_power_of_2(width))
        self.k, self.v = map(self.make_descriptor, (k, v))
        self.number_type = torch.float64 if double else torch.float32
        self.sizes = (
            q.shape[1], k.shape[1], q.shape[0] // k.shape[0], NO_WINDOW if window is None else window,
            tree.hidden.shape[1], tree.grafts.shape[1],
        )  # fmt: skip
        types = {torch.float64: tl.float64, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}
        interpreted = os.environ.get("TRITON_INTERPRET") == "1"  # numpy runs it, and numpy has no bfloat16
        self.constants = {
            "D": width, "DP": self.wide, "BN": self.shape.keys,
            "UNIT": LOG2E * (softcap or scale), "CAP": softcap and 2 * scale / softcap,
            "ACC": tl.float64 if double else tl.float32,
            "FACTOR": tl.float32 if interpreted and q.dtype == torch.bfloat16 else types.get(q.dtype, tl.float32),
            "FLOAT32": FLOAT32, "num_warps": self.shape.warps, "num_stages": self.shape.stages,
        }  # fmt: skip

    def make_descriptor(self, x: Float[Tensor, "kv_head pos d_head"]) -> TensorDescriptor:
        """A descriptor to load tiles of keys or values by their strides."""
        aligned = 16 // x.element_size()  # the copy engine needs rows that start at multiples of 16 bytes
        if x.stride(2) != 1 or any(stride % aligned for stride in x.stride()[:2]) or x.data_ptr() % 16:
            x = pad(x, (0, -x.shape[2] % aligned)).contiguous()
        return TensorDescriptor(x, [*x.shape], [*x.stride()], [1, self.shape.keys, self.wide])

    def copy_once(self, key: tuple[object, ...], owner: object, arrays: Any) -> dict[str, Tensor]:
        """The arrays that `arrays` makes, on the device: copied once for all layers, and deleted with the tree.

        `owner` is kept too, so that no other object gets its id, which is a part of `key`.
        """
        made, key = _MADE.setdefault(self.tree, {}), (*key, self.window, self.shape, self.q.device)
        if key not in made:
            made[key] = owner, copy_integers({n: x.astype(np.int32) for n, x in arrays().items()}, self.q.device)
        return made[key][1]

    def name_queries(self) -> tuple[object, ...]:
        """What tells these queries from others of the same tree."""
        return (self.queries.start, self.queries.stop) if isinstance(self.queries, range) else (id(self.queries),)

    def list_borders(self) -> list[int]:
        """Where blocks end: those of a tree are cut at its borders, and shared by all ranges between two of them."""
        if not isinstance(self.queries, range):
            return [0, len(self.queries)]
        borders = {0, *self.tree.borders, len(self.tree)}
        ends = [self.queries.start, self.queries.stop]
        return sorted(borders) if borders.issuperset(ends) else ends

    def describe_blocks(self, rows: Int[ndarray, " query"], starts: Int[ndarray, " block"]) -> dict[str, ndarray]:
        """The tree, and the tiles that blocks of `rows` read."""
        tree = self.tree
        blocks = list_tiles(tree, rows, starts, self.window, self.shape.keys)
        extents = [count_intervals(x.numpy()[rows], starts) for x in (tree.hidden, tree.grafts)]
        whole = (tree.depth, tree.places, tree.visible_until, tree.hidden, tree.grafts)
        arrays = (rows, *(x.numpy() for x in whole), np.stack(extents, 1), *blocks)
        return dict(zip(BLOCKS, arrays, strict=True))

    def run_attention(
        self, sinks: Float[Tensor, " head"] | None
    ) -> tuple[Float[Tensor, "head query d_head"], Float[Tensor, "two head query"]]:
        """Output and norm of all queries; in memory the heads of a query lie side by side."""
        q, (heads, n, width) = self.q, self.q.shape
        out, norm = q.new_empty(n, heads, width).transpose(0, 1), q.new_empty(2, heads, n, dtype=self.number_type)
        if n:
            borders, is_range = self.list_borders(), isinstance(self.queries, range)
            starts = np.concatenate([np.arange(a, b, self.shape.queries) for a, b in pairwise(borders)])
            rows = range(borders[0], borders[-1]) if is_range else self.queries

            def describe() -> dict[str, ndarray]:
                own = np.append(starts, borders[-1]) - borders[0]
                return self.describe_blocks(list_rows(rows).numpy(), own[:-1]) | {"starts": own}

            named = (borders[0], borders[-1]) if is_range else self.name_queries()
            tiles = self.copy_once(named, self.queries, describe)
            of_range = (self.queries.start, self.queries.stop) if isinstance(self.queries, range) else (0, n)
            first, last = np.searchsorted(starts, of_range).tolist()
            kernel[(heads, last - first)](
                q, self.k, self.v, q if sinks is None else sinks, *tiles.values(), out, *norm,
                *q.stride()[:2], *out.stride()[:2], first, *self.sizes, BM=self.shape.queries, LOG2E=LOG2E,
                SUNK=sinks is not None, maxnreg=self.shape.registers, **self.constants,
            )  # fmt: skip
        return out, norm

    def add_mass(
        self, readout: Readout, norm: Float[Tensor, "two head query"], mass: Float[Tensor, "head reader span"]
    ) -> None:
        """Add the mean mass of the rows of each reader to `mass`."""

        def describe() -> dict[str, ndarray]:
            readers, n = readout.readers.numpy(), len(readout.spans)
            first = np.searchsorted(readers, np.arange(n + 1))  # the first row of each reader
            starts = [np.arange(a, b, READ_QUERIES) for a, b in pairwise(first)]
            blocks = np.concatenate(starts)
            return self.describe_blocks(readout.rows.numpy(), blocks) | {
                "numbers": find_queries(self.queries, readout.rows).numpy(),
                "starts": np.append(blocks, len(readers)),
                "reader_first": np.append(0, np.cumsum([*map(len, starts)])),
                "counts": readout.counts.numpy(),
                "spans": readout.spans.numpy(),
            }

        arrays = self.copy_once((*self.name_queries(), id(readout)), (self.queries, readout), describe)
        (readers, n_span), q = readout.spans.shape[:2], self.q
        spans = min(MOST_SPANS, max(16, triton.next_power_of_2(n_span)))
        if not n_span:
            return
        mass_kernel[(len(q), readers, triton.cdiv(n_span, spans))](
            q, self.k, *arrays.values(), *norm, mass, *q.stride()[:2], *self.sizes, n_span, *mass.stride()[:2],
            BM=READ_QUERIES, NS=spans, **self.constants,
        )  # fmt: skip

    def read_flow(
        self, readout: Readout, norm: Float[Tensor, "two head query"]
    ) -> tuple[Float[Tensor, "head row span"], Float[Tensor, "head row span d_head"]]:
        """The mass and the weighted values of the read rows, span by span."""
        blocks = np.arange(0, len(readout.rows), self.shape.queries)

        def describe() -> dict[str, ndarray]:
            return self.describe_blocks(readout.rows.numpy(), blocks) | {
                "numbers": find_queries(self.queries, readout.rows).numpy(),
                "spans": readout.spans[readout.readers].numpy(),
            }

        arrays, q = self.copy_once((*self.name_queries(), id(readout)), (self.queries, readout), describe), self.q
        flow = q.new_empty(len(q), len(readout.rows), readout.spans.shape[1], q.shape[2])
        shares = norm.new_empty(flow.shape[:3])
        if shares.numel():
            flow_kernel[(len(q), len(blocks), flow.shape[2])](
                q, self.k, self.v, *arrays.values(), *norm, shares, flow, *q.stride()[:2], self.sizes[0],
                len(readout.rows), *self.sizes[1:], flow.shape[2], BM=self.shape.queries, **self.constants,
            )  # fmt: skip
        return shares, flow


def count_intervals(intervals: Int[ndarray, "row cut two"], starts: Int[ndarray, " block"]) -> Int[ndarray, " block"]:
    """How many intervals of its rows each block looks at: up to the last one that is not empty."""
    numbers = np.arange(1, intervals.shape[1] + 1)
    last = np.where(intervals[..., 0] < intervals[..., 1], numbers, 0).max(1, initial=0)
    return np.maximum.reduceat(last, starts) if len(starts) else last[:0]
