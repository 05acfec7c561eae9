"""Writing activations: what patches and ablations put in the place of a row's own."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from faithlens.errors import PlanError
from faithlens.execution.geometry import Geometry
from faithlens.plan.condition import Apply, Component, Overwrite, Patch, is_active
from faithlens.plan.packing import OverwrittenRows


def list_overwrites(
    geometry: Geometry, component: Component, layer: int
) -> Iterator[tuple[OverwrittenRows, Tensor, Tensor]]:
    """What is written in `layer`, first wave first: the writing, its targets, and the rows its values come from."""
    packed = geometry.packed
    wanted = [w for w in packed.overwrites if w.edit.component == component and is_active(w.edit.layers, layer)]
    for writing in sorted(wanted, key=lambda w: packed.waves[w.targets[0]]):
        targets, sources = (torch.tensor(x, device=geometry.device).long() for x in (writing.targets, writing.sources))
        yield writing, targets, geometry.find_holders(sources, layer)


def compute_new_values(
    edit: Overwrite,
    layer: int,
    own: Float[Tensor, "row d_model"],
    source: Float[Tensor, "source d_model"],
    offsets: Int[Tensor, " row"],
    n_heads: int,
) -> Float[Tensor, "row d_model"]:
    """What `edit` makes of rows.

    `source` are the donor's activations, row by row, or those that a mean or deviation is taken over; `offsets` are
    the rows' positions within the edited span. With heads, `own` holds `n_heads` of them side by side.
    """
    if isinstance(edit, Patch):
        new = source if edit.amount == 1 else own + edit.amount * (source - own)
    elif isinstance(edit, Apply):
        new = apply_function(edit, own, offsets)
    elif edit.how == "zero":
        new = torch.zeros_like(own)
    elif edit.how == "mean":
        new = source.mean(0).expand_as(own)
    else:
        drawn = np.random.default_rng((edit.seed, layer)).standard_normal((int(offsets.max()) + 1, own.shape[-1]))
        noise = torch.from_numpy(drawn).to(own)[offsets]
        new = own + edit.scale * source.std(correction=0) * noise
    if edit.heads is None:
        return new
    width = own.shape[-1] // n_heads
    chosen = torch.zeros(n_heads, dtype=torch.bool, device=own.device)
    chosen[list(edit.heads)] = True
    return torch.where(chosen.repeat_interleave(width), new, own)


def apply_function(
    edit: Apply, own: Float[Tensor, "row d_model"], offsets: Int[Tensor, " row"]
) -> Float[Tensor, "row d_model"]:
    """What the user's function makes of rows.

    Raises:
        PlanError: it gives back something else than as many rows.
    """
    new = edit.function(own.clone(), offsets)
    if not isinstance(new, Tensor) or new.shape != own.shape:
        raise PlanError(
            f"the function applied to {edit.component!r} at {edit.span!r}",
            f"given rows of shape {tuple(own.shape)}, it gave back {tuple(getattr(new, 'shape', ())) or type(new)}",
            "give back a tensor of the same shape",
        )
    return new.to(own)


def compute_donor_step(
    edit: Patch,
    layer: int,
    own: Float[Tensor, "row d_model"],
    source: Float[Tensor, "row d_model"],
    offsets: Int[Tensor, " row"],
    n_heads: int,
) -> Float[Tensor, "row d_model"]:
    """All the way that a patch goes or could go: what gradients of its rows are multiplied with."""
    return (compute_new_values(replace(edit, amount=1.0), layer, own, source, offsets, n_heads) - own).detach()
