"""The public names of faithlens, and where each lives."""

from . import assays, effects, figures, interventions, measures, stats, tasks
from .assays.cases import make_cases
from .assays.one_question import answer_table, attention_table, think
from .commands.audit import audit
from .commands.compare import compare
from .commands.decide import decide
from .commands.replicate.run import replicate
from .commands.validate.run import read_validation
from .commands.validate.user_measure import validate_measure
from .errors import FaithlensError
from .execution.cost import estimate_cost
from .execution.execute import execute
from .execution.options import Sampling
from .interventions.case import Case
from .model.load import load
from .model.model import Model
from .model.trace import Piece, Trace
from .model.wrap import wrap
from .organisms import ORGANISMS
from .plan.capture import Capture, Record, Site
from .plan.condition import Ablation, Apply, Condition, KeyValuePatch, Knockout, Patch
from .plan.memory import plan_passes
from .store import Run
from .tasks.registry import load_task

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
    "Model",
    "Patch",
    "Piece",
    "Record",
    "Run",
    "Sampling",
    "Site",
    "Trace",
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
    "interventions",
    "load",
    "load_task",
    "make_cases",
    "measures",
    "plan_passes",
    "read_validation",
    "replicate",
    "stats",
    "tasks",
    "think",
    "validate_measure",
    "wrap",
]
