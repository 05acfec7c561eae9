"""Which questions does a model answer, what are their correct answers, and how is an answer read from text?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
