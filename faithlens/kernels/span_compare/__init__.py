"""How far apart are rows of activations, and spans of them?"""

from faithlens.kernels.span_compare.api import compare_rows, compare_spans
from faithlens.kernels.span_compare.pooled import SpanComparison, pool_spans

__all__ = ["SpanComparison", "compare_rows", "compare_spans", "pool_spans"]
