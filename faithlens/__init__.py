"""faithlens: does a model's chain of thought drive its answer, and may we rely on reading it?

The public names are listed in `__init__.pyi`; each is imported when it is first used, so that the command line answers
at once and a report can be read without torch.
"""

from faithlens.public import attach_names

__getattr__, __dir__, __all__ = attach_names(__name__, __file__)
