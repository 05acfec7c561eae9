"""What readers attend to, pooled by piece, layer by layer.

1. Readers of several conditions that have the same rows and the same pieces before their last row are one reader
   (`Readers`): most conditions share most of their rows.
2. In each layer tree attention returns the mass of the readers' rows, and adds the mean over the rows of each reader to
   one buffer of all layers (`get_readout`, `get_mass`). Below their first layer, originals stand for rows.
3. Flow is measured from the weighted values of each row, and pooled in the same way (`keep_flow`).

For example, the reader "step 0" of a clean condition, and of another in which step 1 is cut: both have the rows 3 and
4, and the pieces prompt [0, 3) and step 0 [3, 5). What comes later is not seen. So there is one reader with two rows,
and both records get its numbers.
"""

import numpy as np
import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from faithlens.execution.geometry import Chunk, Geometry
from faithlens.execution.gradients import Gradients
from faithlens.kernels.tree_attention import Readout
from faithlens.kernels.tree_attention.tree import pool_readers
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.packing import Placement
from faithlens.plan.plan import Plan

Pooled = Float[Tensor, "layer head reader span"]


class Readers:
    """The readers of one pass.

    Attributes:
        numbers: for each condition and reader, by its index and name, the number of the reader.
        rows: the packed rows of each reader.
    """

    def __init__(self, model: Model, plan: Plan, geometry: Geometry, capture: Capture) -> None:
        self.model, self.geometry, self.capture = model, geometry, capture
        self.numbers: dict[tuple[int, str], int] = {}
        self.rows: list[Int[ndarray, " row"]] = []
        self.width = 0  # the most pieces of a condition
        spans, known = list[list[tuple[int, int]]](), dict[object, int]()
        for placed in geometry.packed.placements:
            condition = plan.conditions[placed.index]
            for reader, rows in capture.locate_readers(condition, capture.list_readers()).items():
                self.width = max(self.width, len(condition.pieces))
                own = [span for span in condition.spans.values() if span[0] < rows.stop]  # later pieces are not seen
                key = tuple(placed.path.list_ranges(rows.start, rows.stop)), tuple(own)
                number = self.numbers[placed.index, reader] = known.setdefault(key, len(known))
                if number == len(self.rows):
                    self.rows.append(placed.path[rows.start : rows.stop])
                    spans.append(own)
        padded = [own + [(0, 0)] * (self.width - len(own)) for own in spans]
        self._spans = torch.tensor(padded, dtype=torch.long).reshape(len(spans), self.width, 2)
        self._readers = torch.arange(len(spans)).repeat_interleave(
            torch.tensor([*map(len, self.rows)], dtype=torch.long)
        )
        self._counts = torch.tensor([*map(len, self.rows)], dtype=torch.long)
        self._readouts: dict[object, Readout | None] = {}
        self._buffers: dict[tuple[str, torch.device], Pooled] = {}

    def get_readout(self, layer: int, chunk: Chunk) -> Readout | None:
        """The rows of the chunk that are read in `layer`; made once for all layers with the same rows."""
        if not self.rows:
            return None
        key = self.geometry.count_rows(layer), id(chunk)
        if key not in self._readouts:
            rows = self.geometry.find_holders(np.concatenate(self.rows), layer)
            here = torch.from_numpy(chunk.find(rows)[0])
            flow = bool(self.capture.flow or self.capture.gradient_flow)
            own = torch.from_numpy(rows)[here], self._readers[here]
            self._readouts[key] = Readout(*own, self._spans, self._counts, flow) if len(here) else None
        return self._readouts[key]

    def get_buffer(self, what: str, layer: int, like: Float[Tensor, "head ..."]) -> Float[Tensor, "head reader span"]:
        """The part of a layer in the buffer of all layers, on the device of `like`."""
        key = what, like.device
        if key not in self._buffers:
            dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
            shape = self.model.n_layers, like.shape[0], len(self.rows), self.width
            self._buffers[key] = like.new_zeros(shape, dtype=dtype)
        return self._buffers[key][layer]

    def keep_flow(self, layer: int, readout: Readout, flow: Float[Tensor, "head row span d_head"]) -> None:
        """Add the lengths of what the values of each span add to the stream, as a mean over each reader's rows."""
        pool_readers(self._measure_lengths(layer, flow), readout, self.get_buffer("flow", layer, flow))

    def _measure_lengths(
        self, layer: int, flow: Float[Tensor, "head row span d_head"]
    ) -> Float[Tensor, "head row span"]:
        """The length of the vector that the weighted values of each head add to the residual stream."""
        project = self.model.anatomy.out_proj[layer]
        weight = project.weight
        assert isinstance(weight, Tensor)
        weight = weight if isinstance(project, nn.Linear) else weight.T  # GPT-2 keeps [in, out]
        per_head = rearrange(weight, "d_model (head d_head) -> head d_head d_model", head=flow.shape[0]).float()
        gram = einsum(per_head, per_head, "h a m, h b m -> h a b")
        return einsum(flow.float(), gram, flow.float(), "h r s a, h a b, h r s b -> h r s").clamp_min(0).sqrt()

    def sum_gradient_flow(self, gradients: Gradients) -> None:
        """Put the contribution of each piece to the metric through each head of each reader into the buffer.

        Raises:
            PlanError: several conditions share the rows of a reader.
        """
        for (_, reader), number in self.numbers.items():
            if reader in self.capture.gradient_flow:
                gradients.find_owner(self.rows[number], f"the reader {reader!r}")
        for layer, owner, slope in gradients.list_gates():
            buffer = self.get_buffer("gradient flow", layer, slope)
            buffer.index_add_(1, owner, slope.to(buffer.dtype))

    def list_buffers(self) -> dict[tuple[str, torch.device], Pooled]:
        """The numbers of all layers, by what they are and by device."""
        return self._buffers

    def take_part(
        self, pooled: Pooled | None, placed: Placement, n_pieces: int, readers: tuple[str, ...]
    ) -> dict[str, Tensor]:
        """The part of one condition: [layer, head, span] for each of `readers`."""
        numbers = {reader: self.numbers.get((placed.index, reader)) for reader in readers}
        if pooled is None:
            return {}
        return {
            reader: pooled[:, :, number, :n_pieces].clone() for reader, number in numbers.items() if number is not None
        }
