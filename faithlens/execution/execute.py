"""Run a plan. Two backends give the same records: `packed`, the product, and `separate`, the reference."""

from typing import Literal, get_args

from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record, check_capture
from faithlens.plan.plan import Plan

Backend = Literal["packed", "separate"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)


def execute(model: Model, plan: Plan, capture: Capture = Capture(), *, backend: Backend = "packed") -> list[Record]:
    """Run every condition of `plan`; one record a condition, in the plan's order and its own coordinates.

    Raises:
        PlanError: gradients of a patch of several layers are asked for, or the plan does not fit in memory.
        ModelError: the model cannot be packed exactly (named, with the reason); `separate` never is chosen silently.
    """
    check_capture(plan.conditions, capture)
    if backend == "packed":
        from faithlens.execution.packed import run_packed as run
    else:
        from faithlens.execution.separate import run_separate as run  # transformer_lens takes seconds to import
    return run(model, plan, capture)
