"""Can the model's own answer be read off its activations before the chain of thought begins?

1. Take the residual stream after each block at the last token before the chain of thought.
2. Split the questions into folds. For each fold, train a linear probe for the model's answer on the other folds.
3. Evaluate two baselines on the same folds: the frequencies of the answers, and a probe on a bag of the tokens so far.
   An answer that the bag of tokens predicts is in the text already, so it shows no commitment.
4. `excess` is the accuracy (or the AUC) of the probe minus that of the better baseline. Intervals resample questions.

For example, for 100 traces in one layer::

    probe .80    frequencies .50    bag of tokens .62    excess .80 - .62 = .18

After Cox et al. 2026, arXiv 2603.01437. The probe describes a model and never decides alone: an answer that can be read
early may not be used, and an answer that cannot may still be computed from the question at the tokens of the answer.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from faithlens.effects.experiment import Conditions, list_traces, number_questions, select_layers
from faithlens.effects.summary import Summary
from faithlens.errors import MeasureError, PlanError, check_choice
from faithlens.execution.execute import execute
from faithlens.measures.answers import choose_option
from faithlens.measures.probe import (
    Labels,
    Probabilities,
    assign_folds,
    bag_of_tokens,
    compare_class_pairs,
    mark_correct,
    predict_by_frequency,
    predict_with_probe,
)
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.capture import Capture, Record, Site
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes
from faithlens.stats.concordance import make_pair_statistic
from faithlens.stats.interval import WEIGHTED
from faithlens.stats.resample import TAIL, Array, DrawStatistic, compute_quantile, draw_statistic_weights

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LAST_TOKEN_PREFIX = "the last token before"  # the name of the piece of one token that is read
ProbeMetric = Literal["accuracy", "auc"]


@dataclass(frozen=True, eq=False, repr=False)
class Commitment(Summary):
    """How well a probe predicts the answer, layer by layer, on questions that it was not trained on.

    Attributes:
        table: one row for each metric and layer: `value`, of the probe; `prior` and `text`, of the two baselines;
            `excess`, the probe minus the better baseline. Values and excesses have 95 % intervals over questions and
            the method of the interval. The metric is "accuracy" or, for two answers, also "auc", the area under the
            ROC curve.
        at: the piece at whose last token the residual stream is read.
        classes: the answers that the probe distinguishes, each with its number of traces.
        n_used: the number of traces.
        n_questions: the number of their questions.
        dropped: the traces that were left out, each with the reason.
        folds: the number of parts of the questions; each is predicted by a probe that was trained on the others.
        seed: the seed of the folds and of the resampling.
    """

    table: pd.DataFrame
    at: str
    classes: Mapping[Hashable, int]
    n_used: int
    n_questions: int
    dropped: Mapping[int, str]
    folds: int
    seed: int

    def summarise(self) -> tuple[str, pd.DataFrame]:
        """The probe at each layer beside its baselines."""
        caption = (
            f"probe for {len(self.classes)} answers at {self.at!r}, {self.n_used} traces, {len(self.dropped)} dropped"
        )
        return caption, self.table[["metric", "layer", "value", "low", "high", "prior", "text", "excess"]]

    def plot(self, metric: ProbeMetric = "accuracy") -> "Figure":
        """The probe along the layers, with its interval, and the two baselines.

        Raises:
            MeasureError: an unknown metric, or one that the table does not have ("auc" needs exactly two answers).
        """
        from faithlens.figures.internals import plot_probe_by_layer  # plotly takes a second to import

        check_choice(metric, get_args(ProbeMetric), "metric of the probe", MeasureError)
        if metric not in set(self.table["metric"]):
            raise MeasureError(
                f"the metric {metric!r} needs exactly two answers, and there are {len(self.classes)}",
                "Plot the accuracy.",
            )
        return plot_probe_by_layer(self.table[self.table["metric"] == metric], metric)


def probe_commitment(
    model: Model,
    traces: Conditions,
    labels: Sequence[Hashable] | None = None,
    *,
    groups: Sequence[Hashable] | None = None,
    at: str = "prompt",
    layers: Sequence[int] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Commitment:
    """Probe the residual stream after each block for the model's own answer before the chain of thought.

    Source: Cox et al. 2026, arXiv 2603.01437; the baselines are ours. Values are accuracies and AUCs, 0 to 1.

    Args:
        model: the model.
        traces: unedited traces of many questions.
        labels: what to probe for, one for each trace; by default, the option that the model answers with.
        groups: the question of each trace, which is never on both sides of a fold. By default, each trace has its own.
        at: the piece at whose last token the residual stream is read.
        layers: the layers; all layers by default.
        folds: the number of parts of the questions; each is predicted by a probe that was trained on the others.
        seed: the seed of the folds and of the resampling.

    Returns:
        The held-out scores of the probe for each layer, with baselines and 95 % intervals.

    Raises:
        PlanError: a trace has edits or lacks the piece, the model lacks a layer, or there are not as many labels or
            groups as traces, or fewer than two folds.
        MeasureError: fewer than two answers are given to at least as many questions as there are folds.
    """
    check_folds(folds)
    listed = list_traces(traces)
    questions = number_questions(listed, groups)
    if labels is not None and len(labels) != len(listed):
        raise PlanError(
            f"there must be as many labels as traces, got {len(labels)} labels and {len(listed)} traces",
            "Pass one label for each trace.",
        )
    layers = select_layers(model, layers)
    name = f"{LAST_TOKEN_PREFIX} {at!r} ends"
    capture = Capture(activations=tuple(Site("resid_post", layer, name) for layer in layers))
    records = execute(model, plan_passes(model, [split_last_token(trace, at, name) for trace in listed]), capture)
    answers = [choose_option(record.logprobs) for record in records] if labels is None else list(labels)
    dropped = find_rare_answers(answers, questions, folds)
    used = [t for t in range(len(listed)) if t not in dropped]
    classes = Counter(answers[t] for t in used)
    if len(classes) < 2:
        counts = ", ".join(f"{label!r} {n} times" for label, n in Counter(answers).most_common(3))
        raise MeasureError(
            f"a probe in {folds} folds needs two answers that are each given to {folds} questions, and"
            f" fewer than two answers are given to {folds} questions or more, among {len(listed)} traces: {counts}",
            "Use more traces, fewer folds, or a task whose answers vary.",
        )
    y = np.array([list(classes).index(answers[t]) for t in used])
    q = np.unique(questions[used], return_inverse=True)[1]
    texts = [listed[t].ids[: listed[t].locate(at)[1]] for t in used]
    streams = {
        layer: _stack_activations([records[t] for t in used], Site("resid_post", layer, name)) for layer in layers
    }
    table = evaluate_probes(streams, bag_of_tokens(texts), y, q, folds, seed)
    return Commitment(table, at, classes, len(used), int(q.max()) + 1, dropped, folds, seed)


def check_folds(folds: int) -> None:
    """Refuse fewer than two folds. Raises PlanError."""
    if folds < 2:
        problem = f"a probe is trained on some folds and tried on another, so it needs 2 or more, got {folds}"
        raise PlanError(problem, "Pass folds=2 or more.")


def evaluate_probes(
    streams: Mapping[int, Float[np.ndarray, "trace d_model"]],
    bag: Float[np.ndarray, "trace feature"],
    labels: Labels,
    questions: Labels,
    folds: int,
    seed: int,
) -> pd.DataFrame:
    """The table of a `Commitment`: a probe on the activations of each layer, beside both baselines.

    Raises:
        MeasureError: all questions of an answer are in one fold.
    """
    fold = assign_folds(labels, questions, folds, seed)
    if any(len(set(labels[fold != f])) < len(set(labels)) for f in range(folds)):
        raise MeasureError(
            f"outside each of {folds} folds every answer must occur, and all questions of an answer are in one fold",
            "Use more traces, fewer folds, or another seed.",
        )
    baselines = predict_by_frequency(labels, fold), predict_with_probe(bag, labels, fold)
    probes = {layer: predict_with_probe(features, labels, fold) for layer, features in streams.items()}
    metrics: dict[ProbeMetric, Callable[[Probabilities], DrawStatistic]] = {
        "accuracy": lambda p: make_accuracy_statistic(p, labels, questions)
    }
    if labels.max() == 1:
        metrics["auc"] = lambda p: make_auc_statistic(p, labels, questions, fold)
    weights = draw_statistic_weights(int(questions.max()) + 1, seed)
    rows = [
        {"metric": metric, "layer": layer, **_make_row(of(predicted), [of(b) for b in baselines], weights)}
        for metric, of in metrics.items()
        for layer, predicted in probes.items()
    ]
    return pd.DataFrame(rows)


def make_accuracy_statistic(probabilities: Probabilities, labels: Labels, questions: Labels) -> DrawStatistic:
    """The share of traces whose most probable class is right; the unseen question has as many traces as the largest."""
    hits, counts = np.bincount(questions, mark_correct(probabilities, labels)), np.bincount(questions)
    most = counts.max()
    return lambda weights, unseen: (weights @ [*hits, unseen * most]) / (weights @ [*counts, most])


def make_auc_statistic(probabilities: Probabilities, labels: Labels, questions: Labels, fold: Labels) -> DrawStatistic:
    """The area under the ROC curve, within folds; the unseen question has as many pairs as the question with most."""
    member = np.eye(questions.max() + 1)[questions]
    won, exist = (member.T @ pairs @ member for pairs in compare_class_pairs(probabilities, labels, fold))
    return make_pair_statistic(won, exist)


def find_rare_answers(answers: Sequence[Hashable], questions: Int[np.ndarray, " trace"], folds: int) -> dict[int, str]:
    """Traces whose answer is given to fewer questions than there are folds, each with this as its reason."""
    n_questions = Counter(answer for answer, _ in set(zip(answers, questions.tolist(), strict=True)))
    return {
        t: f"{answer!r} is the answer to {n_questions[answer]} questions, and there are {folds} folds"
        for t, answer in enumerate(answers)
        if n_questions[answer] < folds
    }


def split_last_token(trace: Condition, at: str, name: str) -> Condition:
    """The same tokens, with the last token of the piece `at` in a piece `name` of its own, which can be read alone.

    Raises:
        PlanError: the trace has edits, or lacks the piece.
    """
    if trace.edits:
        raise PlanError(
            f"a probe needs unedited traces, and {trace.name!r} has {len(trace.edits)} edits",
            "Pass unedited traces, such as trace.clean.",
        )
    start, stop = trace.locate(at)
    own = (Piece(at, trace.ids[start : stop - 1]), Piece(name, trace.ids[stop - 1 : stop]))
    halves = [piece for piece in own if piece.ids]
    pieces = [each for piece in trace.pieces for each in (halves if piece.name == at else [piece])]
    return replace(trace, pieces=tuple(pieces))


def _stack_activations(records: Sequence[Record], site: Site) -> Float[np.ndarray, "trace d_model"]:
    """The activations of one site, one row for each trace."""
    return np.stack([record.activations[site][0].double().cpu().numpy() for record in records])


def _make_row(own: DrawStatistic, baselines: Sequence[DrawStatistic], weights: Array) -> dict[str, object]:
    """The numbers of one layer."""

    def compute_excess(drawn: Array, unseen: float) -> Array:
        return own(drawn, unseen) - np.max([baseline(drawn, 1 - unseen) for baseline in baselines], axis=0)

    value, low, high = _compute_interval(own, weights)
    frequencies, tokens = (_compute_value(baseline, weights) for baseline in baselines)
    excess, excess_low, excess_high = _compute_interval(compute_excess, weights)
    return {
        "value": value, "low": low, "high": high, "method": WEIGHTED, "prior": frequencies, "text": tokens,
        "excess": excess, "excess_low": excess_low, "excess_high": excess_high, "excess_method": WEIGHTED,
    }  # fmt: skip


def _compute_value(statistic: DrawStatistic, weights: Array) -> float:
    """The statistic of the questions as they are, all with the same weight."""
    return float(statistic(np.array([[1.0] * (weights.shape[1] - 1) + [0.0]]), 0.0)[0])


def _compute_interval(statistic: DrawStatistic, weights: Array) -> tuple[float, float, float]:
    """The value and the ends of the 95 % interval of a statistic."""
    low, high = compute_quantile(statistic(weights, 0.0), TAIL), compute_quantile(statistic(weights, 1.0), 1 - TAIL)
    return _compute_value(statistic, weights), float(low), float(high)
