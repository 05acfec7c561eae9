"""Conditions beside their references: which packed rows are compared, each pair of rows once.

Most conditions share most of their rows. So the same rows are compared once, for all conditions that have them:

1. `match_rows` lists the pieces that each condition has in common with its reference, and numbers their rows as spans.
2. Values of spans go back to the pieces of each condition (`MatchedPieces.spread`); other pieces get NaN.

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
