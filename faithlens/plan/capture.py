"""What to keep of a pass besides the answers, and what comes back for each condition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from jaxtyping import Float
from torch import Tensor

from faithlens.errors import PlanError
from faithlens.plan.condition import Component, Condition, Patch, Span
from faithlens.plan.sites import find_place

if TYPE_CHECKING:
    from faithlens.model.model import Model


class Site(NamedTuple):
    """Activations of one component in one block, at a piece or at positions."""

    component: Component
    layer: int
    span: Span

    @classmethod
    def from_hook_name(cls, hook: str, span: Span, model: "Model | None" = None) -> "Site":
        """The site that TransformerLens calls `hook`, such as "blocks.3.hook_resid_pre" or "blocks.3.hook_in".

        Raises:
            PlanError: there is no such site, no layer in its name, or it is another one in the model of `model`.
        """
        component, layer = find_place(hook, model)
        if layer is None:
            raise PlanError(f"the site {hook!r}", "no layer in its name", "name it as in 'blocks.3.hook_resid_pre'")
        return cls(component, layer, span)


@dataclass(frozen=True)
class Capture:
    """What to read while the model runs; everything is reduced on the device, layer by layer.

    A reader is a piece's name, or "answer": the row that predicts the answer (the stem's last token). A condition
    without that piece is read without it.

    Attributes:
        attention: readers whose attention to every piece is kept, per layer and head; a piece is read as the mean over
            its tokens.
        flow: readers whose value-weighted attention to every piece is kept: the length of what the piece's values,
            weighted by attention, add to the residual stream through each head (Kobayashi et al. 2020, section 3).
        logit_lens: readers at whose last token every block's output is read through the final norm and the unembedding, as
            log-probabilities among the options' first tokens.
        compare: how far each condition's block outputs are from those of its `reference`, piece by piece.
        divergence: how far each condition's next-token distributions are from those of its `reference`, piece by piece.
        activations: sites whose raw activations are kept.
        attribution: weights of the options in a metric, the weighted sum of their log-probabilities. Kept is, for each
            token that a `Patch` writes, the metric's gradient times the step from the row's own value to the donor's:
            at amount 0 attribution patching (Nanda 2023), averaged over amounts from 0 to 1 integrated gradients
            (Sundararajan et al. 2017, section 3).
        gradient_flow: readers whose value-weighted attention to every piece is multiplied with the gradient of the
            metric of `attribution` at what the head gives out: what the piece is worth to the metric through each head,
            to first order. Over all pieces it adds up to gradient times output. Of conditions without edits only.
    """

    attention: tuple[str, ...] = ()
    flow: tuple[str, ...] = ()
    logit_lens: tuple[str, ...] = ()
    compare: bool = False
    activations: tuple[Site, ...] = ()
    divergence: bool = False
    attribution: tuple[float, ...] = ()
    gradient_flow: tuple[str, ...] = ()

    def locate_readers(self, condition: Condition, readers: Sequence[str] | None = None) -> dict[str, range]:
        """The positions of `condition` that each reader stands for; by default, of the readers of attention."""
        last = len(condition.ids) - 1
        spans = condition.spans | {"answer": (last, last + 1)}
        return {name: range(*spans[name]) for name in (self.attention if readers is None else readers) if name in spans}


@dataclass(frozen=True, eq=False)
class Record:
    """What one condition gave, in its own coordinates; pieces in the order of `condition.pieces`.

    Attributes:
        condition: the condition that was run.
        logprobs: log-probability of each option's full token string, in nats.
        attention: for each reader, the fraction of its attention on each piece.
        flow: for each reader, the length of each piece's contribution to the residual stream.
        logit_lens: for each reader, the options' log-probabilities among themselves after each block, in nats.
        cosine: mean cosine of block outputs with the reference's; NaN for pieces that differ in name or length.
        relative_l2: mean distance of block outputs from the reference's, as a fraction of the reference's length.
        activations: for each site, the raw activations, a row a token.
        kl: mean over a piece's tokens of the divergence of the next-token distribution from the reference's, that of
            p log(p / q) with p the reference's, in nats; NaN for pieces that differ in name or length.
        attribution: for each patch, gradient times (donor - own) of each of its tokens, over all its layers, in nats.
        gradient_flow: for each reader, gradient times what each piece adds to the head's output, in nats.
    """

    condition: Condition
    logprobs: Float[Tensor, " option"]
    attention: Mapping[str, Float[Tensor, "layer head span"]] = field(default_factory=dict)
    flow: Mapping[str, Float[Tensor, "layer head span"]] = field(default_factory=dict)
    logit_lens: Mapping[str, Float[Tensor, "layer option"]] = field(default_factory=dict)
    cosine: Float[Tensor, "layer span"] | None = None
    relative_l2: Float[Tensor, "layer span"] | None = None
    activations: Mapping[Site, Float[Tensor, "pos d_model"]] = field(default_factory=dict)
    kl: Float[Tensor, " span"] | None = None
    attribution: Mapping[Patch, Float[Tensor, " pos"]] = field(default_factory=dict)
    gradient_flow: Mapping[str, Float[Tensor, "layer head span"]] = field(default_factory=dict)


def match_pieces(condition: Condition) -> list[tuple[int, tuple[int, int], tuple[int, int]]]:
    """The pieces that a condition and its reference both have, as long: (number, positions here, positions there)."""
    reference = condition.reference
    if reference is None:
        return []
    return [
        (i, here, there)
        for i, (name, here) in enumerate(condition.spans.items())
        if (there := reference.spans.get(name)) is not None and there[1] - there[0] == here[1] - here[0]
    ]


def check_capture(conditions: Sequence[Condition], capture: Capture) -> None:
    """Refuse what cannot be read.

    Raises:
        PlanError: gradients of what heads read, without a metric or under edits.
    """
    if not capture.gradient_flow:
        return
    if not capture.attribution:
        raise PlanError(
            f"the gradient-weighted flow of {', '.join(capture.gradient_flow)}",
            "no metric to take the gradient of",
            "give the options' weights in it, as Capture(attribution=...)",
        )
    for condition in conditions:
        if condition.edits:
            raise PlanError(
                f"the gradient-weighted flow of condition {condition.name!r}",
                "it is edited, and rows below an edit are shared with conditions that are not",
                "read it of a condition without edits",
            )
