"""Which edited versions of a chain of thought can be made: cut, hidden, exchanged, reworded or filled?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
