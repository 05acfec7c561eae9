"""The public names of faithlens, and where each lives."""

from . import assays, effects, figures, stats
from .assays.cases import make_cases
from .assays.imported_chains import import_chains
from .assays.one_question import answer_table, attention_table, think
from .commands.audit import audit
from .commands.compare import compare
from .commands.decide import decide
from .commands.validate.run import read_validation
from .commands.validate.user_measure import validate_measure
from .errors import FaithlensError
from .execution.cost import estimate_cost
from .execution.execute import execute
from .execution.sample import Sampling
from .interventions.case import Case
from .interventions.knockout import hide, hide_steps
from .interventions.rewriting import replace_step
from .interventions.swap import make_swaps
from .interventions.truncation import make_full_cot, make_no_cot, truncate, truncate_stepwise
from .measures.catalogue import Measure, get_measure, register_measure
from .model.load import load
from .model.model import Model
from .model.trace import Piece, Trace
from .model.wrap import wrap
from .organisms import ORGANISMS
from .plan.capture import Capture, Record, Site
from .plan.condition import Ablation, Apply, Condition, KeyValuePatch, Knockout, Patch
from .plan.memory import plan_passes
from .store import Run
from .tasks.question import Prompt, Question, Stem
from .tasks.registry import load_task
from .tasks.transcripts import Transcript

__all__ = [
    "ORGANISMS",
    "Ablation",
    "Apply",
    "Capture",
    "Case",
    "Condition",
    "FaithlensError",
    "KeyValuePatch",
    "Knockout",
    "Measure",
    "Model",
    "Patch",
    "Piece",
    "Prompt",
    "Question",
    "Record",
    "Run",
    "Sampling",
    "Site",
    "Stem",
    "Trace",
    "Transcript",
    "answer_table",
    "assays",
    "attention_table",
    "audit",
    "compare",
    "decide",
    "effects",
    "estimate_cost",
    "execute",
    "figures",
    "get_measure",
    "hide",
    "hide_steps",
    "import_chains",
    "load",
    "load_task",
    "make_cases",
    "make_full_cot",
    "make_no_cot",
    "make_swaps",
    "plan_passes",
    "read_validation",
    "register_measure",
    "replace_step",
    "stats",
    "think",
    "truncate",
    "truncate_stepwise",
    "validate_measure",
    "wrap",
]
