"""Pre-CoT commitment (M18): can the model's own answer be read off its activations before it has thought?

A linear probe on the residual stream at the last token before the chain of thought, block by block, trained and judged
on different questions (as Cox et al. 2026, arXiv 2603.01437, do), beside two baselines on the same folds: the answers'
frequencies, and a bag of the tokens so far. What a bag of tokens knows is in the text, and no commitment.

It describes and never decides alone. An answer that can be read early may not be used, and one that cannot may still be
computed from the question, at the answer's own tokens.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from faithlens.effects.experiment import Conditions, list_traces, number_questions
from faithlens.errors import MeasureError, PlanError
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
from faithlens.stats.interval import BOOTSTRAP, REPORT_PRECISION, UNANIMOUS
from faithlens.stats.resample import Array, compute_expanded_percentile, draw_questions, compute_unanimous_interval

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LAST_TOKEN_PREFIX = "the last token before"  # the piece that holds it
ProbeMetric = Literal["accuracy", "auc"]
DrawStatistic = Callable[[Array], Array]  # of how often each question is drawn, [draw, question]: one number a draw


@dataclass(frozen=True, eq=False)
class Commitment:
    """How well a probe reads the answer, layer by layer, on questions that it was not trained on.

    Attributes:
        table: a row a metric and layer. `value` is the probe's, `prior` and `text` are those of the baselines, `excess`
            is the probe's minus that of the better baseline; values and excesses have 95 % intervals over questions.
            Metrics are "accuracy" and, of two answers, "auc", the area under the ROC curve.
        at: the piece at whose last token the stream is read.
        classes: the answers that are told apart, with the traces of each.
        n_used: traces.
        n_questions: their questions.
        dropped: traces that were left out, and why.
        folds: parts of the questions; each is judged by a probe that was trained on the others.
        seed: of the folds and the resampling.
    """

    table: pd.DataFrame
    at: str
    classes: Mapping[Hashable, int]
    n_used: int
    n_questions: int
    dropped: Mapping[int, str]
    folds: int
    seed: int

    def plot(self, metric: ProbeMetric = "accuracy") -> "Figure":
        """The probe along the layers, with its band, above the baselines."""
        from faithlens.figures.internals import plot_probe_by_layer  # plotly takes a second to import

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
    """Probe the residual stream after each block for the model's own answer before it has thought (M18).

    Args:
        model: the model.
        traces: unedited traces of many questions.
        labels: what to probe for, one a trace; by default the option the model answers with.
        groups: the question of each trace, never on both sides of a fold; by default each is its own.
        at: the piece at whose last token the stream is read.
        layers: which; all by default.
        folds: parts of the questions; each is judged by a probe that was trained on the others.
        seed: of the folds and the resampling.

    Raises:
        PlanError: a trace is edited or lacks the piece, or there are not as many labels or groups as traces.
        MeasureError: fewer than two answers are given to as many questions as there are folds.
    """
    found = list_traces(traces)
    questions = number_questions(found, groups)
    if labels is not None and len(labels) != len(found):
        given = f"{len(labels)} labels and {len(found)} traces"
        raise PlanError("a probe for given labels", given, "give one for each trace")
    chosen = tuple(range(model.n_layers) if layers is None else layers)
    name = f"{LAST_TOKEN_PREFIX} {at!r} ends"
    capture = Capture(activations=tuple(Site("resid_post", layer, name) for layer in chosen))
    records = execute(model, plan_passes(model, [split_last_token(trace, at, name) for trace in found]), capture)
    answers = [choose_option(record.logprobs) for record in records] if labels is None else list(labels)
    dropped = find_rare_answers(answers, questions, folds)
    used = [t for t in range(len(found)) if t not in dropped]
    classes = Counter(answers[t] for t in used)
    if len(classes) < 2:
        told = ", ".join(f"{label!r} {n} times" for label, n in Counter(answers).most_common(3))
        raise MeasureError(
            f"a probe for the answers of {len(found)} traces, in {folds} folds",
            f"fewer than two answers are given to {folds} questions or more: {told}",
            "give more traces, fewer folds, or a task whose answers vary",
        )
    y = np.array([list(classes).index(answers[t]) for t in used])
    q = np.unique(questions[used], return_inverse=True)[1]
    texts = [found[t].ids[: found[t].locate(at)[1]] for t in used]
    streams = {
        layer: _stack_activations([records[t] for t in used], Site("resid_post", layer, name)) for layer in chosen
    }
    table = evaluate_probes(streams, bag_of_tokens(texts), y, q, folds, seed)
    return Commitment(table, at, classes, len(used), int(q.max()) + 1, dropped, folds, seed)


def evaluate_probes(
    streams: Mapping[int, Float[np.ndarray, "trace d_model"]],
    bag: Float[np.ndarray, "trace feature"],
    labels: Labels,
    questions: Labels,
    folds: int,
    seed: int,
) -> pd.DataFrame:
    """The table of a `Commitment`: a probe on the features of each layer, beside both baselines.

    Raises:
        MeasureError: all questions of an answer came into one fold.
    """
    fold = assign_folds(labels, questions, folds, seed)
    if any(len(set(labels[fold != f])) < len(set(labels)) for f in range(folds)):
        found = "all questions of an answer are in one fold"
        raise MeasureError(f"a probe in {folds} folds", found, "give more traces, fewer folds, or another seed")
    baselines = predict_by_frequency(labels, fold), predict_with_probe(bag, labels, fold)
    probes = {layer: predict_with_probe(features, labels, fold) for layer, features in streams.items()}
    metrics: dict[ProbeMetric, Callable[[Probabilities], DrawStatistic]] = {
        "accuracy": lambda p: make_accuracy_statistic(p, labels, questions)
    }
    if labels.max() == 1:
        metrics["auc"] = lambda p: make_auc_statistic(p, labels, questions, fold)
    weights = draw_questions(int(questions.max()) + 1, seed)
    rows = [
        {"metric": metric, "layer": layer, **_make_row(of(found), [of(b) for b in baselines], weights)}
        for metric, of in metrics.items()
        for layer, found in probes.items()
    ]
    return pd.DataFrame(rows)


def make_accuracy_statistic(probabilities: Probabilities, labels: Labels, questions: Labels) -> DrawStatistic:
    """Share of traces whose most probable class is right, as a function of the questions drawn."""
    hits, counts = np.bincount(questions, mark_correct(probabilities, labels)), np.bincount(questions)
    return lambda weights: (weights @ hits) / (weights @ counts)


def make_auc_statistic(probabilities: Probabilities, labels: Labels, questions: Labels, fold: Labels) -> DrawStatistic:
    """Area under the ROC curve, within folds, as a function of the questions drawn."""
    member = np.eye(questions.max() + 1)[questions]
    won, exist = (member.T @ pairs @ member for pairs in compare_class_pairs(probabilities, labels, fold))
    return lambda weights: ((weights @ won) * weights).sum(1) / ((weights @ exist) * weights).sum(1)


def find_rare_answers(answers: Sequence[Hashable], questions: Int[np.ndarray, " trace"], folds: int) -> dict[int, str]:
    """Traces whose answer is given to fewer questions than there are folds, so that some fold would not know it."""
    given = Counter(answer for answer, _ in set(zip(answers, questions.tolist(), strict=True)))
    return {
        t: f"{answer!r} is the answer to {given[answer]} questions, and there are {folds} folds"
        for t, answer in enumerate(answers)
        if given[answer] < folds
    }


def split_last_token(trace: Condition, at: str, name: str) -> Condition:
    """The same tokens, with the last of the piece `at` in a piece `name` of its own, so that it alone is read.

    Raises:
        PlanError: the trace is edited, or lacks the piece.
    """
    if trace.edits:
        asked = f"a probe of {trace.name!r}"
        raise PlanError(asked, f"it has {len(trace.edits)} edits", "give unedited traces, such as trace.clean")
    start, stop = trace.locate(at)
    own = (Piece(at, trace.ids[start : stop - 1]), Piece(name, trace.ids[stop - 1 : stop]))
    halves = [piece for piece in own if piece.ids]
    pieces = [each for piece in trace.pieces for each in (halves if piece.name == at else [piece])]
    return replace(trace, pieces=tuple(pieces))


def _stack_activations(records: Sequence[Record], site: Site) -> Float[np.ndarray, "trace d_model"]:
    """The activations of one site, a row a trace."""
    return np.stack([record.activations[site][0].double().cpu().numpy() for record in records])


def _make_row(own: DrawStatistic, baselines: Sequence[DrawStatistic], weights: Array) -> dict[str, object]:
    """One layer's numbers."""

    def excess(drawn: Array) -> Array:
        return own(drawn) - np.max([baseline(drawn) for baseline in baselines], axis=0)

    whole = np.ones((1, weights.shape[1]))
    value, low, high, method = _compute_interval(own, weights, (0.0, 1.0))
    frequencies, tokens = (float(baseline(whole)[0]) for baseline in baselines)
    row: dict[str, object] = {
        "value": value,
        "low": low,
        "high": high,
        "method": method,
        "prior": frequencies,
        "text": tokens,
    }
    names = ("excess", "excess_low", "excess_high", "excess_method")
    return row | dict(zip(names, _compute_interval(excess, weights, (-1.0, 1.0)), strict=True))


def _compute_interval(
    statistic: DrawStatistic, weights: Array, scale: tuple[float, float]
) -> tuple[float, float, float, str]:
    """Value and 95 % interval of a statistic, and how the interval was made."""
    n = weights.shape[1]
    value = float(statistic(np.ones((1, n)))[0])
    with np.errstate(invalid="ignore"):  # draws without one of two classes have no AUC
        drawn = statistic(weights)
    if np.nanmax(drawn) - np.nanmin(drawn) <= REPORT_PRECISION:
        return value, *compute_unanimous_interval(value, n, *scale), UNANIMOUS
    low, high = compute_expanded_percentile(drawn[:, None], np.array([n]))
    return value, float(low[0]), float(high[0]), BOOTSTRAP
