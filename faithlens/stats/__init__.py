"""How sure are the numbers: intervals over questions, verdicts, comparisons, power, and detection of planted truth."""

from faithlens.public import attach_names

__getattr__, __dir__, __all__ = attach_names(__name__, __file__)
