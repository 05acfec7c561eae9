"""What is each measure: the catalogue, and the pure functions that compute values from log-probabilities."""

from faithlens.public import attach_names

__getattr__, __dir__, __all__ = attach_names(__name__, __file__)
