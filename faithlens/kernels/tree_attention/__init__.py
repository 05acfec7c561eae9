"""Attention over a packed trie, returning output and span-pooled mass."""

from faithlens.kernels.tree_attention.api import tree_attention
from faithlens.kernels.tree_attention.tree import AttentionOutput, Readout, Tree

__all__ = ["AttentionOutput", "Readout", "Tree", "tree_attention"]
