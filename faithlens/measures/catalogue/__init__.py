"""The measure catalogue: the one place that says what each measure is called, means, and can be."""

from faithlens.measures.catalogue.measure import (
    ASSAY_ENTRY_POINTS,
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
    check_assay_name,
    check_value,
    cut_rounding,
    describe_own_measures,
    get_measure,
    list_measures,
    register_measure,
    restore_measures,
)

__all__ = [
    "ASSAYS", "ASSAY_ENTRY_POINTS", "HEADINGS", "MEASURES", "SUITES", "UNITS", "Askable", "GateName", "Kind", "Level",
    "Measure", "Place", "Range", "Shape", "Unit", "check_assay_name", "check_value", "cut_rounding",
    "describe_own_measures", "get_measure", "list_measures", "register_measure", "restore_measures",
]  # fmt: skip
