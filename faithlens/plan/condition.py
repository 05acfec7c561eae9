"""Conditions: edited versions of a trace, and the edits of the pass that they may ask for.

A condition is a list of named pieces. Editing tokens means listing other pieces. Editing the pass itself is one of
five things: a `Knockout` cuts attention edges, a `KeyValuePatch` has rows read another condition's keys and values, a `Patch`
writes another condition's activations, an `Ablation` writes zeros, a mean or noise, an `Apply` whatever you like.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Literal, NamedTuple, get_args

from torch import Tensor

from faithlens.errors import PlanError
from faithlens.model.structure import Interval, Structure
from faithlens.model.trace import Piece

Component = Literal["resid_pre", "attn_out", "mlp_out", "z", "resid_post"]  # TransformerLens' short names
COMPONENTS: tuple[Component, ...] = get_args(Component)
Span = str | Interval  # a piece's name, or positions as a half-open interval
Layers = tuple[int, ...] | None  # None: all


def is_active(layers: Layers, layer: int) -> bool:
    """Whether an edit of `layers` acts in `layer`."""
    return layers is None or layer in layers


@dataclass(frozen=True)
class Knockout:
    """Cut every attention edge from the rows of piece `reader` to what `read` names.

    The last piece as reader stands for all answer rows: its own tokens and those of the options after it.
    """

    reader: str
    read: tuple[Span, ...]
    layers: Layers = None


@dataclass(frozen=True)
class KeyValuePatch:
    """The rows of piece `reader` read the keys and values of `donor` at the positions that `read` names.

    Both conditions have `read` at the same positions. The last piece as reader stands for all answer rows.
    """

    reader: str
    read: Span
    donor: "Condition"
    layers: Layers = None


@dataclass(frozen=True)
class Patch:
    """At `span`, replace the activations of `component` by those of `donor` at its own `span` (or at `at`).

    Attributes:
        component: which activations, by their TransformerLens name.
        span: which rows are written.
        donor: whose activations are written; it may be edited itself, and of another trace.
        layers: in which blocks.
        heads: of component "z", which heads; None for all.
        at: where the donor is read, if not at `span`; as many tokens.
        amount: 1 writes the donor's value; less, the point that far on the way to it from the row's own value.
    """

    component: Component
    span: Span
    donor: "Condition"
    layers: Layers = None
    heads: tuple[int, ...] | None = None
    at: Span | None = None
    amount: float = 1.0


@dataclass(frozen=True)
class Ablation:
    """At `span`, replace the activations of `component` by zeros or by a mean, or add noise to them.

    Attributes:
        component: which activations, by their TransformerLens name.
        span: which rows are written.
        how: "zero"; "mean", over all tokens of `over`; "noise", which adds to the rows' own values normal noise whose
            standard deviation is `scale` times that of `over` (Meng et al. 2022, section 2.1, use 3).
        layers: in which blocks.
        heads: of component "z", which heads; None for all.
        over: the conditions that mean and deviation are taken over; none stands for this condition without edits.
        scale: the noise's standard deviation, in those of `over`.
        seed: of the noise, which depends on seed, layer and position within `span` only.
    """

    component: Component
    span: Span
    how: Literal["zero", "mean", "noise"]
    layers: Layers = None
    heads: tuple[int, ...] | None = None
    over: tuple["Condition", ...] = ()
    scale: float = 3.0
    seed: int = 0


@dataclass(frozen=True)
class Apply:
    """At `span`, replace the activations of `component` by what a function of your own makes of them.

    Attributes:
        component: which activations, by their TransformerLens name.
        span: which rows are written.
        function: of activations [row, d_model] (of "z", all heads side by side) and the rows' positions within `span`;
            gives back as many. It may get the rows in several calls, and equal edits of several conditions in one, so
            it treats each row by itself. Conditions with equal functions are equal: define one once, not in a loop.
        layers: in which blocks.
        heads: of component "z", which heads are written; None for all.
    """

    component: Component
    span: Span
    function: Callable[[Tensor, Tensor], Tensor]
    layers: Layers = None
    heads: tuple[int, ...] | None = None


Edit = Knockout | KeyValuePatch | Patch | Ablation | Apply
Overwrite = Patch | Ablation | Apply


def list_averaged(edit: Ablation | Apply) -> tuple["Condition", ...]:
    """The conditions over whose tokens an edit takes a mean or a deviation."""
    return edit.over if isinstance(edit, Ablation) and edit.how != "zero" else ()


class Cut(NamedTuple):
    """A row may not see the positions `start .. stop - 1` of its own sequence in `layers`."""

    layers: Layers
    start: int
    stop: int


class Graft(NamedTuple):
    """A row sees, at the positions `start .. stop - 1`, the keys of `donor` in place of its own in `layers`."""

    layers: Layers
    start: int
    stop: int
    donor: "Condition"


class Write(NamedTuple):
    """A row's activations are overwritten; it is the `offset`-th of the edit's rows."""

    edit: Overwrite
    offset: int

    @property
    def layers(self) -> Layers:
        """In which blocks."""
        return self.edit.layers


Mark = Cut | Graft | Write


@dataclass(frozen=True)
class Condition:
    """One edited version of a trace, up to the point where it is answered.

    Attributes:
        name: what was done, such as "cut@2"; records come back in the plan's order, so it need not be unique.
        pieces: the tokens, in order; the last piece is the stem that forces the answer.
        options: the token sequences whose log-probabilities are read after the last piece.
        edits: what this condition changes in the pass itself, in the order in which it is done.
        reference: the condition whose activations this one's may be compared with.
    """

    name: str
    pieces: tuple[Piece, ...]
    options: tuple[tuple[int, ...], ...]
    edits: tuple[Edit, ...] = ()
    reference: "Condition | None" = None

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(
        self,
    ) -> int:  # conditions hold conditions and are looked up once a token: hashing anew would be quadratic
        return hash((self.name, self.pieces, self.options, self.edits, self.reference))

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """All tokens before the options."""
        return tuple(token for piece in self.pieces for token in piece.ids)

    @cached_property
    def spans(self) -> dict[str, Interval]:
        """Where each piece lies, as half-open positions of this condition's own tokens."""
        ends = list(accumulate((len(piece.ids) for piece in self.pieces), initial=0))
        return {piece.name: (a, b) for piece, a, b in zip(self.pieces, ends, ends[1:], strict=False)}

    @cached_property
    def unedited(self) -> "Condition":
        """The same tokens without any edit of the pass."""
        return replace(self, edits=(), reference=None)

    @property
    def donors(self) -> tuple["Condition", ...]:
        """The conditions whose activations this one's edits and comparison are made of."""
        out: list[Condition] = [self.reference] if self.reference else []
        for edit in self.edits:
            if isinstance(edit, KeyValuePatch | Patch):
                out.append(edit.donor)
            elif isinstance(edit, Ablation) and edit.how != "zero":
                out.extend(edit.over or (self.unedited,))
        return tuple(out)

    def locate(self, name: Span) -> Interval:
        """Where the piece `name` lies; an interval stands for itself.

        Raises:
            PlanError: this condition has no such piece or position.
        """
        if isinstance(name, tuple):
            if not 0 <= name[0] <= name[1] <= len(self.ids):
                raise PlanError(
                    f"positions {name} of condition {self.name!r}",
                    f"it has {len(self.ids)} tokens",
                    "name positions within these, as (start, stop)",
                )
            return name
        if name not in self.spans:
            raise PlanError(
                f"piece {name!r} of condition {self.name!r}",
                f"its pieces are {', '.join(self.spans)}",
                "name one of these",
            )
        return self.spans[name]

    def mark_rows(self, structure: Structure, tail: Sequence[int] = ()) -> list[tuple[Mark, ...]]:
        """For each token, the `tail` of an option included, what sets its row apart: the model's own cuts and edits."""
        ids = self.ids + tuple(tail)
        marks: list[list[Mark]] = [[Cut(None, a, b) for a, b in cuts] for cuts in structure.list_hidden(ids)]
        for edit in self.edits:
            if isinstance(edit, Overwrite):
                start, stop = self.locate(edit.span)
                own = replace(edit, over=(self.unedited,)) if isinstance(edit, Ablation) and not edit.over else edit
                for i in range(start, stop):
                    marks[i].append(Write(own, i - start))
                continue
            start, stop = self.locate(edit.reader)
            stop = len(ids) if edit.reader == self.pieces[-1].name else stop
            if isinstance(edit, Knockout):
                new: list[Mark] = [Cut(edit.layers, *self.locate(name)) for name in edit.read]
            else:
                new = [Graft(edit.layers, *self.locate(edit.read), edit.donor)]
            for i in range(start, stop):
                marks[i].extend(new)
        return [tuple(each) for each in marks]


