"""`Measure`: everything that is known about one measure, and the constructors that most entries of the catalogue use.

A measure is described once, in this package; intervals, reports, verdicts, sweeps and comparisons read its entry:

    >>> from faithlens.measures.catalogue import get_measure
    >>> measure = get_measure("deletion.change")
    >>> measure.label, measure.range, measure.direction
    ('step deleted', (0.0, 1.0), 1)
    >>> measure.control, measure.bound_high
    ('deletion_filled.change', 'bound.deletion.high')
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

from faithlens.errors import MeasureError, check_choice, check_type

Unit = Literal["fraction", "probability", "nat", "logit", "token", "count"]
Kind = Literal["yes/no", "share", "probability", "difference", "logits", "nats", "count", "tokens"]
Level = Literal["task", "question", "chain", "step", "run"]
Shape = Literal["scalar", "curve", "step"]
GateName = Literal["capable", "causal", "legible", "derived", "serial", "undisturbed", "disclosed"]
Place = Literal["terminal", "report", "sweep", "lost chain"]
Range = tuple[float | None, float | None]

UNITS: dict[Unit, str] = {
    "fraction": "a share or a rate, yes (1) and no (0), or a ratio or difference of two such numbers",
    "probability": "a probability of answers, or a difference of such probabilities",
    "nat": "a difference of log-probabilities to the base e",
    "logit": "log-odds, or an unnormalised output of the model",
    "token": "a mean number of tokens",
    "count": "a number of things, such as steps",
}
"""What a number in each unit is."""

ASSAYS: tuple[str, ...] = (
    "early_answering", "early_answering_filled", "mistakes", "mistakes_regenerated", "paraphrase", "filler", "deletion",
    "shuffle", "propagation", "resampling", "baselines", "letters", "stated", "derivation", "rewording", "bias",
    "bias_mediation", "evidence", "reversed_pairs", "hints", "hint_mediation", "value_hints",
    "graded_hints", "mediation", "claims", "sufficiency", "states", "knockouts", "attention", "strategies",
)  # fmt: skip
"""The assays in the order of a report."""
ASSAY_ENTRY_POINTS = "faithlens.assays"
"""The group of entry points under which an installed package offers assays by name."""

_INTERNAL = ("mediation", "claims", "sufficiency", "states", "knockouts", "attention")
SUITES: dict[str, tuple[str, ...]] = {
    "standard": (
        "early_answering",
        "mistakes",
        "mistakes_regenerated",
        "propagation",
        "baselines",
        "stated",
        "derivation",
        "rewording",
        "hints",
        "hint_mediation",
        "value_hints",
        *_INTERNAL,
    ),
    "behaviour": tuple(name for name in ASSAYS if name not in (*_INTERNAL, "reversed_pairs")),
    "internal": ("baselines", *_INTERNAL),
    "all": ASSAYS,
}
"""The assays of each suite. `standard` asks every gate of the verdict; `internal` writes no text but the chains."""

# Assays that exchange words or their states. An organism's planted rate is certified in the same way, so that a contest
# scored on this rate would let them win by definition.
_DEFINING = ("mistakes", "mistakes_regenerated", "propagation", "mediation", "claims", "sufficiency", "states")

HEADINGS: tuple[str, ...] = (
    "Early answering",
    "Adding mistakes, later steps kept",
    "Adding mistakes, later steps regenerated",
    "Propagated changes",
    "New ends before and after a step",
    "Paraphrase",
    "Filler in place of the chain",
    "Steps deleted or shuffled",
    "Same answer with and without the chain",
    "Stated answers",
    "Derivation",
    "Biased prompts",
    "Weak evidence",
    "Reversed pairs",
    "Hints",
    "Hints at a value",
    "Hints in grades",
    "Paths of a hint",
    "Hints as readers judge them",
    "Monitors of hints",
    "Strategies",
)
"""The headings of the report's table of behavioural tests, in its order."""


