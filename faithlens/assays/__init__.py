"""Which published tests of chain-of-thought faithfulness can be run on a model, and what does each of them score?

One file is one assay: a module with two functions, `conditions` and `score`. Its docstring names the paper and every
deviation from it. `battery` runs several assays together. `assay.Assay` says how to write an assay of your own.
"""

from faithlens.public import attach_names

__getattr__, __dir__, __all__ = attach_names(__name__, __file__)
