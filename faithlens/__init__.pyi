"""The public names of faithlens, and where each lives."""

from .assays.assay import Setting
from .assays.battery import run_battery
from .assays.cases import choose_stem, draw_drafts, to_case
from .assays.closeup import answer_table, attention_table, think
from .assays.imported import given_drafts
from .effects.donors import Donors, find_donors
from .effects.flow import GradientFlow, gradient_flow
from .effects.heads import HeadEffects, patch_heads
from .effects.layers import mediate_layers
from .effects.matrix import StepMatrix, suppress_steps
from .effects.paths import Paths, paths
from .effects.probe import Commitment, commitment
from .effects.receivers import ReceiverHeads, receiver_heads
from .effects.result import StepEffects
from .effects.steps import attribute_steps, knockout_steps, patch_steps, splice_steps, swap_steps
from .effects.views import attention_flow, compare, onset, readiness
from .errors import FaithlensError
from .interventions.case import Case
from .interventions.editor import Editor, editor_named
from .interventions.knockout import knock_out, knock_out_steps
from .interventions.rewrite import replace_step
from .interventions.swap import swaps
from .interventions.truncate import cut, cuts, empty_think, full, no_cot
from .runtime.capture import Capture, Record, Site
from .runtime.condition import Ablation, Apply, Condition, Knockout, Patch, Splice
from .runtime.cost import Cost, cost, plan_for
from .runtime.execute import execute
from .runtime.load import load
from .runtime.model import Lens
from .runtime.plan import Plan, compile_plan
from .runtime.sample import Sampling
from .runtime.thinking import Thinking
from .runtime.trace import Piece, Trace
from .stats.agreement import Reliability, agreement, ceiling, split_half
from .store import Run
from .tasks.parse import stated_answer
from .tasks.question import Question, Stem
from .tasks.registry import task
from .tasks.transcripts import Transcript, Transcripts, read_transcripts
from .validation.yours import validate

__all__ = [
    "Ablation",
    "Apply",
    "Capture",
    "Case",
    "Commitment",
    "Condition",
    "Cost",
    "Donors",
    "Editor",
    "FaithlensError",
    "GradientFlow",
    "HeadEffects",
    "Knockout",
    "Lens",
    "Patch",
    "Paths",
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
    "Splice",
    "Stem",
    "StepEffects",
    "StepMatrix",
    "Thinking",
    "Trace",
    "Transcript",
    "Transcripts",
    "agreement",
    "answer_table",
    "attention_flow",
    "attention_table",
    "attribute_steps",
    "ceiling",
    "choose_stem",
    "commitment",
    "compare",
    "compile_plan",
    "cost",
    "cut",
    "cuts",
    "draw_drafts",
    "editor_named",
    "empty_think",
    "execute",
    "find_donors",
    "full",
    "given_drafts",
    "gradient_flow",
    "knock_out",
    "knock_out_steps",
    "knockout_steps",
    "load",
    "mediate_layers",
    "no_cot",
    "onset",
    "patch_heads",
    "patch_steps",
    "paths",
    "plan_for",
    "read_transcripts",
    "readiness",
    "receiver_heads",
    "replace_step",
    "run_battery",
    "splice_steps",
    "split_half",
    "stated_answer",
    "suppress_steps",
    "swap_steps",
    "swaps",
    "task",
    "think",
    "to_case",
    "validate",
]
