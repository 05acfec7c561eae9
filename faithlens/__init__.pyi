"""The public names of faithlens, and where each lives."""

from .assays.assay import Setting
from .assays.battery import run as run_battery
from .assays.cases import choose_stem, draw_drafts, to_case
from .assays.closeup import answer_table, attention_table, think
from .effects.probe import Commitment, commitment
from .effects.receivers import ReceiverHeads, receiver_heads
from .effects.result import StepEffects
from .effects.steps import attribute_steps, knockout_steps, patch_steps, splice_steps
from .effects.views import attention_flow, compare, onset, readiness
from .errors import FaithlensError
from .interventions.case import Case
from .interventions.knockout import knock_out, knock_out_steps
from .interventions.rewrite import replace_step
from .interventions.swap import swaps
from .interventions.truncate import cut, cuts, full, no_cot
from .runtime.capture import Capture, Record, Site
from .runtime.condition import Ablation, Apply, Condition, Knockout, Patch, Splice
from .runtime.cost import Cost, cost, plan_for
from .runtime.execute import execute
from .runtime.load import load
from .runtime.model import Lens
from .runtime.plan import Plan, compile_plan
from .runtime.sample import Sampling
from .runtime.trace import Piece, Trace
from .stats.agreement import Reliability, agreement, ceiling, split_half
from .store import Run
from .tasks.question import Question, Stem
from .tasks.registry import task

__all__ = [
    "Ablation",
    "Apply",
    "Capture",
    "Case",
    "Commitment",
    "Condition",
    "Cost",
    "FaithlensError",
    "Knockout",
    "Lens",
    "Patch",
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
    "Trace",
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
    "execute",
    "full",
    "knock_out",
    "knock_out_steps",
    "knockout_steps",
    "load",
    "no_cot",
    "onset",
    "patch_steps",
    "plan_for",
    "readiness",
    "receiver_heads",
    "replace_step",
    "run_battery",
    "splice_steps",
    "split_half",
    "swaps",
    "task",
    "think",
    "to_case",
]
