"""Which run is edited, which runs are its ends, and which traces are refused: what all measuring functions share.

1. Pair each clean trace with its donor, the corrupted trace, and check that their pieces have equal lengths.
2. Choose the run that is edited: the corrupted one to denoise, the clean one to noise. The edit writes something of the
   other run into it.
3. Fix the metric of the pair from the two unedited runs: the clean answer, and the corrupted answer as its foil.
4. The effect of an edit is how far the metric moves from the edited run's own value towards the other run.

For example, a clean run with the answer A and a corrupted one with the answer B, whose logit differences A - B are::

    clean 3.0, corrupted -2.0, corrupted run with the clean state of step 1 written into it 1.0

    effect of denoising step 1         1.0 - (-2.0) = 3.0
    normalised by the gap of the runs  3.0 / (3.0 - (-2.0)) = 0.6
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from jaxtyping import Int

from faithlens.effects.step_effects import Metric, PatchMode
from faithlens.errors import PlanError, check_choice, suggest_names
from faithlens.execution.execute import execute
from faithlens.measures.answers import choose_option, kl_divergence, logit_difference, option_probabilities
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record
from faithlens.plan.condition import Condition, Edit, Span
from faithlens.plan.memory import plan_passes

Conditions = Condition | Sequence[Condition]
MAX_PASS_TOKENS = 1 << 16  # of one pass, if memory allows; each further pass runs the unedited traces again


@dataclass(frozen=True)
class Experiment:
    """One trace in an experiment.

    Attributes:
        base: the run that is edited.
        clean: the clean run.
        corrupted: the corrupted run; None if nothing is taken from another run.
    """

    base: Condition
    clean: Condition
    corrupted: Condition | None

    @classmethod
    def from_pair(cls, mode: PatchMode, clean: Condition, corrupted: Condition) -> "Experiment":
        """The experiment that edits the clean run ("noise") or the corrupted one ("denoise")."""
        return cls(clean if mode == "noise" else corrupted, clean, corrupted)

    @property
    def source(self) -> Condition:
        """The run whose words or activations are written into `base`."""
        assert self.corrupted is not None
        return self.corrupted if self.base is self.clean else self.clean

    @property
    def unedited_runs(self) -> list[Condition]:
        """The clean run, and the corrupted one if there is one."""
        return [self.clean, *([self.corrupted] if self.corrupted else [])]

    def add_edits(self, *edits: Edit) -> Condition:
        """The base run with more edits."""
        return replace(self.base, edits=(*self.base.edits, *edits))


@dataclass(frozen=True)
class TraceMetric:
    """The metric of one trace.

    Attributes:
        measure: the metric of a record.
        clean: the metric of the clean run.
        corrupted: the metric of the corrupted run; NaN if there is none.
    """

    measure: Callable[[Record], float]
    clean: float
    corrupted: float

    def compute_effect(self, record: Record, mode: PatchMode | None) -> float:
        """How far an edit moves the metric: up from the corrupted run, or down from the clean one."""
        return self.measure(record) - self.corrupted if mode == "denoise" else self.clean - self.measure(record)


def make_trace_metric(metric: Metric, experiment: Experiment, unedited_records: Sequence[Record]) -> TraceMetric:
    """The metric of one trace, from the records of its unedited runs.

    Args:
        metric: "logit_difference", the clean answer's log-probability minus that of the corrupted answer (of the second
            answer if there is no corrupted run); "probability" of the clean answer; or "kl", minus the Kullback-Leibler
            divergence from the clean run's answers.
        experiment: the trace.
        unedited_records: the records of `experiment.unedited_runs`.

    Raises:
        PlanError: clean and corrupted run have the same answer.
    """
    clean, *others = unedited_records
    answer = choose_option(clean.logprobs)
    if others:
        foil = choose_option(others[0].logprobs)
    else:
        foil = clean.logprobs.argsort(descending=True).tolist()[min(1, len(clean.logprobs) - 1)]
    if others and foil == answer:
        raise PlanError(
            f"clean and corrupted run must have different answers, but {experiment.clean.name!r} and"
            f" {others[0].condition.name!r} are both answered with option {answer}",
            "Choose a donor with another answer; `find_donors` does so.",
        )
    of: dict[Metric, Callable[[Record], float]] = {
        "logit_difference": lambda record: logit_difference(record.logprobs, answer, foil),
        "probability": lambda record: float(option_probabilities(record.logprobs)[answer]),
        "kl": lambda record: -kl_divergence(clean.logprobs, record.logprobs),
    }
    return TraceMetric(of[metric], of[metric](clean), of[metric](others[0]) if others else float("nan"))


def check_mode(mode: str) -> None:
    """Refuse an unknown mode of patching.

    Raises:
        PlanError: with the nearest mode.
    """
    check_choice(mode, get_args(PatchMode), "mode", PlanError)


def check_metric(metric: str) -> None:
    """Refuse an unknown metric of the answer.

    Raises:
        PlanError: with the nearest metric.
    """
    check_choice(metric, get_args(Metric), "metric", PlanError)


def pair_traces(clean: Conditions, corrupted: Conditions) -> list[tuple[Condition, Condition]]:
    """Each clean trace with its corrupted one.

    Raises:
        PlanError: the numbers of traces differ, or the pieces of a pair have different lengths.
    """
    ones, others = list_traces(clean), list_traces(corrupted)
    if len(ones) != len(others):
        raise PlanError(
            f"there must be as many corrupted traces as clean ones, got {len(ones)} clean and {len(others)} corrupted",
            "Pass one donor for each clean trace.",
        )
    for one, other in zip(ones, others, strict=True):
        check_aligned(one, other)
    return list(zip(ones, others, strict=True))


def run_together(model: Model, conditions: Sequence[Condition], capture: Capture = Capture()) -> list[Record]:
    """Run the conditions in as few packed passes as memory allows."""
    return execute(model, plan_passes(model, conditions, budget=MAX_PASS_TOKENS), capture)


def list_traces(traces: Conditions) -> list[Condition]:
    """The traces as a list; a single condition is a list of one.

    Raises:
        PlanError: an element is no condition, or there is none.
    """
    listed = [traces] if isinstance(traces, Condition) else list(traces)
    for trace in listed:
        check_condition(trace, "trace")
    if not listed:
        raise PlanError("at least one trace is needed, got none", "Pass one condition, or several in a list.")
    return listed


def check_condition(trace: object, what: str) -> None:
    """Refuse what is not one condition; `what` says which argument it is.

    Raises:
        PlanError: with the type of `trace`.
    """
    if not isinstance(trace, Condition):
        raise PlanError(
            f"the {what} must be a Condition, got {type(trace).__name__}",
            "Make conditions from a case, for example with make_full_cot(case).",
        )


def select_layers(model: Model, requested: Sequence[int] | None) -> tuple[int, ...]:
    """The requested layers, or all layers of the model.

    Raises:
        PlanError: `requested` is no list, or the model has no such layer.
    """
    if requested is None:
        return tuple(range(model.n_layers))
    if isinstance(requested, int):
        raise PlanError(f"layers must be a list of numbers, got {requested}", f"Pass [{requested}].")
    for layer in requested:
        if layer not in range(model.n_layers):
            raise PlanError(
                f"a layer must be a number from 0 to {model.n_layers - 1}, got {layer!r}",
                f"{model.name} has {model.n_layers} layers; name some of these.",
            )
    return tuple(requested)


def number_questions(traces: Sequence[Condition], groups: Sequence[Hashable] | None) -> Int[np.ndarray, " trace"]:
    """The number of each trace's question, from 0 on. Without `groups`, each trace has a question of its own.

    Raises:
        PlanError: there are not as many groups as traces.
    """
    if groups is not None and len(groups) != len(traces):
        raise PlanError(
            f"groups must name the question of each trace, got {len(traces)} traces and {len(groups)} groups",
            "Name one group for each trace.",
        )
    names = range(len(traces)) if groups is None else groups
    number = {group: i for i, group in enumerate(dict.fromkeys(names))}
    return np.array([number[group] for group in names], dtype=int)


def select_steps(traces: Sequence[Condition], requested: Sequence[str] | None) -> list[str]:
    """The requested steps, or all pieces between the prompt and the stem of any trace.

    Raises:
        PlanError: `requested` is a single name, or no trace has such a piece before its stem.
    """
    if isinstance(requested, str):
        raise PlanError(f"steps must be a list of names, got the text {requested!r}", f"Pass [{requested!r}].")
    pieces = [piece for trace in traces for piece in trace.pieces[:-1]]
    known = list(dict.fromkeys(piece.name for piece in pieces))
    for name in requested or ():
        if name not in known:
            raise PlanError(f"no trace has a step {name!r}", f"Name one of the steps. {suggest_names(name, known)}")
    prompts = {trace.pieces[0].name for trace in traces}
    return [name for name in known if name not in prompts] if requested is None else list(requested)


def replace_words(base: Condition, source: Condition, span: Span) -> Condition:
    """`base` with the tokens that `source` has at `span`; the pieces of the two have equal lengths."""
    start, stop = base.locate(span)
    ids = base.ids[:start] + source.ids[start:stop] + base.ids[stop:]
    return replace(base, pieces=tuple(replace(piece, ids=ids[slice(*base.spans[piece.name])]) for piece in base.pieces))


def check_aligned(clean: Condition, corrupted: Condition) -> None:
    """Refuse pairs whose pieces do not have the same positions.

    Raises:
        PlanError: with the first piece that differs.
    """
    if are_aligned(clean, corrupted):
        return
    difference = (
        f"they have {len(clean.pieces)} and {len(corrupted.pieces)} pieces, and {len(clean.options)} and"
        f" {len(corrupted.options)} options; or other options"
    )
    for one, other in zip(clean.pieces, corrupted.pieces, strict=False):
        if (one.name, len(one.ids)) != (other.name, len(other.ids)):
            difference = f"{one.name!r} has {len(one.ids)} tokens, and {other.name!r} of the donor {len(other.ids)}"
            break
    raise PlanError(
        f"{clean.name!r} and {corrupted.name!r} must have the same options and the same pieces, token by token:"
        f" {difference}",
        "Choose a donor with the same token layout; `find_donors` looks for one.",
    )


def are_aligned(one: Condition, other: Condition) -> bool:
    """Whether two traces have the same options, and pieces of the same names and lengths."""
    shapes = [[(piece.name, len(piece.ids)) for piece in each.pieces] for each in (one, other)]
    return shapes[0] == shapes[1] and (one.options, one.spellings) == (other.options, other.spellings)
