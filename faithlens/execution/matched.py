"""Compare the activations of conditions with those of their references, each pair of packed rows once.

Most conditions share most of their rows. So the same rows are compared once, for all conditions that have them:

1. `match_rows` lists the pieces that each condition has in common with its reference, and numbers their rows as spans.
2. In each layer all pairs of rows are compared, and the numbers are written into one buffer of all layers
   (`RowComparison.keep_block`). Below their first layer, originals stand for rows.
3. After the pass they are averaged over spans (`RowComparison.average`), and go back to the pieces of each condition
   (`MatchedPieces.spread`); other pieces get NaN.

For example, the reference has a prompt in the rows 0 to 2 and a stem in row 3. One condition has the stem in row 4, and
another in row 5; the prompt is the same::

    span 0    rows 0 1 2    beside 0 1 2    piece 0 of both conditions
    span 1    row 4         beside 3        piece 1 of the first
    span 2    row 5         beside 3        piece 1 of the second
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from faithlens.execution.geometry import Geometry, Name
from faithlens.kernels.span_compare import compare_rows, pool_spans
from faithlens.plan.capture import match_pieces
from faithlens.plan.condition import Condition
from faithlens.plan.packing import PackedPass


@dataclass(frozen=True)
class MatchedPieces:
    """The pieces of all conditions that their references have too.

    Attributes:
        pieces: (index of the condition, number of its piece, number of the span).
        lengths: for each condition that has a reference, by its index, how many pieces it has.
        rows: the packed rows of all spans, one span after the other.
        reference_rows: for each of them, the row that it is compared with.
        ends: where each span ends in `rows`.
    """

    pieces: list[tuple[int, int, int]]
    lengths: dict[int, int]
    rows: Int[ndarray, " row"]
    reference_rows: Int[ndarray, " row"]
    ends: Int[ndarray, " span"]

    def spread(self, values: Float[Tensor, "layer span"]) -> dict[int, Float[Tensor, "layer ..."]]:
        """For each condition that has a reference: the value of each of its pieces, NaN where the two do not match."""
        out = {index: torch.full((len(values), n), torch.nan) for index, n in self.lengths.items()}
        columns = values.unbind(1)
        for index, piece, span in self.pieces:
            out[index][:, piece] = columns[span]
        return out


def match_rows(conditions: Sequence[Condition], packed: PackedPass) -> MatchedPieces:
    """The rows of a pass that are compared."""
    numbers: dict[object, int] = {}
    rows, others, pieces = list[ndarray](), list[ndarray](), list[tuple[int, int, int]]()
    for placed in packed.placements:
        for piece, here, there in match_pieces(conditions[placed.index]):
            key = (*placed.path.list_ranges(*here), None, *placed.reference_path.list_ranges(*there))
            number = numbers.setdefault(key, len(numbers))
            if number == len(rows):
                rows.append(placed.path[slice(*here)])
                others.append(placed.reference_path[slice(*there)])
            pieces.append((placed.index, piece, number))
    lengths = {
        placed.index: len(conditions[placed.index].pieces)
        for placed in packed.placements
        if conditions[placed.index].reference is not None
    }
    nothing = np.zeros(0, np.int64)
    ends = np.array([len(each) for each in rows], np.int64).cumsum()
    return MatchedPieces(pieces, lengths, np.concatenate([nothing, *rows]), np.concatenate([nothing, *others]), ends)


class RowComparison:
    """The comparison of all matched rows of a pass, layer by layer."""

    def __init__(self, matched: MatchedPieces, geometry: Geometry) -> None:
        self.matched, self.geometry = matched, geometry
        self._buffers: dict[torch.device, Float[Tensor, "layer comparison pair"]] = {}
        self._names: list[Name] = []  # of the rows in each layer; layers with as many rows have the same
        rows = np.stack([matched.reference_rows, matched.rows])
        for layer in range(geometry.n_layers):
            name = "compared", geometry.count_rows(layer)
            self._names.append(name)
            if name not in geometry.arrays:
                geometry.arrays[name] = geometry.find_holders(rows, layer).astype(np.int32)

    def keep_block(self, layer: int, stream: Float[Tensor, "pos d_model"]) -> None:
        """Compare the rows of a block's output."""
        n_pairs = len(self.matched.rows)
        if stream.device not in self._buffers:
            dtype = torch.float64 if stream.dtype == torch.float64 else torch.float32
            self._buffers[stream.device] = stream.new_zeros(self.geometry.n_layers, 2, n_pairs, dtype=dtype)
        references, others = self.geometry.copy_to(stream.device)[self._names[layer]]
        compare_rows(stream, references, others, self._buffers[stream.device][layer])

    def list_buffers(self) -> list[Float[Tensor, "layer comparison pair"]]:
        """The numbers of all layers on each device; zeros for layers that are on another."""
        return [*self._buffers.values()]

    def average(
        self, rowwise: Sequence[Float[Tensor, "layer comparison pair"]]
    ) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """Cosine and relative distance for the pieces of each condition, by its index, given the buffers."""
        ends = self.matched.ends
        compared = pool_spans(
            torch.stack([*rowwise]).sum(0), torch.from_numpy(np.stack([np.append(0, ends[:-1]), ends], -1))
        )
        return self.matched.spread(compared.cosine), self.matched.spread(compared.relative_l2)
