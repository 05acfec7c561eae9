"""Run a plan. Two backends give the same records: `packed`, the product, and `separate`, the reference.

The backend `separate` runs each condition by itself. Only where a model has a recurrent state, which cannot be packed,
conditions that differ in nothing but their tokens run from forked states, if the model proves exact so (`forked`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from faithlens.errors import ModelError, PlanError, check_choice, translate_errors
from faithlens.execution.exactness import RunPlan, check_exactness, suggest_other_backend
from faithlens.execution.forked import choose_forked, run_forked
from faithlens.execution.memory import is_short_of_memory
from faithlens.execution.options import BACKEND_CHOICES, BACKENDS, Backend, BackendChoice
from faithlens.model.finite import make_finite_error
from faithlens.model.model import Model
from faithlens.model.quantised import check_gradients, check_matrix, list_quantised
from faithlens.plan.capture import Capture, Record, check_capture
from faithlens.plan.checks import check_model_fit
from faithlens.plan.plan import Plan, compile_plan


def execute(model: Model, plan: Plan, capture: Capture = Capture(), *, backend: Backend = "packed") -> list[Record]:
    """Run every condition of `plan`; one record for each condition, in the order of the plan.

    Args:
        model: the model that runs.
        plan: the conditions, packed into rows; `plan_passes` makes it.
        capture: what is read besides the log-probabilities of the options.
        backend: "packed" runs each packed row once; "separate" runs one TransformerLens forward for each condition, and
            those of a model with a recurrent state from forked states where only tokens differ and that is exact.

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
    return execute_parts(model, plan, capture, backend)[0]


def execute_parts(model: Model, plan: Plan, capture: Capture, backend: Backend) -> tuple[list[Record], "list[Part]"]:
    """The records of `execute`, and the parts in which the plan was run. Raises what `execute` raises."""
    _check_plan(plan)
    check_capture(plan.conditions, capture, model.n_layers)
    check_model_fit(model, plan.conditions)
    _check_weights(model, capture)
    for packed in plan.passes:
        model.check_ids(packed.ids.tolist())
    model.check_ids([token for condition in plan.conditions for option in condition.sequences for token in option])
    fix = f"If memory is short, lower the token budget. {suggest_other_backend(backend)}"
    with translate_errors(
        ModelError, f"{model.name} cannot be run by the {backend} backend", fix, calls_functions_of_users=True
    ):
        by_number: dict[int, Record] = {}
        parts = divide_plan(model, plan, capture, backend)
        for part in parts:
            if not part.is_forked:  # `can_fork` has compared the others
                check_exactness(model, backend, part.run, part.plan.longest)
            by_number |= zip(part.numbers, part.run(model, part.plan, capture), strict=True)
    records = [by_number[i] for i in range(len(plan.conditions))]
    broken = [record.condition for record in records if not torch.isfinite(record.logprobs).all()]
    if broken:
        # In a packed pass NaN reaches rows that do not see its keys (0 x NaN is NaN): an edited condition is the cause.
        condition = max(broken, key=lambda each: bool(each.edits))
        raise make_finite_error(model.name, model.hf_model, condition.ids, f" in the condition {condition.name!r}")
    return records, parts


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


def choose_backend(model: Model, choice: BackendChoice) -> Backend:
    """The backend for a model: `choice`; for "auto" the first of `BACKENDS` that is exact on it.

    What is exact on short sequences may not be on longer ones; `execute` compares the backend with plain transformers
    again before these, and then raises an error.

    Raises:
        ConfigError: there is no such backend.
        ModelError: neither backend is exact on this model.
    """
    check_choice(choice, BACKEND_CHOICES, "backend")
    if choice != "auto":
        return choice
    reasons = dict[str, str]()
    for backend in BACKENDS:
        try:
            check_exactness(model, backend, get_backend(backend), longest=1)
        except ModelError as error:
            if is_short_of_memory(error):
                raise
            reasons[backend] = error.problem
        else:
            return backend
    raise ModelError(
        f"no backend is exact on {model.name}; " + "; ".join(f"{name}: {reason}" for name, reason in reasons.items()),
        "Use another model: docs/architectures.md lists what works.",
    )


@dataclass(frozen=True)
class Part:
    """Conditions of a plan that run in the same way.

    Attributes:
        numbers: their numbers in the plan.
        plan: the plan of these conditions.
        run: what runs it.
        passes: the packed rows, trees of tokens or single sequences that are run.
        rows: the tokens in them, without those of the donors of edits if conditions run by themselves.
        is_forked: whether they run from forked states.
    """

    numbers: Sequence[int]
    plan: Plan
    run: RunPlan
    passes: int
    rows: int
    is_forked: bool = False


def divide_plan(model: Model, plan: Plan, capture: Capture, backend: Backend) -> list[Part]:
    """How a backend runs a plan: at most two parts, together with all conditions."""
    run, everything = get_backend(backend), range(len(plan.conditions))
    if backend == "packed":
        return [Part(everything, plan, run, len(plan.passes), plan.tokens)]
    forked, parts = choose_forked(model, plan, capture), list[Part]()
    alone = [i for i in everything if i not in {*forked}]
    if forked:
        own = tuple(plan.conditions[i] for i in forked)
        tree = compile_plan(
            [condition.unedited for condition in own], model.structure, scaling_lengths=model.scaling_lengths
        )
        tree = replace(tree, conditions=own)
        parts.append(Part(forked, tree, run_forked, len(tree.passes), tree.tokens, is_forked=True))
    if alone or not forked:
        own = tuple(plan.conditions[i] for i in alone)
        sequences = [condition.n_tokens + len(tail) for condition in own for tail in condition.tails]
        parts.append(Part(alone, replace(plan, conditions=own, passes=()), run, len(sequences), sum(sequences)))
    return parts


def count_rows(model: Model, plan: Plan, capture: Capture, backend: Backend) -> int:
    """The tokens that a backend runs the model on for a plan; see `Part.rows`."""
    return sum(part.rows for part in divide_plan(model, plan, capture, backend))
