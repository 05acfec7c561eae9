"""`Capture` says what is kept of a pass besides the answers; `Record` is the result of one condition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from faithlens.errors import PlanError, check_choice, check_type, suggest_names
from faithlens.model.model import Model
from faithlens.plan.condition import ANSWER, COMPONENTS, Component, Condition, Patch, Span
from faithlens.plan.sites import find_place

_READER_FIELDS = ("attention", "flow", "logit_lens", "gradient_flow")


class Site(NamedTuple):
    """Activations of one component in one block, at a piece or at positions.

    Attributes:
        component: which activations, by their TransformerLens name.
        layer: the block, from 0 on.
        span: the name of a piece, or half-open positions.
    """

    component: Component
    layer: int
    span: Span

    @classmethod
    def from_hook_name(cls, hook: str, span: Span, model: Model | None = None) -> "Site":
        """The site that TransformerLens calls `hook`, such as "blocks.3.hook_resid_pre" or "blocks.3.hook_in".

        Args:
            hook: the name of the hook.
            span: the name of a piece, or half-open token positions.
            model: the model, to check that the hook means the same place in it.

        Raises:
            PlanError: there is no such site, the name has no layer, or it means another place in `model`.
        """
        component, layer = find_place(hook, model)
        if layer is None:
            raise PlanError(f"the site {hook!r} has no layer in its name", "Write it as 'blocks.3.hook_resid_pre'.")
        return cls(component, layer, span)


@dataclass(frozen=True)
class Capture:
    """What to read while the model runs; everything is reduced on the device, layer by layer.

    A reader is the name of a piece, or "answer" for the row that predicts the answer (the last token of the stem). If a
    plan has several conditions, each is read at those readers and sites that it has; at least one must have each.

    Attributes:
        attention: readers whose attention to every piece is kept, per layer and head; a piece is read as the mean over
            its tokens.
        flow: readers whose value-weighted attention to every piece is kept: the length of what the piece's values,
            weighted by attention, add to the residual stream through each head (Kobayashi et al. 2020, section 3).
        logit_lens: readers at whose last token the output of every block is read through the final norm and the
            unembedding, as log-probabilities among the first tokens of the options.
        compare: whether to measure how far the block outputs of each condition are from those of its `reference`, piece
            by piece.
        activations: sites whose raw activations are kept.
        divergence: whether to measure how far the next-token distributions of each condition are from those of its
            `reference`, piece by piece.
        attribution: the weights of the options in a metric, which is the weighted sum of their log-probabilities. For
            each token that a `Patch` writes, the gradient of the metric times the step from the row's own value to the
            donor's is kept; the donor is a constant, and equal patches have one sum. At amount 0 this is attribution
            patching (Nanda 2023); averaged over amounts from 0 to 1 it is integrated gradients (Sundararajan et al.
            2017, section 3).
        gradient_flow: readers whose value-weighted attention to every piece is multiplied with the gradient of the
            metric of `attribution` at the output of the head: the contribution of the piece to the metric through each
            head, to first order. Over all pieces it adds up to gradient times output. Conditions must have no edits.

    Raises:
        PlanError: readers that are no sequence of names, or an unknown component.
    """

    attention: tuple[str, ...] = ()
    flow: tuple[str, ...] = ()
    logit_lens: tuple[str, ...] = ()
    compare: bool = False
    activations: tuple[Site, ...] = ()
    divergence: bool = False
    attribution: tuple[float, ...] = ()
    gradient_flow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field_name in _READER_FIELDS:
            if isinstance(getattr(self, field_name), str):
                raise PlanError(
                    f"{field_name} must be a tuple of readers, got the text {getattr(self, field_name)!r}",
                    f"Write {field_name}=({getattr(self, field_name)!r},).",
                )
        for site in self.activations:
            check_choice(site.component, COMPONENTS, "component", PlanError)

    def list_readers(self) -> tuple[str, ...]:
        """The readers of attention, flow and gradient flow, each once."""
        return tuple(dict.fromkeys(self.attention + self.flow + self.gradient_flow))

    def list_sites(self, condition: Condition) -> list[Site]:
        """The sites whose span the condition has."""
        return [s for s in self.activations if isinstance(s.span, tuple) or s.span in condition.spans]

    def locate_readers(self, condition: Condition, readers: Sequence[str] | None = None) -> dict[str, range]:
        """The positions in `condition` of each reader that it has; by default, of the readers of attention."""
        last = len(condition.ids) - 1
        spans = condition.spans | {ANSWER: (last, last + 1)}
        return {name: range(*spans[name]) for name in (self.attention if readers is None else readers) if name in spans}


@dataclass(frozen=True, eq=False, repr=False)
class Record:
    """The result of one condition, in its own positions; pieces have the order of `condition.pieces`.

    Attributes:
        condition: the condition that was run.
        logprobs: log-probability of each option's full token string, in nats.
        attention: for each reader, the fraction of its attention on each piece, 0 to 1.
        flow: for each reader, the length of each piece's contribution to the residual stream.
        logit_lens: for each reader, the log-probabilities of the options among themselves after each block, in nats.
        cosine: mean cosine of block outputs with those of the reference; NaN for pieces that differ in name or length.
        relative_l2: mean distance of block outputs from those of the reference, divided by the length of the latter.
        activations: for each site, the raw activations, one row for each token.
        kl: mean over the tokens of a piece of sum p log(p / q), with p the next-token distribution of the reference and
            q that of the condition, in nats; NaN for pieces that differ in name or length.
        attribution: for each patch, gradient times (donor - own) of each of its tokens, summed over layers, in nats.
        gradient_flow: for each reader, gradient times the contribution of each piece to the head's output, in nats.
    """

    condition: Condition
    logprobs: Float[Tensor, " option"]
    attention: Mapping[str, Float[Tensor, "layer head span"]] = field(default_factory=dict[str, Tensor])
    flow: Mapping[str, Float[Tensor, "layer head span"]] = field(default_factory=dict[str, Tensor])
    logit_lens: Mapping[str, Float[Tensor, "layer option"]] = field(default_factory=dict[str, Tensor])
    cosine: Float[Tensor, "layer span"] | None = None
    relative_l2: Float[Tensor, "layer span"] | None = None
    activations: Mapping[Site, Float[Tensor, "pos d_model"]] = field(default_factory=dict[Site, Tensor])
    kl: Float[Tensor, " span"] | None = None
    attribution: Mapping[Patch, Float[Tensor, " pos"]] = field(default_factory=dict[Patch, Tensor])
    gradient_flow: Mapping[str, Float[Tensor, "layer head span"]] = field(default_factory=dict[str, Tensor])

    def __repr__(self) -> str:
        read = (each.name for each in fields(self) if each.name not in ("condition", "logprobs"))
        filled = [name for name in read if getattr(self, name) is not None and len(getattr(self, name))]
        return f"Record({', '.join([repr(self.condition.name), f'{len(self.logprobs)} options', *filled])})"


def match_pieces(condition: Condition) -> list[tuple[int, tuple[int, int], tuple[int, int]]]:
    """The pieces of equal length that a condition shares with its reference: (number, positions here, and there)."""
    reference = condition.reference
    if reference is None:
        return []
    return [
        (i, here, there)
        for i, (name, here) in enumerate(condition.spans.items())
        if (there := reference.spans.get(name)) is not None and there[1] - there[0] == here[1] - here[0]
    ]


def check_capture(conditions: Sequence[Condition], capture: Capture, n_layers: int) -> None:
    """Refuse what cannot be read of these conditions in a model of `n_layers` layers.

    Raises:
        PlanError: a reader, span or layer that does not exist, weights that are not one for each option, or gradients
            of heads without a metric or under edits.
    """
    check_type(capture, Capture, "what is read", "Write fl.Capture(attention=('answer',)), for example.", PlanError)
    pieces = list(dict.fromkeys(name for condition in conditions for name in condition.spans))
    for field_name in _READER_FIELDS if conditions else ():
        for reader in getattr(capture, field_name):
            if reader not in (ANSWER, *pieces):
                raise PlanError(
                    f"no condition has the reader {reader!r} of {field_name}",
                    f"Name {ANSWER!r} or a piece. {suggest_names(str(reader), (ANSWER, *pieces))}",
                )
    for site in capture.activations:
        if isinstance(site.span, str) and conditions and site.span not in pieces:
            raise PlanError(
                f"no condition has the piece {site.span!r} of an activation site",
                f"Name a piece. {suggest_names(site.span, pieces)}",
            )
        if isinstance(site.span, tuple):
            for condition in conditions:
                condition.locate(site.span)
        if not 0 <= site.layer < n_layers:
            raise PlanError(
                f"a site is in layer {site.layer}, and the model has {n_layers} layers", "Name layers from 0 on."
            )
    for condition in conditions if capture.attribution else ():
        if len(capture.attribution) != len(condition.options):
            raise PlanError(
                f"attribution has {len(capture.attribution)} weights, and condition {condition.name!r} has"
                f" {len(condition.options)} options",
                "Give one weight for each option.",
            )
    if not capture.gradient_flow:
        return
    if not capture.attribution:
        raise PlanError(
            f"the gradient flow of {', '.join(capture.gradient_flow)} needs a metric to take the gradient of",
            "Give the weights of the options in it, as Capture(attribution=...).",
        )
    for condition in conditions:
        if condition.edits:
            raise PlanError(
                f"the gradient flow of condition {condition.name!r} cannot be read: it is edited, and its rows below"
                " the edit are shared with conditions that are not",
                "Read it of a condition without edits.",
            )
