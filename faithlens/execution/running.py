"""A packed row in flight: what its blocks, hooks and attention need of one another while it runs."""

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
    """The packed row in flight."""

    model: Model
    packed: PackedPass
    readings: Readings
    chunk_rows: int
    layers_attended: set[int] = field(default_factory=set)  # those whose attention went through the registry
    chunk: Chunk | None = None
    returns_tuples: bool = False  # whether the model's blocks give back tuples
    # one layer's, over all rows: keys, values, what is written
    buffers: dict[object, Tensor] = field(default_factory=dict)
    keys_values: KeysValues | None = None  # every layer's keys and values, where they are asked for
    geometries: dict[torch.device, Geometry] = field(default_factory=dict)

    def get_geometry(self, device: torch.device) -> Geometry:
        """The pass on `device`: the layers of a split model lie on several."""
        if device not in self.geometries:
            self.geometries[device] = Geometry(self.packed, device, self.chunk_rows)
        return self.geometries[device]

    def store_rows(self, what: object, rows: Int[Tensor, " row"], x: Tensor, dim: int) -> Tensor:
        """Put the chunk's part of something into its place among all rows; give back all of it there is so far."""
        key = (what, x.device)
        if key not in self.buffers:
            shape = list(x.shape)
            shape[dim] = len(self.packed.ids)
            self.buffers[key] = x.new_empty(shape)
        self.buffers[key] = put_rows(self.buffers[key], dim, rows, x)
        return self.buffers[key]

    def keep_keys_values(self, layer: int, rows: Int[Tensor, " row"], *keys_and_values: Tensor) -> None:
        """Where they are asked for, keep the chunk's keys and values beyond their layer."""
        if self.keys_values is None:
            return
        if layer not in self.keys_values:
            whole = (x.new_empty(x.shape[0], len(self.packed.ids), x.shape[2]) for x in keys_and_values)
            self.keys_values[layer] = (next(whole), next(whole))
        for place, x in zip(self.keys_values[layer], keys_and_values, strict=True):
            place[:, rows] = x


CURRENT_RUN: ContextVar[PackedRun] = ContextVar("faithlens_running")


class BlockDone(Exception):
    """Raised where a block has done all that its chunk is run for; `run_chunk` catches it."""


def put_rows(x: Tensor, dim: int, rows: Int[Tensor, " row"], new: Tensor) -> Tensor:
    """`x` with `new` at `rows`: in place, unless a gradient needs what was there."""
    return x.index_copy(dim, rows, new) if torch.is_grad_enabled() else x.index_copy_(dim, rows, new)
