"""The public names of `faithlens.measures`, and where each lives."""

from .catalogue import MEASURES, Askable, Measure, get_measure, register_measure

__all__ = [
    "MEASURES",
    "Askable",
    "Measure",
    "get_measure",
    "register_measure",
]
