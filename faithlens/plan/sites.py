"""Names of places in a model: short names, hook names of TransformerLens, and module names of TransformerLens 4."""

from faithlens.errors import PlanError, suggest_names
from faithlens.model.model import Model
from faithlens.plan.condition import COMPONENTS, Component

HOOK_NAMES: dict[Component, str] = {
    "resid_pre": "blocks.{}.hook_resid_pre",
    "attn_out": "blocks.{}.hook_attn_out",
    "mlp_out": "blocks.{}.hook_mlp_out",
    "z": "blocks.{}.attn.hook_z",
    "resid_post": "blocks.{}.hook_resid_post",
}
SHORT_NAMES: dict[str, Component] = {component: component for component in COMPONENTS}
MODULE_NAMES: dict[str, Component] = {"hook_in": "resid_pre", "hook_out": "resid_post", "attn.o.hook_in": "z"}
UNNORMED_NAMES: dict[str, Component] = {"attn.hook_out": "attn_out", "mlp.hook_out": "mlp_out"}


def find_place(name: str, model: Model | None = None) -> tuple[Component, int | None]:
    """The component, and the layer if the name has one: "z", "blocks.3.attn.hook_z" and "blocks.3.attn.o.hook_in".

    The names "attn.hook_out" and "mlp.hook_out" need `model`: only in some models are these outputs added to the
    residual stream without a norm.

    Raises:
        PlanError: there is no such place, or the name means another place in this model.
    """
    head, _, rest = name.partition(".")
    number, _, inner = rest.partition(".")
    layer, inner = (int(number), inner) if head == "blocks" and number.isdigit() else (None, name)
    if inner in UNNORMED_NAMES:
        return _check_unnormed(name, inner, model), layer
    short = inner.removeprefix("attn.").removeprefix("hook_")
    component = MODULE_NAMES.get(inner) or SHORT_NAMES.get(short)
    if component is None:
        known = [
            *COMPONENTS,
            *(hook.partition("{}.")[2] for hook in HOOK_NAMES.values()),
            *MODULE_NAMES,
            *UNNORMED_NAMES,
        ]
        raise PlanError(f"the site {name!r} names no known component", suggest_names(inner, known))
    return component, layer


def _check_unnormed(name: str, inner: str, model: Model | None) -> Component:
    component, usual = UNNORMED_NAMES[inner], HOOK_NAMES[UNNORMED_NAMES[inner]].partition("{}.")[2]
    if model is None:
        raise PlanError(
            f"the site {name!r} needs a model: in some models a norm follows before it is added to the residual stream",
            f"Name it {usual!r}, or pass the model too.",
        )
    first = getattr(model.anatomy, component)[0]
    part = first[-1] if isinstance(first, tuple) else first
    if "norm" in type(part).__name__.lower():
        raise PlanError(
            f"{model.name} norms the output at the site {name!r} before it is added to the residual stream",
            f"Name {usual!r}, which is what is added.",
        )
    return component
