"""The public names of `faithlens.assays`, and where each lives."""

from .assay import Assay, EditingAssay, Records, Score, Setting, StepEdit, TextRequest, WritingAssay
from .battery import ASSAYS, SUITES, CaseResult, get_suite, run_battery
from .cases import ChosenStem, choose_stem, make_cases, sample_chains
from .imported_chains import import_chains
from .one_question import answer_table, attention_table, think

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
    "answer_table",
    "attention_table",
    "choose_stem",
    "get_suite",
    "import_chains",
    "make_cases",
    "run_battery",
    "sample_chains",
    "think",
]
