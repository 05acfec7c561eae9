"""The public names of faithlens, and where each lives."""

from .assays.assay import Setting
from .assays.battery import run_battery
from .assays.cases import choose_stem, make_cases, sample_chains
from .assays.imported_chains import import_chains
from .assays.one_question import answer_table, attention_table, think
from .commands.validate.user_measure import validate_measure
from .effects.commitment import Commitment, probe_commitment
from .effects.donors import Donors, find_donors
from .effects.gradient_flow import GradientFlow, measure_gradient_flow
from .effects.heads import HeadEffects, head_effects
from .effects.layers import layer_effects
from .effects.paths import PathEffects, path_effects
from .effects.receivers import ReceiverHeads, find_receiver_heads
from .effects.step_effects import StepEffects
from .effects.steps import attribution_effects, key_value_effects, knockout_effects, patch_effects, swap_effects
from .effects.suppression import StepMatrix, suppression_effects
from .effects.views import compare_activations, find_onset, measure_attention_flow, measure_readiness
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
from .model.load import load
from .model.model import Model
from .model.thinking import Thinking
from .model.trace import Piece, Trace
from .model.wrap import wrap
from .plan.capture import Capture, Record, Site
from .plan.condition import Ablation, Apply, Condition, KeyValuePatch, Knockout, Patch
from .plan.memory import plan_passes
from .plan.plan import Plan, compile_plan
from .stats.agreement import Reliability, compute_rank_agreement, compute_correlation_ceiling, compute_reliability
from .store import Run
from .tasks.answer_parsing import parse_answer
from .tasks.question import Question, Stem
from .tasks.registry import load_task
from .tasks.transcripts import Transcript, TranscriptTask, read_transcripts

__all__ = [
    "Ablation",
    "Apply",
    "Capture",
    "Case",
    "Commitment",
    "Condition",
    "Donors",
    "Editor",
    "FailedChain",
    "FaithlensError",
    "GradientFlow",
    "HeadEffects",
    "KeyValuePatch",
    "Knockout",
    "Model",
    "Patch",
    "PathEffects",
    "Piece",
    "Plan",
    "PlanCost",
    "Question",
    "ReceiverHeads",
    "Record",
    "Reliability",
    "Run",
    "Sampling",
    "Setting",
    "Site",
    "Stem",
    "StepEffects",
    "StepMatrix",
    "Thinking",
    "Trace",
    "Transcript",
    "TranscriptTask",
    "compute_rank_agreement",
    "answer_table",
    "attention_table",
    "attribution_effects",
    "compute_correlation_ceiling",
    "choose_stem",
    "compare_activations",
    "compile_plan",
    "estimate_cost",
    "execute",
    "find_donors",
    "find_onset",
    "find_receiver_heads",
    "head_effects",
    "hide",
    "hide_steps",
    "import_chains",
    "key_value_effects",
    "knockout_effects",
    "layer_effects",
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
    "measure_attention_flow",
    "measure_gradient_flow",
    "measure_readiness",
    "parse_answer",
    "patch_effects",
    "path_effects",
    "plan_passes",
    "probe_commitment",
    "read_transcripts",
    "replace_step",
    "run_battery",
    "sample_chains",
    "compute_reliability",
    "suppression_effects",
    "swap_effects",
    "think",
    "truncate",
    "truncate_stepwise",
    "validate_measure",
    "wrap",
]
