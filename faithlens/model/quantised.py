"""Weights that are stored in few bits, such as those of bitsandbytes and torchao: their modules run, their matrices are
not at hand.

A packed pass runs the modules of the model as they are, so answers, edits and most readings need no more. Two things
do: the value-weighted flow reads the matrix of the output projections, and gradients must go through every projection.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from faithlens.errors import ModelError


def is_quantised(weight: object) -> bool:
    """Whether a weight is no plain matrix of numbers: packed into integers, or a tensor of a class of its own."""
    return isinstance(weight, Tensor) and not (type(weight) in (nn.Parameter, Tensor) and weight.is_floating_point())


def list_quantised(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """The projections whose weights are stored in few bits, by name."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and is_quantised(module.weight):
            yield name, module


def check_matrix(name: str, module: nn.Module, purpose: str) -> None:
    """Refuse to read the matrix of a module that is stored in few bits.

    Raises:
        ModelError: with the class of the weight.
    """
    weight = getattr(module, "weight", None)
    if is_quantised(weight):
        raise ModelError(
            f"{purpose} of {name} reads a matrix that is stored in few bits ({describe_storage(module)})",
            "Leave it out, or load the model in 16 or 32 bits.",
        )


def check_gradients(name: str, model: nn.Module) -> None:
    """Refuse gradients where a quantised projection lets none through: they would be 0 without an error.

    One projection of each class is tried with a row of ones.

    Raises:
        ModelError: with the projection.
    """
    tried: set[str] = set()
    for place, module in list_quantised(model):
        storage = describe_storage(module)
        if storage in tried:
            continue
        tried.add(storage)
        device = module.weight.device
        with torch.inference_mode(False), torch.enable_grad():
            row = torch.ones(1, module.in_features, device=device, requires_grad=True)
            out = module(row)
            [gradient] = torch.autograd.grad(out.sum(), row, allow_unused=True) if out.requires_grad else [None]
        if gradient is None or not bool(gradient.any()):
            raise ModelError(
                f"no gradient goes through {place} of {name}, whose weight is stored in few bits ({storage})",
                "Use exact edits, or load the model in 16 or 32 bits.",
            )


def describe_storage(module: nn.Module) -> str:
    """How the weight of a module is stored: the classes of both, and the number format."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    return f"{type(module).__name__}, {type(weight).__name__} of {str(weight.dtype).removeprefix('torch.')}"
