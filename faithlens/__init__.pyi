"""The public names of faithlens, and where each lives."""

from .assays.assay import Setting
from .assays.battery import run_battery
from .assays.cases import choose_stem, draw_drafts, to_case
from .assays.closeup import answer_table, attention_table, think
from .assays.imported import given_drafts
from .effects.donors import Donors, find_donors
from .effects.flow import GradientFlow, measure_gradient_flow
from .effects.heads import HeadEffects, head_effects
from .effects.layers import layer_effects
from .effects.matrix import StepMatrix, suppression_effects
from .effects.paths import PathEffects, path_effects
from .effects.probe import Commitment, probe_commitment
from .effects.receivers import ReceiverHeads, find_receiver_heads
from .effects.result import StepEffects
from .effects.steps import attribution_effects, knockout_effects, patch_effects, key_value_effects, swap_effects
from .effects.views import measure_attention_flow, compare_activations, find_onset, measure_readiness
from .errors import FaithlensError
from .interventions.case import Case
from .interventions.editor import Editor, load_editor
from .interventions.knockout import hide, hide_steps
from .interventions.rewrite import replace_step
from .interventions.swap import make_swaps
from .interventions.truncate import truncate, truncate_stepwise, make_empty_think, make_full_cot, make_no_cot
from .runtime.capture import Capture, Record, Site
from .runtime.condition import Ablation, Apply, Condition, Knockout, Patch, KeyValuePatch
from .runtime.cost import PlanCost, estimate_cost, plan_passes
from .runtime.execute import run_plan
from .runtime.load import load
from .runtime.model import Model
from .runtime.plan import Plan, compile_plan
from .runtime.sample import Sampling
from .runtime.thinking import Thinking
from .runtime.trace import Piece, Trace
from .stats.agreement import Reliability, agreement, ceiling, split_half
from .store import Run
from .tasks.parse import parse_answer
from .tasks.question import Question, Stem
from .tasks.registry import load_task
from .tasks.transcripts import Transcript, TranscriptTask, read_transcripts
from .validation.yours import validate_measure

__all__ = [
    "Ablation",
    "Apply",
    "Capture",
    "Case",
    "Commitment",
    "Condition",
    "PlanCost",
    "Donors",
    "Editor",
    "FaithlensError",
    "GradientFlow",
    "HeadEffects",
    "Knockout",
    "Model",
    "Patch",
    "PathEffects",
    "Piece",
    "Plan",
    "Question",
    "ReceiverHeads",
    "Record",
    "Reliability",
    "Run",
    "Sampling",
    "Setting",
    "Site",
    "KeyValuePatch",
    "Stem",
    "StepEffects",
    "StepMatrix",
    "Thinking",
    "Trace",
    "Transcript",
    "TranscriptTask",
    "agreement",
    "answer_table",
    "measure_attention_flow",
    "attention_table",
    "attribution_effects",
    "ceiling",
    "choose_stem",
    "probe_commitment",
    "compare_activations",
    "compile_plan",
    "estimate_cost",
    "truncate",
    "truncate_stepwise",
    "draw_drafts",
    "load_editor",
    "make_empty_think",
    "run_plan",
    "find_donors",
    "make_full_cot",
    "given_drafts",
    "measure_gradient_flow",
    "hide",
    "hide_steps",
    "knockout_effects",
    "load",
    "layer_effects",
    "make_no_cot",
    "find_onset",
    "head_effects",
    "patch_effects",
    "path_effects",
    "plan_passes",
    "read_transcripts",
    "measure_readiness",
    "find_receiver_heads",
    "replace_step",
    "run_battery",
    "key_value_effects",
    "split_half",
    "parse_answer",
    "suppression_effects",
    "swap_effects",
    "make_swaps",
    "load_task",
    "think",
    "to_case",
    "validate_measure",
]
