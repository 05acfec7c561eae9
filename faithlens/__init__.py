"""faithlens: does a model's chain of thought drive its answer, and may we rely on reading it?

The public names are listed in `__init__.pyi`; each is imported when it is first used, so that the command line answers
at once and a report can be read without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
