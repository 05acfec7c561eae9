"""What is each measure: the catalogue, and the pure functions that compute values from log-probabilities."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
