"""The public names of faithlens, and where each lives."""

from . import assays, effects, figures, stats
from .assays.cases import make_cases
from .assays.imported_chains import import_chains
from .assays.one_question import answer_table, attention_table, think
from .commands.validate.run import read_validation
from .commands.validate.user_measure import validate_measure
from .errors import FaithlensError
from .execution.cost import PlanCost, estimate_cost
from .execution.execute import execute
from .execution.sample import Sampling
from .interventions.case import Case, FailedChain, make_case
from .interventions.editor import Editor, load_editor
from .interventions.knockout import hide, hide_steps
from .interventions.prompt_pieces import make_question_piece
from .interventions.rewriting import replace_step
from .interventions.swap import make_swaps
from .interventions.truncation import make_empty_think, make_full_cot, make_no_cot, truncate, truncate_stepwise
from .measures.catalogue import Measure, get_measure, list_measures, register_measure
from .model.load import load
from .model.model import Model
from .model.thinking import Thinking
from .model.trace import Piece, Trace
from .model.wrap import wrap
from .organisms import ORGANISMS
from .plan.capture import Capture, Record, Site
from .plan.condition import Ablation, Apply, Condition, KeyValuePatch, Knockout, Patch
from .plan.memory import plan_passes
from .plan.plan import Plan, compile_plan
from .store import Run
from .tasks.answer_parsing import parse_answer
from .tasks.question import Prompt, Question, Stem
from .tasks.registry import load_task
from .tasks.transcripts import Transcript, TranscriptTask, read_transcripts

__all__ = [
    "Ablation",
    "Apply",
    "Capture",
    "Case",
    "Condition",
    "Editor",
    "FailedChain",
    "FaithlensError",
    "KeyValuePatch",
    "Knockout",
    "Measure",
    "Model",
    "ORGANISMS",
    "Patch",
    "Piece",
    "Plan",
    "PlanCost",
    "Prompt",
    "Question",
    "Record",
    "Run",
    "Sampling",
    "Site",
    "Stem",
    "Thinking",
    "Trace",
    "Transcript",
    "TranscriptTask",
    "answer_table",
    "assays",
    "attention_table",
    "compile_plan",
    "effects",
    "estimate_cost",
    "execute",
    "figures",
    "get_measure",
    "hide",
    "hide_steps",
    "import_chains",
    "list_measures",
    "load",
    "load_editor",
    "load_task",
    "make_case",
    "make_cases",
    "make_empty_think",
    "make_full_cot",
    "make_no_cot",
    "make_question_piece",
    "make_swaps",
    "parse_answer",
    "plan_passes",
    "read_transcripts",
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
