"""What does each row of a packed trie attend to, and how much of its attention falls on each span?"""

from faithlens.kernels.tree_attention.api import tree_attention
from faithlens.kernels.tree_attention.tree import AttentionOutput, Readout, Tree

__all__ = ["AttentionOutput", "Readout", "Tree", "tree_attention"]
