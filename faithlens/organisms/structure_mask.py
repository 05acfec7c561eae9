"""The attention mask of a structure for whole batches, for training. `Structure.hidden` is the same for one row."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from faithlens.model.structure import Structure


def compute_visible(structure: Structure, ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos pos"]:
    """Whether each token may attend to each token: itself and earlier ones, without the forbidden edges."""
    names = ["question", *(name for name, _ in structure.sections)]
    section = torch.zeros_like(ids)
    position = torch.arange(ids.shape[1]).expand_as(ids)
    opened = torch.full_like(ids, -1)
    for number, (_, token) in enumerate(structure.sections, start=1):
        here = torch.where(ids == token, position, -1).cummax(1).values
        section, opened = torch.where(here > opened, number, section), torch.maximum(here, opened)
    edges = torch.ones(len(names), len(names), dtype=torch.bool)
    for reader, read in structure.forbidden:
        edges[names.index(reader), names.index(read)] = False
    allowed = edges[section[:, :, None], section[:, None, :]]
    return allowed & (position[:, :, None] >= position[:, None, :])


def make_attention_mask(structure: Structure, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch 1 pos pos"]:
    """The additive mask of a batch. Hugging Face models accept it with eager and with fused attention."""
    seen = compute_visible(structure, ids)[:, None]
    return torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
