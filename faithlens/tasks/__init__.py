"""Which questions does a model answer, what are their correct answers, and how is an answer read from text?"""

from faithlens.public import attach_names

__getattr__, __dir__, __all__ = attach_names(__name__, __file__)
