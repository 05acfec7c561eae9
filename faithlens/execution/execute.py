"""Run a plan. Two backends give the same records: `packed`, the product, and `separate`, the reference."""

from typing import Literal, get_args

import torch

from faithlens.errors import ModelError, PlanError, check_choice, translate_errors
from faithlens.execution.exactness import RunPlan, check_exactness, suggest_other_backend
from faithlens.model.finite import make_finite_error
from faithlens.model.model import Model
from faithlens.model.quantised import check_gradients, check_matrix, list_quantised
from faithlens.plan.capture import Capture, Record, check_capture
from faithlens.plan.checks import check_model_fit
from faithlens.plan.plan import Plan

Backend = Literal["packed", "separate"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)


def execute(model: Model, plan: Plan, capture: Capture = Capture(), *, backend: Backend = "packed") -> list[Record]:
    """Run every condition of `plan`; one record for each condition, in the order of the plan.

    Args:
        model: the model that runs.
        plan: the conditions, packed into rows; `plan_passes` makes it.
        capture: what is read besides the log-probabilities of the options.
        backend: "packed" runs each packed row once; "separate" runs one TransformerLens forward for each condition.

    Returns:
        One record for each condition, in the order of the plan.

    Raises:
        ConfigError: an unknown backend.
        PlanError: something that does not exist is edited or read, conditions share rows at which a gradient is taken,
            or the plan does not fit in memory.
        ModelError: the backend is not exact on this model, which is compared with plain transformers at its first use
            (another backend is never chosen in its place); the capture reads what weights in few bits do not give; a
            token is not in the model's vocabulary; its logits are NaN or infinite; or a library raised an exception,
            which is chained.
    """
    check_choice(backend, BACKENDS, "backend")
    _check_plan(plan)
    check_capture(plan.conditions, capture, model.n_layers)
    check_model_fit(model, plan.conditions)
    _check_weights(model, capture)
    for packed in plan.passes:
        model.check_ids(packed.ids.tolist())
    model.check_ids([token for condition in plan.conditions for option in condition.sequences for token in option])
    run = get_backend(backend)
    fix = f"If memory is short, lower the token budget. {suggest_other_backend(backend)}"
    with translate_errors(
        ModelError, f"{model.name} cannot be run by the {backend} backend", fix, calls_functions_of_users=True
    ):
        check_exactness(model, backend, run, plan.longest)
        records = run(model, plan, capture)
    broken = [record.condition for record in records if not torch.isfinite(record.logprobs).all()]
    if broken:
        # In a packed pass NaN reaches rows that do not see its keys (0 x NaN is NaN): an edited condition is the cause.
        condition = max(broken, key=lambda each: bool(each.edits))
        raise make_finite_error(model.name, model.hf_model, condition.ids, f" in the condition {condition.name!r}")
    return records


def _check_weights(model: Model, capture: Capture) -> None:
    """Refuse what cannot be read of weights that are stored in few bits."""
    if capture.flow and any(list_quantised(model.hf_model)):  # not every model has an anatomy
        for project in model.anatomy.out_proj:
            check_matrix(model.name, project, "the value-weighted flow")
    if capture.attribution:
        check_gradients(model.name, model.hf_model)


def _check_plan(plan: object) -> None:
    if not isinstance(plan, Plan):
        raise PlanError(
            f"execute needs a plan, got {type(plan).__name__}",
            "Make one of the conditions: plan_passes(model, conditions).",
        )


def get_backend(backend: Backend) -> RunPlan:
    """The function that runs a plan by a backend, without a check of the model."""
    if backend == "packed":
        from faithlens.execution.packed import run_packed

        return run_packed
    from faithlens.execution.separate import run_separate  # transformer_lens takes seconds to import

    return run_separate
