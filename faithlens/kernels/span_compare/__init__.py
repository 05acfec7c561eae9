"""How far two blocks of activations are apart, span by span."""

from faithlens.kernels.span_compare.api import SpanCompare, span_compare

__all__ = ["SpanCompare", "span_compare"]