class Askable(NamedTuple):
    """How a verdict states a measure for which a user may set a threshold.

    `effect` names the effect that is measured; `sentence` has one slot, `{}`, for the number and its interval.
    """

    effect: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure.

    Attributes:
        name: the name in `scores.parquet` and `estimates.parquet`.
        label: a short name for tables and figures.
        meaning: one sentence: what is compared with what, and what a high value says.
        unit: the unit of a value, a key of `UNITS`.
        range: the lowest and highest possible value; None for an end that does not exist.
        usual_range: the ends between which nearly all values lie, for a measure whose range has no ends.
        direction: +1 where a higher value says that the chain of thought drives the answer more, -1 where it says so
            less, 0 where it says neither.
        kind: the kind of number. "yes/no" is 0 or 1 in each row of scores; "share" is a mean of such numbers, or one
            quantity divided by another.
        level: what one row of scores is about: a "question" (the same for all its chains of thought), one "chain", or
            one "step". "task" is a number for a model and task that is computed from the means of other measures, "run"
            one that a command computes from a finished run and writes to a file of its own.
        shape: "scalar"; "curve", with a row at each of several fractions of the chain of thought; or "step", with a row
            at each step.
        assay: the assay that emits it; None where no assay does.
        control: the measure to read beside it: the same test without the decisive edit, or a noise floor.
        bound: the family of bounds that accuracy sets on it: `bound.<family>.low` and `bound.<family>.high`.
        gate: the gate of the verdict that is tested where a run has this measure, such as "legible"; None for most.
        paper: where it was published; None where it is our own.
        fixed: where the value is known before anything is sampled: "always", or only "at the full chain".
        needs_right_answer: whether it compares an answer with the right one, so that it has no value where the right
            answer is not known.
        is_context: whether it describes the ability of a model and not its faithfulness, so that comparisons of runs do
            not test it.
        is_detail: whether it is a supporting number, which is stored, but shown and compared only on request.
        askable: how a verdict states it, where a threshold may be set for it.
        heading: the heading of the report's table of tests under which it stands, one of `HEADINGS`.
        places: where it is used without being named: as a column of the "terminal" summary or of the "report"'s first
            table, as a default of a "sweep", or to record why a "lost chain" has no scores.
        validated: the levels at which `validate` compares it with planted truth: "question", "step" or both.
    """

    name: str
    label: str
    meaning: str
    unit: Unit
    range: Range
    usual_range: tuple[float, float] | None = None
    kind: Kind
    direction: Literal[-1, 0, 1] = 0
    level: Level = "chain"
    shape: Shape = "scalar"
    assay: str | None = None
    control: str | None = None
    bound: str | None = None
    gate: GateName | None = None
    paper: str | None = None
    fixed: Literal["never", "always", "at the full chain"] = "never"
    needs_right_answer: bool = False
    is_context: bool = False
    is_detail: bool = False
    askable: Askable | None = None
    heading: str | None = None
    places: tuple[Place, ...] = ()
    validated: tuple[Literal["question", "step"], ...] = ()

    def __post_init__(self) -> None:
        choices = {"unit": Unit, "kind": Kind, "level": Level, "shape": Shape}
        for field, literal in choices.items():
            check_choice(getattr(self, field), get_args(literal), f"{field} of the measure {self.name!r}", MeasureError)
        check_choice(self.fixed, ("never", "always", "at the full chain"), "value of fixed", MeasureError)
        for place in self.places:
            check_choice(place, get_args(Place), "place of a measure", MeasureError)
        for level in self.validated:
            check_choice(level, ("question", "step"), "validated level", MeasureError)
        if self.gate is not None:
            check_choice(self.gate, get_args(GateName), f"gate of the measure {self.name!r}", MeasureError)
        if self.askable is not None:
            fix = "Write fl.measures.Askable(effect, sentence), with {} in the sentence for the number; None for none."
            check_type(self.askable, Askable, f"`askable` of the measure {self.name!r}", fix, MeasureError)
        if self.direction not in (-1, 0, 1):
            problem = f"the direction of the measure {self.name!r} must be -1, 0 or 1, got {self.direction!r}"
            raise MeasureError(problem, "Pass 1 where a higher value says that the chain of thought matters more.")
        low, high = self.range
        if low is not None and high is not None and not low < high:
            problem = f"the range of the measure {self.name!r} must have its low end first, got {self.range}"
            raise MeasureError(problem, "Pass range=(low, high), with None for an end that does not exist.")

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites that emit it."""
        return tuple(suite for suite, assays in SUITES.items() if self.assay in assays)

    @property
    def is_derived(self) -> bool:
        """Whether it is computed from the means of other measures, and so in `estimates.parquet` only."""
        return self.level == "task"

    @property
    def is_fixed(self) -> bool:
        """Whether every value is known before anything is sampled, such as the accuracy of chance."""
        return self.fixed == "always"

    def is_fixed_at(self, fraction: float | None) -> bool:
        """Whether its value at this fraction of the chain of thought is known before anything is sampled."""
        return self.is_fixed or (self.fixed == "at the full chain" and fraction == 1)

    @property
    def is_defining(self) -> bool:
        """Whether it edits the model's input in the way that certifies an organism's planted rate."""
        return self.assay in _DEFINING

    @property
    def scale(self) -> tuple[float, float] | None:
        """The ends at which values of unseen questions may lie, for intervals that allow for them; None without ends.

        These are the ends of the usual range, or else of the range. None for attention too: a step never takes nearly
        all of it, and an interval up to 1 would be far too wide.
        """
        low, high = self.usual_range or self.range
        return None if low is None or high is None or self.assay == "attention" else (low, high)

    @property
    def is_change(self) -> bool:
        """Whether it is a rate of changed answers for which accuracy sets bounds."""
        return self.bound is not None and self.kind != "difference"

    @property
    def bound_low(self) -> str | None:
        """The measure that says how low it must be at least; None for a change minus its noise floor."""
        return f"bound.{self.bound}.low" if self.is_change else None

    @property
    def bound_high(self) -> str | None:
        """The measure that says how high it can be at most."""
        return f"bound.{self.bound}.high" if self.bound else None

    @property
    def bound_accuracy(self) -> str | None:
        """The accuracy after the edit, which together with `accuracy.full` sets the bounds."""
        return f"{self.bound}.accuracy" if self.bound else None


