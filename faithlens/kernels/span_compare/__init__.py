"""How far apart are two blocks of activations, span by span?"""

from faithlens.kernels.span_compare.api import SpanComparison, compare_spans

__all__ = ["SpanComparison", "compare_spans"]
