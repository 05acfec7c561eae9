"""How far two rows' next-token distributions are apart, over the whole vocabulary."""

from faithlens.kernels.divergence.api import Divergence, divergence

__all__ = ["Divergence", "divergence"]
