"""The values that patches, ablations and functions write.

1. `compute_new_values` computes the new value of each row from its own value, as the edits before left it, and from the
   sources.
2. For some heads of "z" only, the other heads keep their own values.

For example, rows with the own value u = 1, a donor with v = 5, and sources with the values 0, 2, 4::

    Patch(amount=1.0)      5                 v
    Patch(amount=0.25)     2                 u + 0.25 * (v - u)
    Ablation("zero")       0
    Ablation("mean")       2                 the mean of the sources
    Ablation("noise")      1 + 3 * 1.63 * n  u + scale * standard deviation of the sources * standard normal noise
    Apply(f)               f(1)
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from faithlens.errors import PlanError
from faithlens.plan.condition import Apply, Overwrite, Patch


def compute_new_values(
    edit: Overwrite,
    layer: int,
    own: Float[Tensor, "row d_model"],
    source: Float[Tensor, "source d_model"],
    offsets: Int[Tensor, " row"],
    n_heads: int,
) -> Float[Tensor, "row d_model"]:
    """The new values of rows under `edit`.

    Args:
        edit: the edit.
        layer: the layer, on which noise depends.
        own: the rows' own values; of "z", those of `n_heads` heads side by side.
        source: the donor's values, row by row, or the values that give the mean or the deviation.
        offsets: the rows' positions within the edited span.
        n_heads: the number of heads.
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
    """The result of the user's function for rows.

    Raises:
        PlanError: the result is no tensor of the same shape.
    """
    new = edit.function(own.clone(), offsets)
    if not isinstance(new, Tensor) or new.shape != own.shape:
        raise PlanError(
            f"the function applied to {edit.component!r} at {edit.span!r} must return a tensor of the shape"
            f" {tuple(own.shape)} of its rows, got {tuple(getattr(new, 'shape', ())) or type(new)}",
            "Return a tensor of the same shape.",
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
    """The step of a patch at amount 1, donor minus own: the factor of the gradient in attribution scores."""
    return (compute_new_values(replace(edit, amount=1.0), layer, own, source, offsets, n_heads) - own).detach()
