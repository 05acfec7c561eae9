"""What the JSON files of a run hold, entry by entry; files of another shape are not read (`find_misfit`)."""

from typing import Any, Literal, NotRequired, TypedDict


class NumberEntry(TypedDict):
    """The mean of a measure."""

    value: float | None
    low: float | None
    high: float | None
    n_used: int
    n_dropped: int
    reason: str | None


class ExampleEntry(TypedDict):
    """A question that shows what a gate says."""

    question: str
    outcome: str
    reason: str
    sample: int
    condition: str
    is_askable: bool


class GateEntry(TypedDict):
    """What one gate says."""

    asks: str
    misses: str
    gate: str
    status: Literal["passed", "failed", "open", "not tested", "not askable"]
    n_asked: int
    n_passed: int
    n_failed: int
    n_open: int
    share: float | None
    low: float | None
    high: float | None
    p_value: float | None
    chance: float
    example: ExampleEntry | None
    reason: str | None


class StratumEntry(TypedDict):
    """One side of the feature that separates failing questions best."""

    name: str
    n_asked: int
    n_failed: int
    low: float
    high: float


class StrataEntry(TypedDict):
    """Both sides of that feature."""

    worst: StratumEntry
    other: StratumEntry
    p_value: float


class SubjectEntry(TypedDict):
    """The verdict on one model and task."""

    model: str
    task: str
    verdict: Literal["trust", "do-not-trust", "undecided"]
    reasons: list[str]
    truth: str | None
    cells: dict[str, int]
    questions_needed: int | None
    measures: dict[str, NumberEntry]
    kind: str
    gates: list[GateEntry]
    strata: StrataEntry | None
    partly_edited: int


class VerdictFile(TypedDict):
    """verdict.json"""

    subjects: list[SubjectEntry]


class UnitEntry(TypedDict):
    """One unit: what it is, and what its rows and its chains depend on."""

    model: str
    task: str
    questions: list[str]
    digest: str
    batch: NotRequired[int]
    chains: NotRequired[str | None]


class StartEntry(TypedDict):
    """What is found out before the first unit of a model and task."""

    digest: str


class UnitsFile(TypedDict):
    """units.json"""

    tables: list[str]
    units: dict[str, UnitEntry]
    starts: dict[str, StartEntry]


class ErrorsEntry(TypedDict):
    """The errors of all readers together on planted chains: how many, of how many."""

    missed: list[int]
    invented: list[int]


class ReadersFile(TypedDict):
    """readers.json"""

    cells: list[dict[str, Any]]
    errors: dict[str, ErrorsEntry]


class SubjectFacts(TypedDict):
    """What is found out about a model and task before its first unit."""

    stem: str
    close: str
    coverage: float
    truth: NotRequired[str]


class RetryEntry(TypedDict):
    """The questions of a unit that were tried again in smaller parts, and why."""

    questions: list[str]
    reason: str


class SubjectName(TypedDict):
    """A model and its task."""

    model: str
    task: str


class TrialEntry(TypedDict):
    """What trying out a model of a sweep showed."""

    parameters: int
    loss: float | None
    seconds: float
    refused: dict[str, str]


class OptionsEntry(TypedDict):
    """The options of a run that are read without `AuditConfig.from_dict`; a sweep has others."""

    subjects: NotRequired[list[SubjectName]]
    assays: NotRequired[list[str]]
    sampling: NotRequired[dict[str, Any]]
    sources: NotRequired[dict[str, str]]
    n: NotRequired[int | None]


class FactsEntry(TypedDict, total=False):
    """What is found out while units are done, by the key of their subject or their own.

    `reused` holds the run from which a unit was taken over, `measures` those of the user's own by name.
    """

    subjects: dict[str, SubjectFacts]
    work: dict[str, dict[str, float | None]]
    proofs: dict[str, Any]
    retried: dict[str, list[RetryEntry]]
    reused: dict[str, dict[str, str]]
    measures: dict[str, dict[str, Any]]


class ManifestFile(FactsEntry):
    """manifest.json; what only some runs need is read with a check where it is needed."""

    config: OptionsEntry
    files: dict[str, Any]
    seed: NotRequired[int]
    versions: NotRequired[dict[str, str | None]]
    code: NotRequired[str]
    commit: NotRequired[str | None]
    device: NotRequired[str]
    platform: NotRequired[str]
    inputs: NotRequired[dict[str, str]]
    created: NotRequired[str]
    threads: NotRequired[int]
    resumed: NotRequired[list[dict[str, Any]]]
    trials: NotRequired[dict[str, TrialEntry]]


class RecordFile(TypedDict):
    """units/KEY.json"""

    unit: str
    digest: str
    files: dict[str, Any]
    facts: dict[str, dict[str, Any]]
