"""How far two ways to compute the same numbers are apart, and how far they may be."""

import torch
from torch import Tensor

SLACK = 4
"""Two ways may differ by this many times the drift of plain transformers between two attention implementations."""


def rms(values: list[Tensor], reference: list[Tensor]) -> float:
    """The root mean square of all differences. Tensors may have any shapes, pairwise the same."""
    gaps = [(a.double().cpu() - b.double().cpu()).flatten() for a, b in zip(values, reference, strict=True)]
    return float(torch.cat(gaps).square().mean().sqrt())
