"""The logit lens (nostalgebraist 2020): block outputs read through the final norm and the unembedding, for options.

1. In each layer the rows of all readers are copied into one buffer of all layers (`keep_block`), each row once. Below
   their first layer, originals stand for rows.
2. After the pass, one norm and one product give the logits of all options' first tokens in all layers (`read`).
3. Each reader gets the log-probabilities of its own options among themselves (`list_readings`).

For example, the options "A" and "B" of one condition and "C" of another, one reader each, 2 layers: a buffer of 2 x 2
rows, and a product with 3 rows of the unembedding.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from faithlens.execution.geometry import Geometry, Name
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.plan import Plan
from faithlens.plan.spellings import list_first_tokens

NUMBERS = 1 << 24  # of the buffer that are normed at once: 64 MiB in float32


class LogitLens:
    """The logit lens of one pass."""

    def __init__(self, model: Model, plan: Plan, geometry: Geometry, capture: Capture) -> None:
        self.model, self.plan, self.geometry = model, plan, geometry
        self._readers = [  # index of the condition, reader, and the row at which it is read
            (placed.index, reader, placed.path[rows[-1]])
            for placed in geometry.packed.placements
            for reader, rows in capture.locate_readers(plan.conditions[placed.index], capture.logit_lens).items()
            if len(rows)
        ]
        self._rows = list(dict.fromkeys(row for *_, row in self._readers))
        firsts = [list_first_tokens(plan.conditions[index]) for index in dict.fromkeys(i for i, *_ in self._readers)]
        self._tokens = list(dict.fromkeys(token for options in firsts for own in options for token in own))
        self._names: list[Name] = []  # of the rows in each layer; layers with as many rows have the same
        self._buffers: dict[torch.device, Float[Tensor, "layer row d_model"]] = {}
        for layer in range(geometry.n_layers if self._rows else 0):
            name = "lens", geometry.count_rows(layer)
            self._names.append(name)
            if name not in geometry.arrays:
                geometry.arrays[name] = geometry.find_holders(np.array(self._rows), layer)
        if self._rows:
            geometry.arrays["lens tokens"] = np.array(self._tokens)

    def keep_block(self, layer: int, stream: Float[Tensor, "pos d_model"]) -> None:
        """Copy the rows of a block's output."""
        if not self._rows:
            return
        if stream.device not in self._buffers:
            shape = self.geometry.n_layers, len(self._rows), stream.shape[1]
            self._buffers[stream.device] = stream.new_zeros(shape)
        rows = self.geometry.copy_to(stream.device)[self._names[layer]]
        torch.index_select(stream, 0, rows, out=self._buffers[stream.device][layer])

    @torch.no_grad()
    def read(self) -> Float[Tensor, "layer row choice"] | None:
        """The logits of all options' first tokens, on the device of the unembedding; None if nothing is read."""
        if not self._buffers:
            return None
        norm, head = self.model.anatomy.final_norm, self.model.anatomy.unembedding
        first, *others = self._buffers.values()  # zeros for layers that are on another device
        streams = sum((each.to(first.device) for each in others), first)
        tokens = self.geometry.copy_to(head.weight.device)["lens tokens"]
        weight = head.weight.index_select(0, tokens)
        bias = None if head.bias is None else head.bias.index_select(0, tokens)
        logits = [
            nn.functional.linear(norm(some).to(weight.device), weight, bias)
            for some in streams.flatten(0, 1).split(max(1, NUMBERS // streams.shape[-1]))
        ]
        whole = logits[0] if len(logits) == 1 else torch.cat(logits)
        whole = whole if whole.dtype == torch.float64 else whole.float()
        whole = whole if head.scale == 1 else head.scale * whole
        whole = head.softcap * torch.tanh(whole / head.softcap) if head.softcap else whole
        return whole.view(*streams.shape[:2], len(tokens))

    def list_readings(self, logits: Float[Tensor, "layer row choice"]) -> dict[int, dict[str, Tensor]]:
        """The log-probabilities of the options [layer, option] of each reader of each condition, by its index."""
        row_numbers, columns = ({x: i for i, x in enumerate(own)} for own in (self._rows, self._tokens))
        out: dict[int, dict[str, Tensor]] = {}
        for index, reader, row in self._readers:
            options = list_first_tokens(self.plan.conditions[index])
            at = [columns[token] for own in options for token in own]
            own = logits[:, row_numbers[row]][:, at]
            if len(at) > len(options):
                own = torch.stack([part.logsumexp(-1) for part in own.split([*map(len, options)], -1)], -1)
            out.setdefault(index, {})[reader] = own.log_softmax(-1)
        return out
