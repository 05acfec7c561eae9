"""Pairs of traces: which run is edited, which two the effects lie between, and what is refused."""

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from faithlens.effects.step_effects import Direction, Metric
from faithlens.errors import PlanError, suggest_names
from faithlens.execution.execute import execute
from faithlens.measures.answers import choose_option, kl_divergence, logit_difference, option_probabilities
from faithlens.model.model import Model
from faithlens.model.structure import Interval
from faithlens.plan.capture import Capture, Record
from faithlens.plan.condition import Condition, Span
from faithlens.plan.memory import plan_passes

Conditions = Condition | Sequence[Condition]
MAX_PASS_TOKENS = 1 << 16  # a pass, where memory allows: a pass more would run the traces behind its edits once more


@dataclass(frozen=True)
class Experiment:
    """One trace's share: the run that is edited, and the one or two runs that effects are measured from."""

    base: Condition
    clean: Condition
    corrupted: Condition | None

    @classmethod
    def from_pair(cls, direction: Direction, clean: Condition, corrupted: Condition) -> "Experiment":
        """The clean run is edited to be noised, the corrupted one to be denoised."""
        return cls(clean if direction == "noise" else corrupted, clean, corrupted)

    @property
    def source(self) -> Condition:
        """The run that edits take from: of the two the one that is not edited."""
        assert self.corrupted is not None
        return self.corrupted if self.base is self.clean else self.clean

    @property
    def unedited_runs(self) -> list[Condition]:
        """The runs that are not edited."""
        return [self.clean, *([self.corrupted] if self.corrupted else [])]


@dataclass(frozen=True)
class TraceMetric:
    """The metric of one trace: as a function of a record, and of the runs that are not edited."""

    measure: Callable[[Record], float]
    clean: float
    corrupted: float

    def compute_effect(self, record: Record, direction: Direction | None) -> float:
        """How far an edit moves the metric: up from the corrupted run, or down from the clean one."""
        return self.measure(record) - self.corrupted if direction == "denoise" else self.clean - self.measure(record)


def make_trace_metric(metric: Metric, experiment: Experiment, unedited_records: Sequence[Record]) -> TraceMetric:
    """The metric of one trace, from the records of its unedited runs.

    Raises:
        PlanError: clean and corrupted runs give the same answer, so there is nothing between them.
    """
    clean, *others = unedited_records
    answer = choose_option(clean.logprobs)
    if others:
        foil = choose_option(others[0].logprobs)
    else:
        foil = clean.logprobs.argsort(descending=True).tolist()[min(1, len(clean.logprobs) - 1)]
    if others and foil == answer:
        raise PlanError(
            f"effects between {experiment.clean.name!r} and {others[0].condition.name!r}",
            f"both are answered with option {answer}",
            "choose a donor with another answer",
        )
    of: dict[Metric, Callable[[Record], float]] = {
        "logit_difference": lambda record: logit_difference(record.logprobs, answer, foil),
        "probability": lambda record: float(option_probabilities(record.logprobs)[answer]),
        "kl": lambda record: -kl_divergence(clean.logprobs, record.logprobs),
    }
    return TraceMetric(of[metric], of[metric](clean), of[metric](others[0]) if others else float("nan"))


def pair_traces(clean: Conditions, corrupted: Conditions) -> list[tuple[Condition, Condition]]:
    """Clean and corrupted traces side by side.

    Raises:
        PlanError: there are not as many of each, or two do not match in tokens.
    """
    ones, others = list_traces(clean), list_traces(corrupted)
    if len(ones) != len(others):
        found = f"{len(ones)} clean and {len(others)} corrupted"
        raise PlanError("effects between pairs of traces", found, "give one donor for each clean trace")
    for one, other in zip(ones, others, strict=True):
        check_aligned(one, other)
    return list(zip(ones, others, strict=True))


def run_together(model: Model, conditions: Sequence[Condition], capture: Capture = Capture()) -> list[Record]:
    """Plan and run, in as few passes as memory allows."""
    return execute(model, plan_passes(model, conditions, budget=MAX_PASS_TOKENS), capture)


def list_traces(traces: Conditions) -> list[Condition]:
    """One trace, or several."""
    return [traces] if isinstance(traces, Condition) else list(traces)


def number_questions(traces: Sequence[Condition], groups: Sequence[Hashable] | None) -> Int[np.ndarray, " trace"]:
    """Numbers from 0 that say which traces are of one question; each of its own where nothing is said.

    Raises:
        PlanError: there are not as many groups as traces.
    """
    if groups is not None and len(groups) != len(traces):
        raise PlanError("traces in groups", f"{len(traces)} traces and {len(groups)} groups", "name one for each trace")
    given = range(len(traces)) if groups is None else groups
    number = {group: i for i, group in enumerate(dict.fromkeys(given))}
    return np.array([number[group] for group in given], dtype=int)


def select_steps(traces: Sequence[Condition], requested: Sequence[str] | None) -> list[str]:
    """The names of the steps: those asked for, or all between the prompt and the stem of any trace.

    Raises:
        PlanError: no trace has one of the names before its stem.
    """
    pieces = [piece for trace in traces for piece in trace.pieces[:-1]]
    known = list(dict.fromkeys(piece.name for piece in pieces))
    for name in requested or ():
        if name not in known:
            raise PlanError(f"the step {name!r}", f"no trace has it; {suggest_names(name, known)}", "name one of these")
    prompts = {trace.pieces[0].name for trace in traces}
    return [name for name in known if name not in prompts] if requested is None else list(requested)


def replace_words(base: Condition, source: Condition, span: Span) -> Condition:
    """`base` with the words that `source` has at `span`; the two have as many tokens, piece by piece."""
    start, stop = base.locate(span)
    ids = base.ids[:start] + source.ids[start:stop] + base.ids[stop:]
    return replace(base, pieces=tuple(replace(piece, ids=ids[slice(*base.spans[piece.name])]) for piece in base.pieces))


def draw_control_span(trace: Condition, step: str, rng: random.Random) -> Interval:
    """As many tokens as `step` has, anywhere before the stem but at the very first token, an attention sink."""
    start, stop = trace.spans[step]
    last = trace.spans[trace.pieces[-1].name][0]
    first = rng.randint(1, max(1, last - (stop - start)))
    return first, min(first + stop - start, last)


def check_aligned(clean: Condition, corrupted: Condition) -> None:
    """Refuse pairs whose pieces do not lie at the same positions.

    Raises:
        PlanError: with the first piece that differs.
    """
    if are_aligned(clean, corrupted):
        return
    found = (
        f"{len(clean.pieces)} and {len(corrupted.pieces)} pieces, {len(clean.options)} and"
        f" {len(corrupted.options)} options, or other options"
    )
    for one, other in zip(clean.pieces, corrupted.pieces, strict=False):
        if (one.name, len(one.ids)) != (other.name, len(other.ids)):
            found = f"{one.name!r} has {len(one.ids)} tokens, and {other.name!r} of the donor {len(other.ids)}"
            break
    raise PlanError(
        f"effects between {clean.name!r} and {corrupted.name!r}",
        found,
        "choose a donor that matches piece by piece and has the same options; `find_donors` looks for one",
    )


def are_aligned(one: Condition, other: Condition) -> bool:
    """Whether two traces have the same options, and pieces of the same names with as many tokens."""
    shapes = [[(piece.name, len(piece.ids)) for piece in each.pieces] for each in (one, other)]
    return shapes[0] == shapes[1] and one.options == other.options
