"""Conditions: edited versions of a trace, and the edits of the forward pass that they may have.

A condition is a list of named pieces. To edit tokens, list other pieces. There are five edits of the pass itself:

- a `Knockout` cuts attention edges;
- a `KeyValuePatch` lets rows read the keys and values of another condition;
- a `Patch` writes activations of another condition;
- an `Ablation` writes zeros or a mean, or adds noise;
- an `Apply` writes the result of a function of your own.

The answer position has one name, "answer", which no piece may have. The reader "answer" of a `Knockout` or
`KeyValuePatch` stands for all answer rows: the tokens of the last piece, and those of the options after it. The reader
"answer" of a `Capture` stands for the last row before the options, whose output predicts the answer.

For example, the pieces prompt (3 tokens), step 0 (2 tokens) and stem (1 token), and options of one token::

    condition.spans                                   prompt (0, 3), step 0 (3, 5), stem (5, 6)
    Knockout("answer", ("step 0",))                   row 5 does not see the rows 3 and 4
    Patch("resid_pre", "step 0", donor, layers=(2,))  in block 2 the rows 3 and 4 are those of the donor
    Capture(attention=("answer",))                    the attention of row 5 is kept
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain
from numbers import Integral
from typing import Literal, cast, get_args

from torch import Tensor

from faithlens.errors import PlanError, check_choice, check_elements, check_type, describe_type, suggest_names
from faithlens.model.structure import Interval
from faithlens.model.trace import Piece

Component = Literal["resid_pre", "attn_out", "mlp_out", "z", "resid_post"]  # the short names of TransformerLens
COMPONENTS: tuple[Component, ...] = get_args(Component)
AblationKind = Literal["zero", "mean", "noise"]
ANSWER = "answer"  # the name of the answer position, for readers
Span = str | Interval  # a piece's name, or positions as a half-open interval
Layers = tuple[int, ...] | None  # None: all


CONDITION_FIX = "Make conditions from a case, for example with fl.interventions.make_full_cot(case)."
"""What to do where something is no condition."""


def is_active(layers: Layers, layer: int) -> bool:
    """Whether an edit of `layers` acts in `layer`."""
    return layers is None or layer in layers


@dataclass(frozen=True)
class Knockout:
    """Cut every attention edge from the rows of a reader to the positions that `read` names.

    Attributes:
        reader: the name of a piece, or "answer" for all answer rows. The name of the last piece means "answer" too.
        read: pieces or positions that the reader may not attend to.
        layers: the blocks in which the edges are cut; None for all.

    Raises:
        PlanError: `read` is a single name.
    """

    reader: str
    read: tuple[Span, ...]
    layers: Layers = None

    def __post_init__(self) -> None:
        if isinstance(self.read, str):
            raise PlanError(
                f"what a knockout hides must be a tuple of pieces or positions, got the text {self.read!r}",
                f"Write ({self.read!r},).",
            )


@dataclass(frozen=True)
class KeyValuePatch:
    """Let the rows of a reader read the keys and values of another condition at the positions that `read` names.

    Attributes:
        reader: the name of a piece, or "answer" for all answer rows. The name of the last piece means "answer" too.
        read: a piece or positions before the rows of the reader; both conditions have it at the same positions.
        donor: the condition whose keys and values are read.
        layers: the blocks in which they are read; None for all.

    Raises:
        PlanError: the donor is no condition.
    """

    reader: str
    read: Span
    donor: "Condition"
    layers: Layers = None

    def __post_init__(self) -> None:
        check_type(self.donor, Condition, "the donor", CONDITION_FIX, PlanError)


@dataclass(frozen=True)
class Patch:
    """At `span`, replace the activations of `component` by those of `donor` at its own `span` (or at `at`).

    Attributes:
        component: which activations, by their TransformerLens name.
        span: the rows that are written.
        donor: the condition whose activations are written; it may have edits of its own, and be of another trace.
        layers: the blocks in which they are written; None for all.
        heads: of component "z", the heads that are written; None for all.
        at: where the donor is read, if not at `span`; it has as many tokens.
        amount: 1 writes the donor's value v, 0 leaves the own value u, and a number between them writes
            ``u + amount * (v - u)``.

    Raises:
        PlanError: an unknown component, or the donor is no condition.
    """

    component: Component
    span: Span
    donor: "Condition"
    layers: Layers = None
    heads: tuple[int, ...] | None = None
    at: Span | None = None
    amount: float = 1.0

    def __post_init__(self) -> None:
        check_choice(self.component, COMPONENTS, "component", PlanError)
        check_type(self.donor, Condition, "the donor", CONDITION_FIX, PlanError)

    def locate_source(self) -> Interval:
        """The positions in the donor whose activations are written."""
        return self.donor.locate(self.span if self.at is None else self.at)


@dataclass(frozen=True)
class Ablation:
    """At `span`, replace the activations of `component` by zeros or by a mean, or add noise to them.

    Attributes:
        component: which activations, by their TransformerLens name.
        span: the rows that are written.
        how: "zero"; "mean", over all tokens of `over`; or "noise", which adds normal noise to the rows' own values,
            with `scale` times the standard deviation of `over` (Meng et al. 2022, section 2.1, use 3).
        layers: the blocks in which they are written; None for all.
        heads: of component "z", the heads that are written; None for all.
        over: the conditions whose tokens give the mean and the deviation; by default, this condition without edits. A
            token that several of them share, with all that is before it, counts once.
        scale: the standard deviation of the noise, in standard deviations of `over`.
        seed: the seed of the noise, which depends only on seed, layer and position within `span`.

    Raises:
        PlanError: an unknown component or kind of ablation, or `over` holds no conditions.
    """

    component: Component
    span: Span
    how: AblationKind
    layers: Layers = None
    heads: tuple[int, ...] | None = None
    over: tuple["Condition", ...] = ()
    scale: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice(self.component, COMPONENTS, "component", PlanError)
        check_choice(self.how, get_args(AblationKind), "kind of ablation", PlanError)
        check_type(self.over, tuple, "'over' of an Ablation", "Write a tuple of conditions.", PlanError)
        check_elements(self.over, Condition, "'over' of an Ablation", CONDITION_FIX, PlanError)


@dataclass(frozen=True)
class Apply:
    """At `span`, replace the activations of `component` by the result of a function of your own.

    Attributes:
        component: which activations, by their TransformerLens name.
        span: the rows that are written.
        function: takes activations [row, d_model] (of "z", all heads side by side) and the positions of the rows within
            `span` [row], and returns activations of the same shape. It must treat each row by itself, since it may get
            the rows in several calls, or the rows of several conditions in one call. Conditions share rows only if they
            have the same function object, so define a function once and not in a loop.
        layers: the blocks in which they are written; None for all.
        heads: of component "z", the heads that are written; None for all.

    Raises:
        PlanError: an unknown component, or `function` cannot be called.
    """

    component: Component
    span: Span
    function: Callable[[Tensor, Tensor], Tensor]
    layers: Layers = None
    heads: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_choice(self.component, COMPONENTS, "component", PlanError)
        if not callable(cast(object, self.function)):
            problem = f"what an Apply applies must be a function, got {describe_type(self.function)}"
            raise PlanError(problem, "Write a function of rows and positions.")


Edit = Knockout | KeyValuePatch | Patch | Ablation | Apply
Overwrite = Patch | Ablation | Apply


def list_averaged(edit: Edit) -> tuple["Condition", ...]:
    """The conditions whose tokens give the mean or the deviation of an edit."""
    return edit.over if isinstance(edit, Ablation) and edit.how != "zero" else ()


@dataclass(frozen=True, repr=False)
class Condition:
    """One edited version of a trace, up to its answer.

    Attributes:
        name: what was edited, such as "cut@2"; it need not be unique, since records have the order of the plan.
        pieces: the tokens, in order; the last piece is the stem that forces the answer.
        options: the token sequences whose log-probabilities are read after the last piece.
        spellings: for each option, further token sequences that are the same answer; their probabilities add up
            (`plan.spellings`). Empty if no option has any.
        edits: the edits of the pass itself. Each writes on what the edits before it left, and equal edits are several
            edits. If two key-value patches give a row the same positions, the later one counts. A position that a
            knockout cuts is not seen at all.
        reference: the condition that this one is compared with.

    Raises:
        PlanError: two pieces have one name, a piece has the name of the answer position, or an edit is no edit.
    """

    name: str
    pieces: tuple[Piece, ...]
    options: tuple[tuple[int, ...], ...]
    edits: tuple[Edit, ...] = ()
    reference: "Condition | None" = None
    spellings: tuple[tuple[tuple[int, ...], ...], ...] = ()

    def __repr__(self) -> str:
        tokens = sum(len(piece.ids) for piece in self.pieces)
        edits = "".join(f", {type(edit).__name__}" for edit in self.edits)
        return f"Condition({self.name!r}, {tokens} tokens, {len(self.options)} options{edits})"

    def __post_init__(self) -> None:
        for name in ("pieces", "options", "edits"):
            fix = "Conditions are compared and looked up, so write a tuple."
            check_type(getattr(self, name), tuple, f"{name!r} of condition {self.name!r}", fix, PlanError)
        for other in (edit for edit in self.edits if not isinstance(cast(object, edit), Edit)):
            kinds = " or ".join(kind.__name__ for kind in get_args(Edit))
            raise PlanError(f"an edit of condition {self.name!r} is {describe_type(other)}", f"Write a {kinds}.")
        names = [piece.name for piece in self.pieces]
        if ANSWER in names:
            raise PlanError(
                f"a piece of condition {self.name!r} is called {ANSWER!r}, which is the name of the answer position",
                "Give the piece another name.",
            )
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise PlanError(
                f"condition {self.name!r} has {names.count(twice)} pieces with the name {twice!r}",
                "Give each piece a name of its own.",
            )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # conditions hold conditions and are looked up once for each token: without the cache this would be quadratic
        return hash((self.name, self.pieces, self.options, self.edits, self.reference, self.spellings))

    @property
    def sequences(self) -> tuple[tuple[int, ...], ...]:
        """All token sequences that are scored: one for each option, then the further spellings of each."""
        return (*self.options, *(sequence for more in self.spellings for sequence in more))

    @property
    def tails(self) -> tuple[tuple[int, ...], ...]:
        """What stands after the pieces when the last token of a sequence is predicted, each once."""
        return tuple(dict.fromkeys(sequence[:-1] for sequence in self.sequences))

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """All tokens before the options."""
        return tuple(chain.from_iterable(piece.ids for piece in self.pieces))

    @cached_property
    def n_tokens(self) -> int:
        """The number of tokens before the options."""
        return sum(len(piece.ids) for piece in self.pieces)

    @cached_property
    def spans(self) -> dict[str, Interval]:
        """The half-open positions of each piece in this condition's own tokens."""
        ends = list(accumulate((len(piece.ids) for piece in self.pieces), initial=0))
        return {piece.name: (a, b) for piece, a, b in zip(self.pieces, ends, ends[1:], strict=False)}

    @cached_property
    def unedited(self) -> "Condition":
        """The same tokens without any edit of the pass."""
        return replace(self, edits=(), reference=None)

    @property
    def donors(self) -> tuple["Condition", ...]:
        """The conditions whose activations this condition's edits and comparison need."""
        out: list[Condition] = [self.reference] if self.reference else []
        for edit in self.edits:
            if isinstance(edit, KeyValuePatch | Patch):
                out.append(edit.donor)
            else:
                out.extend(list_averaged(self.complete(edit)))
        return tuple(out)

    def complete(self, edit: Edit) -> Edit:
        """The edit; an ablation without `over` gets this condition without edits."""
        return replace(edit, over=(self.unedited,)) if isinstance(edit, Ablation) and not edit.over else edit

    def locate(self, name: Span) -> Interval:
        """The positions of the piece `name`; an interval of positions stands for itself.

        Raises:
            PlanError: this condition has no such piece or position.
        """
        if isinstance(name, tuple):
            if len(name) != 2 or not all(isinstance(position, Integral) for position in name):
                raise PlanError(f"positions must be two numbers, got {name!r}", "Write them as (start, stop).")
            if not 0 <= name[0] <= name[1] <= self.n_tokens:
                raise PlanError(
                    f"positions {name} are outside of condition {self.name!r}, which has {self.n_tokens} tokens",
                    "Name positions within these, as (start, stop).",
                )
            return name
        if name not in self.spans:
            raise PlanError(
                f"condition {self.name!r} has no piece {name!r}",
                f"Name one of its pieces. {suggest_names(str(name), self.spans)}",
            )
        return self.spans[name]

    def locate_reader(self, reader: str, n_tokens: int) -> Interval:
        """The rows of an edit's reader in a sequence of `n_tokens`, which are those of this condition and of an option.

        Raises:
            PlanError: this condition has no such piece.
        """
        last = self.pieces[-1].name
        start, stop = self.locate(last if reader == ANSWER else reader)
        return start, n_tokens if reader in (ANSWER, last) else stop
