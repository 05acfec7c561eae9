"""Which steps does the answer look at? Conditions that hide parts of the trace from the answer rows."""

from faithlens.interventions.case import Case, check_case
from faithlens.model.structure import Interval
from faithlens.plan.condition import Condition, Knockout


def hide(case: Case, name: str, hidden: tuple[str | Interval, ...]) -> Condition:
    """The whole trace, with `hidden` invisible to the answer rows in every layer (Geva et al. 2023, section 3).

    Args:
        case: the case.
        name: the name of the condition.
        hidden: names of pieces, or half-open token positions.

    Returns:
        The condition.

    Raises:
        PlanError: `hidden` is a single name.
        TraceError: not a case, or it has no stem.
    """
    check_case(case)
    return case.make_condition(name, case.trace.pieces, (Knockout("answer", hidden),))


def hide_steps(case: Case) -> list[Condition]:
    """One condition for each step, which hides this step from the answer rows: "knockout:step 0" and so on.

    Args:
        case: the case.

    Returns:
        The conditions, in the order of the steps.

    Raises:
        TraceError: not a case, or it has no stem.
    """
    check_case(case)
    return [hide(case, f"knockout:{step.name}", (step.name,)) for step in case.trace.steps]
