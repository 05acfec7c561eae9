"""faithlens: does a model's chain of thought drive its answer, and may we rely on reading it?"""

from faithlens.assays.assay import Setting
from faithlens.assays.battery import run as run_battery
from faithlens.assays.cases import choose_stem, draw_drafts, to_case
from faithlens.assays.closeup import answer_table, attention_table, think
from faithlens.errors import FaithlensError
from faithlens.interventions.case import Case
from faithlens.interventions.knockout import knock_out, knock_out_steps
from faithlens.interventions.rewrite import replace_step
from faithlens.interventions.swap import swaps
from faithlens.interventions.truncate import cut, cuts, full, no_cot
from faithlens.runtime.capture import Capture, Record
from faithlens.runtime.execute import execute
from faithlens.runtime.load import load
from faithlens.runtime.model import Lens
from faithlens.runtime.plan import Condition, Knockout, Plan, compile_plan
from faithlens.runtime.sample import Sampling
from faithlens.runtime.trace import Piece, Trace
from faithlens.store import Run
from faithlens.tasks.question import Question, Stem
from faithlens.tasks.registry import task

__all__ = [
    "Capture",
    "Case",
    "Condition",
    "FaithlensError",
    "Knockout",
    "Lens",
    "Piece",
    "Plan",
    "Question",
    "Record",
    "Run",
    "Sampling",
    "Setting",
    "Stem",
    "Trace",
    "answer_table",
    "attention_table",
    "choose_stem",
    "compile_plan",
    "cut",
    "cuts",
    "draw_drafts",
    "execute",
    "full",
    "knock_out",
    "knock_out_steps",
    "load",
    "no_cot",
    "replace_step",
    "run_battery",
    "swaps",
    "task",
    "think",
    "to_case",
]
