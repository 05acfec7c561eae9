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
    """Whether a weight is no plain matrix of numbers: integers, 8-bit floats, or a tensor of a class of its own."""
    is_plain = type(weight) in (nn.Parameter, Tensor)
    return isinstance(weight, Tensor) and not (is_plain and weight.is_floating_point() and weight.itemsize > 1)


def list_quantised(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The projections whose weights are stored in few bits, by name, whatever the library calls the weight."""
    for name, module in model.named_modules():
        own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        if isinstance(getattr(module, "in_features", None), int) and any(map(is_quantised, own)):
            yield name, module


def has_matrix(module: nn.Module) -> bool:
    """Whether the weight of a projection can be read as a matrix of numbers."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and not is_quantised(weight)


def check_matrix(name: str, module: nn.Module, purpose: str) -> None:
    """Refuse to read the matrix of a module that is stored in few bits.

    Raises:
        ModelError: with the class of the weight.
    """
    if not has_matrix(module):
        raise ModelError(
            f"{purpose} of {name} reads a matrix that is stored in few bits ({describe_storage(module)})",
            "Leave it out, or load the model in 16 or 32 bits.",
        )


def check_gradients(name: str, model: nn.Module) -> None:
    """Refuse gradients where a quantised projection lets none through: they would be 0 without an error.

    One projection of each class is tried with a row of ones, in the number format of the model.

    Raises:
        ModelError: with the projection.
    """
    tried: set[str] = set()
    formats = (each.dtype for each in model.parameters() if each.is_floating_point() and each.itemsize > 1)
    dtype = next(formats, torch.float32)
    for place, module in list_quantised(model):
        storage = describe_storage(module)
        if storage in tried:
            continue
        tried.add(storage)
        device = next(each.device for each in (*module.parameters(), *module.buffers()))
        with torch.inference_mode(False), torch.enable_grad():
            width = int(module.in_features)  # type: ignore[arg-type]
            row = torch.ones(1, width, dtype=dtype, device=device, requires_grad=True)
            out = module(row)
            [gradient] = torch.autograd.grad(out.sum(), row, allow_unused=True) if out.requires_grad else [None]
        if gradient is None or not bool(gradient.any()):
            raise ModelError(
                f"no gradient goes through {place} of {name}, whose weight is stored in few bits ({storage})",
                "Use exact edits, or load the model in 16 or 32 bits.",
            )


def describe_storage(module: nn.Module) -> str:
    """How a projection is stored: its class, and the class and number format of what is quantised in it."""
    own = [each for each in (*module.parameters(recurse=False), *module.buffers(recurse=False)) if is_quantised(each)]
    formats = dict.fromkeys(f"{type(each).__name__} of {str(each.dtype).removeprefix('torch.')}" for each in own)
    return ", ".join([type(module).__name__, *formats])
