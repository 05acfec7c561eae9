"""The state of a packed row while it runs, shared by blocks, hooks and attention."""

from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from jaxtyping import Int
from torch import Tensor

from faithlens.execution.geometry import Chunk, Geometry
from faithlens.execution.readings import Readings
from faithlens.model.model import Model
from faithlens.plan.packing import PackedPass

KeysValues = dict[int, tuple[Tensor, Tensor]]
"""Keys and values by layer: [kv_head, pos, d_head] each, over all rows of a pass."""


@dataclass
class PackedRun:
    """A packed row while it runs."""

    model: Model
    packed: PackedPass
    readings: Readings
    chunk_rows: int
    layers_attended: set[int] = field(default_factory=set)  # layers whose attention went through the registry
    chunk: Chunk | None = None
    returns_tuples: bool = False  # whether the blocks of the model return tuples
    # of one layer, over all rows: keys, values, and activations that edits need
    buffers: dict[object, Tensor] = field(default_factory=dict)
    # of layers whose keys and values later layers read too
    shared_keys_values: KeysValues = field(default_factory=dict)
    keys_values: KeysValues | None = None  # keys and values of every layer, if the caller keeps them
    geometries: dict[torch.device, Geometry] = field(default_factory=dict)

    def get_geometry(self, device: torch.device) -> Geometry:
        """The geometry on `device`: the layers of a split model are on several devices."""
        if device not in self.geometries:
            chunks = self.model.anatomy.sight.chunks
            self.geometries[device] = Geometry(self.packed, device, self.chunk_rows, chunks)
        return self.geometries[device]

    def store_rows(self, what: object, rows: Int[Tensor, " row"], x: Tensor, dim: int) -> Tensor:
        """Put the values of the chunk's rows into the buffer of all rows, and return the buffer."""
        shape = (*x.shape[:dim], len(self.packed), *x.shape[dim + 1 :])
        key = (what, x.device, shape)  # layers may have heads of different widths
        if key not in self.buffers:
            self.buffers[key] = x.new_empty(shape)
        self.buffers[key] = put_rows(self.buffers[key], dim, rows, x)
        return self.buffers[key]

    def keep_keys_values(self, layer: int, rows: Int[Tensor, " row"], *keys_and_values: Tensor) -> None:
        """Keep the keys and values of the chunk for after the pass, if the caller keeps them."""
        if self.keys_values is None:
            return
        if layer not in self.keys_values:
            whole = (x.new_empty(x.shape[0], len(self.packed), x.shape[2]) for x in keys_and_values)
            self.keys_values[layer] = (next(whole), next(whole))
        for place, x in zip(self.keys_values[layer], keys_and_values, strict=True):
            place[:, rows] = x


CURRENT_RUN: ContextVar[PackedRun] = ContextVar("faithlens_running")


class BlockDone(Exception):
    """Ends a block early, after its attention, for a chunk whose output is not read; `run_chunk` catches it."""


def put_rows(x: Tensor, dim: int, rows: Int[Tensor, " row"], new: Tensor) -> Tensor:
    """`x` with `new` at `rows`: written in place, or into a copy if a gradient may need the old values."""
    return x.index_copy(dim, rows, new) if torch.is_grad_enabled() else x.index_copy_(dim, rows, new)
