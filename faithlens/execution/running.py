"""The state of a packed row while it runs, shared by blocks, hooks and attention."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor

from faithlens.execution.geometry import Chunk, Geometry, Name
from faithlens.execution.readings import Readings
from faithlens.model.model import Model
from faithlens.plan.packing import PackedPass

KeysValues = dict[int, tuple[Tensor, Tensor]]
"""Keys and values by layer: [kv_head, pos, d_head] each, over all rows of a pass."""


@dataclass
class PackedRun:
    """A packed row while it runs.

    Attributes:
        model: the model that runs.
        packed: the packed row.
        geometry: which rows run together, and which see which.
        readings: what the capture reads.
        layers_attended: the layers whose attention went through the registry.
        chunk: the chunk that runs now.
        returns_tuples: whether the blocks of the model return tuples.
        buffers: keys, values and activations that edits need, of one layer, over all rows.
        shared_keys_values: keys and values of the layers that later layers read too.
        keys_values: keys and values of every layer; None if the caller does not keep them.
    """

    model: Model
    packed: PackedPass
    geometry: Geometry
    readings: Readings
    layers_attended: set[int] = field(default_factory=set)
    chunk: Chunk | None = None
    returns_tuples: bool = False
    buffers: dict[object, Tensor] = field(default_factory=dict)
    shared_keys_values: KeysValues = field(default_factory=dict)
    keys_values: KeysValues | None = None

    def copy_to(self, device: torch.device) -> Mapping[Name, Tensor]:
        """The numbers of rows on `device`: the layers of a split model are on several devices."""
        return self.geometry.copy_to(device)

    def get_chunk(self) -> Chunk:
        """The chunk that runs now."""
        assert self.chunk is not None
        return self.chunk

    def store_rows(self, what: object, x: Tensor, dim: int) -> Tensor:
        """The values of all rows, after those of the chunk are put into their places; `x` if these are all."""
        chunk = self.get_chunk()
        if chunk.is_whole:
            return x
        shape = (*x.shape[:dim], len(self.packed), *x.shape[dim + 1 :])
        key = (what, x.device, shape)  # layers may have heads of different widths
        if key not in self.buffers:
            self.buffers[key] = x.new_empty(shape)
        self.put_chunk(self.buffers[key], dim, x)
        return self.buffers[key]

    def put_chunk(self, whole: Tensor, dim: int, x: Tensor) -> None:
        """Put the values of the chunk's rows into those of all rows, in place."""
        chunk = self.get_chunk()
        if isinstance(chunk.rows, range):
            whole.narrow(dim, chunk.rows.start, len(chunk.rows)).copy_(x)
        else:
            whole.index_copy_(dim, self.copy_to(x.device)[chunk.name], x)

    def take_chunk(self, x: Tensor, dim: int) -> Tensor:
        """The values of the chunk's rows, of those of all rows."""
        chunk = self.get_chunk()
        if isinstance(chunk.rows, range):
            return x.narrow(dim, chunk.rows.start, len(chunk.rows))
        return x.index_select(dim, self.copy_to(x.device)[chunk.name])

    def keep_keys_values(self, layer: int, *keys_and_values: Tensor) -> None:
        """Keep the keys and values of the chunk for after the pass, if the caller keeps them."""
        if self.keys_values is None:
            return
        if self.get_chunk().is_whole:
            self.keys_values[layer] = (keys_and_values[0], keys_and_values[1])
            return
        if layer not in self.keys_values:
            whole = (x.new_empty(x.shape[0], len(self.packed), x.shape[2]) for x in keys_and_values)
            self.keys_values[layer] = (next(whole), next(whole))
        for place, x in zip(self.keys_values[layer], keys_and_values, strict=True):
            self.put_chunk(place, 1, x)


CURRENT_RUN: ContextVar[PackedRun] = ContextVar("faithlens_running")


class BlockDone(Exception):
    """Ends a block early, after its attention, for a chunk whose output is not read; `run_chunk` catches it."""


def put_rows(x: Tensor, rows: Tensor, new: Tensor) -> Tensor:
    """`x` [batch, row, ...] with `new` at `rows`: in place, or in a copy if a gradient may need the old values."""
    return x.index_copy(1, rows, new) if torch.is_grad_enabled() else x.index_copy_(1, rows, new)
