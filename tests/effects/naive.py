"""The oracle of this wing: TransformerLens run one sequence at a time, hooks and full caches, as in a tutorial."""

from collections.abc import Callable

import torch
from torch import Tensor

from faithlens.model.model import Model
from faithlens.plan.condition import Component, Condition
from faithlens.plan.sites import HOOK_NAMES
from tests.execution.test_edits import pieces

Hook = tuple[str, Callable]
OPTIONS = tuple((token,) for token in range(60, 90))  # many, so that random models answer two traces differently
STEPS = ("step 0", "step 1", "step 2")


def pair(seed: int = 0) -> tuple[Condition, Condition]:
    return Condition("clean", pieces(seed), OPTIONS), Condition("corrupted", pieces(seed + 10), OPTIONS)


def logits(model: Model, ids: tuple[int, ...], hooks: list[Hook] = []) -> Tensor:  # noqa: B006
    """Of every position, by one forward."""
    return model.bridge.run_with_hooks(torch.tensor([ids]), fwd_hooks=hooks)[0]


def answer(model: Model, condition: Condition, hooks: list[Hook] = []) -> Tensor:  # noqa: B006
    """The options' log-probabilities."""
    return logits(model, condition.ids, hooks)[-1].log_softmax(-1)[[option[0] for option in OPTIONS]]


def writing(
    model: Model, source: Condition, component: Component, layer: int, span: slice, head: int | None = None
) -> Hook:
    """A hook that writes the activations of `source` at `span`, of one head or of all."""
    name = HOOK_NAMES[component].format(layer)
    _, cache = model.bridge.run_with_cache(torch.tensor([source.ids]), names_filter=lambda n: n == name)

    def write(x: Tensor, hook: object) -> Tensor:
        x = x.clone()
        if head is None:
            x[:, span] = cache[name][:, span]
        else:
            x[:, span, head] = cache[name][:, span, head]
        return x

    return name, write


def hiding(model: Model, rows: slice, keys: slice) -> list[Hook]:
    """Hooks that hide `keys` from `rows` in all layers."""

    def hide(scores: Tensor, hook: object) -> Tensor:
        scores = scores.clone()
        scores[:, :, rows, keys] = -torch.inf
        return scores

    return [(f"blocks.{layer}.attn.hook_attn_scores", hide) for layer in range(model.n_layers)]
