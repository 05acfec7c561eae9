"""The measure catalogue: the one place that says what each measure is called, means, and can be."""

from faithlens.measures.catalogue.measure import (
    ASSAYS,
    HEADINGS,
    SUITES,
    UNITS,
    Askable,
    GateName,
    Kind,
    Level,
    Measure,
    Place,
    Range,
    Shape,
    Unit,
)
from faithlens.measures.catalogue.registry import (
    MEASURES,
    check_value,
    cut_rounding,
    describe_own_measures,
    get_measure,
    list_measures,
    register_measure,
    restore_measures,
)

__all__ = [
    "ASSAYS", "HEADINGS", "MEASURES", "SUITES", "UNITS", "Askable", "GateName", "Kind", "Level", "Measure", "Place",
    "Range", "Shape", "Unit", "check_value", "cut_rounding", "describe_own_measures", "get_measure", "list_measures",
    "register_measure", "restore_measures",
]  # fmt: skip
