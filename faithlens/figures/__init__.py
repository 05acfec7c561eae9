"""What do the results look like: tables in, plotly figures out."""

from faithlens.public import attach_names

__getattr__, __dir__, __all__ = attach_names(__name__, __file__)
