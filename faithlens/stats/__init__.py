"""How sure are the numbers: intervals over questions, verdicts, comparisons, power, and detection of planted truth."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
