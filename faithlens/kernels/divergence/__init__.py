"""How far apart are the next-token distributions of two rows, over the whole vocabulary?"""

from faithlens.kernels.divergence.api import divergence

__all__ = ["divergence"]