def check_edits(condition: Condition) -> None:
    """Refuse edits that cannot mean anything.

    Raises:
        PlanError: a component or piece that does not exist, a donor that does not match, heads where there are none.
    """
    for edit in condition.edits:
        asked = f"the {type(edit).__name__.lower()} of condition {condition.name!r}"
        if edit.layers is not None and (not edit.layers or min(edit.layers) < 0):
            raise PlanError(asked, f"layers {edit.layers}", "name layers from 0 on, or None for all")
        if isinstance(edit, KeyValuePatch):
            here, there = condition.locate(edit.read), edit.donor.locate(edit.read)
            if here != there:
                raise PlanError(
                    f"{asked} at {edit.read!r}",
                    f"it lies at positions {here} here and at {there} in the donor {edit.donor.name!r}",
                    "choose a donor with as many tokens before and within it",
                )
        if isinstance(edit, Overwrite):
            if edit.component not in COMPONENTS:
                raise PlanError(asked, f"component {edit.component!r}", f"name one of {', '.join(COMPONENTS)}")
            if edit.heads is not None and edit.component != "z":
                raise PlanError(asked, f"heads of {edit.component!r}", "name heads of component 'z' only")
        if isinstance(edit, Patch):
            here, there = condition.locate(edit.span), edit.donor.locate(edit.span if edit.at is None else edit.at)
            if here[1] - here[0] != there[1] - there[0]:
                raise PlanError(
                    f"{asked} at {edit.span!r}",
                    f"{here[1] - here[0]} tokens here and {there[1] - there[0]} in the donor {edit.donor.name!r}",
                    "choose spans of as many tokens",
                )
