"""The log-probabilities of the sequences of conditions, read from the final hidden states.

1. Only rows before a token that is read are unembedded, each once (`list_answer_rows`).
2. Each gets the log-probabilities of all tokens that are read after it, as the columns of a table.
3. Those of a sequence's tokens are added up (`score_sequences`).

For example, the options (7) and (8, 9), which follow row 4, where 8 is row 5::

    rows       4, 5
    tokens     7 8       after row 4
               9 0       after row 5; the 0 fills up the table
    entries    0 4       of the table, those of the first sequence: 7, and what comes after the table, which is 0
               1 2       those of the second: 8 and 9
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import pad

from faithlens.execution.geometry import Name
from faithlens.kernels.answer_logprobs import answer_logprobs
from faithlens.model.model import Model
from faithlens.plan.packing import PackedPass


def list_answer_rows(packed: PackedPass) -> dict[Name, ndarray]:
    """What is read of the final hidden states, in arrays (see the example above)."""
    columns_of: dict[int, dict[int, int]] = {}  # packed row -> token -> its column
    sequences = [sequence for placed in packed.placements for sequence in placed.reads]
    for row, token in (pair for sequence in sequences for pair in sequence):
        columns = columns_of.setdefault(row, {})
        columns.setdefault(token, len(columns))
    width, at = max(map(len, columns_of.values())), {row: i for i, row in enumerate(columns_of)}
    entries = [[at[row] * width + columns_of[row][token] for row, token in own] for own in sequences]
    longest, end = max(map(len, entries)), width * len(columns_of)
    return {
        "answer rows": np.array([*columns_of]),
        "answer tokens": np.array([[*own, *[0] * (width - len(own))] for own in columns_of.values()]),
        "answer entries": np.array([[*own, *[end] * (longest - len(own))] for own in entries]),
    }


def score_sequences(
    model: Model, arrays: Mapping[Name, Tensor], hidden: Float[Tensor, "pos d_model"]
) -> Float[Tensor, " sequence"]:
    """The log-probabilities of all sequences, one condition after the other, on the device of the unembedding."""
    head, entries = model.anatomy.unembedding, arrays["answer entries"]
    rows = hidden.to(head.weight.device).index_select(0, arrays["answer rows"])
    logprobs = answer_logprobs(
        rows, head.weight, arrays["answer tokens"], bias=head.bias, scale=head.scale, softcap=head.softcap
    )
    return pad(logprobs.flatten(), (0, 1)).index_select(0, entries.flatten()).view(entries.shape).sum(-1)