# --- constructors: `Measure` with the fields that follow from the kind of number ---


def yes_no(name: str, label: str, meaning: str, **fields: object) -> Measure:
    """A measure that is 0 or 1 in each row of scores."""
    return _make(name, label, meaning, fields, unit="fraction", range=(0.0, 1.0), kind="yes/no")


def share(name: str, label: str, meaning: str, **fields: object) -> Measure:
    """A mean of 0/1 values, or a ratio; between 0 and 1 unless `range` says otherwise."""
    return _make(name, label, meaning, fields, unit="fraction", range=(0.0, 1.0), kind="share")


def difference(name: str, label: str, meaning: str, **fields: object) -> Measure:
    """A difference of two rates; with unit="probability", of two probabilities."""
    return _make(name, label, meaning, fields, unit="fraction", range=(-1.0, 1.0), kind="difference")


def probability(name: str, label: str, meaning: str, **fields: object) -> Measure:
    """A probability."""
    return _make(name, label, meaning, fields, unit="probability", range=(0.0, 1.0), kind="probability")


def logits(name: str, label: str, meaning: str, **fields: object) -> Measure:
    """A difference of logits, without ends."""
    return _make(name, label, meaning, fields, unit="logit", range=(None, None), kind="logits")


def nats(name: str, label: str, meaning: str, **fields: object) -> Measure:
    """A divergence in nats, at least 0."""
    return _make(name, label, meaning, fields, unit="nat", range=(0.0, None), kind="nats")


def _make(name: str, label: str, meaning: str, fields: dict[str, object], **implied: object) -> Measure:
    return Measure(name=name, label=label, meaning=meaning, **(implied | fields))  # pyright: ignore[reportArgumentType]


def emitted_by(assay: str, measures: Iterable[Measure]) -> Iterator[Measure]:
    """The measures of one assay; derived ones among them have none."""
    for measure in measures:
        yield measure if measure.is_derived else replace(measure, assay=assay)
