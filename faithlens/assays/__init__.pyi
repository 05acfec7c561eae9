"""The public names of `faithlens.assays`, and where each lives."""

from .assay import Assay, EditingAssay, Records, Score, Setting, StepEdit, TextRequest, WritingAssay
from .battery import ASSAYS, SUITES, CaseResult, get_suite, run_battery
from .cases import ChosenStem, choose_stem, sample_chains
from .imported_chains import import_chains

__all__ = [
    "ASSAYS",
    "SUITES",
    "Assay",
    "CaseResult",
    "ChosenStem",
    "EditingAssay",
    "Records",
    "Score",
    "Setting",
    "StepEdit",
    "TextRequest",
    "WritingAssay",
    "choose_stem",
    "get_suite",
    "import_chains",
    "run_battery",
    "sample_chains",
]
