"""Which edited versions of a chain of thought can be made: cut, hidden, exchanged, reworded or filled?"""

from faithlens.public import attach_names

__getattr__, __dir__, __all__ = attach_names(__name__, __file__)
