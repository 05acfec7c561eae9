"""How far two blocks of activations are apart, span by span."""

from faithlens.kernels.span_compare.api import SpanComparison, compare_spans

__all__ = ["SpanComparison", "compare_spans"]
