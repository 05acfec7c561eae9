"""How far along a chain can the final answer be read, by the logit lens and by a probe?

1. Each case gives its own trace and, if it has one, the trace of its counterfactual question: of a reversed pair, the
   reverse. Places are evenly spaced along the chain: 0 keeps no step, 1 keeps all.
2. At each place the chain is cut and the answer asked for. The row that answers is read after each block: by the lens
   (nostalgebraist 2020), which gives the probability of the final answer among the options, and by a probe.
3. The probe is trained to name the final answer, in folds that keep a case's two traces together. Beside it stand the
   frequencies of answers and a probe on the tokens so far (`fl.effects.probe_commitment`).

For example, for a model that computes its answer step by step, in its last block::

    place   0     .25   .5    .75   1
    lens    .5    .5    .5    .5    1.0
    probe   .5    .5    .5    .5    1.0
    text    .5    .5    .5    .5    .8       the last step says the answer

In the last block the lens is the answer that the cut chain forces. What a probe reads beyond it is there and not said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from faithlens.effects.commitment import check_folds, probe_commitment
from faithlens.effects.experiment import run_together, select_layers
from faithlens.effects.summary import Summary, average_by
from faithlens.effects.views import check_first_tokens
from faithlens.errors import PlanError
from faithlens.interventions.case import Case
from faithlens.measures.answers import choose_option
from faithlens.model.model import Model
from faithlens.model.trace import Trace
from faithlens.plan.capture import Capture
from faithlens.plan.condition import ANSWER, Condition

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True, eq=False, repr=False)
class DecisionPlace(Summary):
    """How far along the chain the final answer can be read.

    Attributes:
        lens: one row for each trace, place and layer: `question`, `probability` of the final answer by the lens.
        probe: one row for each place, metric and layer: the columns of `Commitment.table`, and the numbers of traces
            and questions that the probe used, `n_used` and `n_questions`. It leaves out answers to fewer questions than
            there are folds; the lens reads all traces.
    """

    lens: pd.DataFrame
    probe: pd.DataFrame

    def summarise(self) -> tuple[str, pd.DataFrame]:
        """The mean probability of the final answer by place, in the last layer, beside the probe's accuracy."""
        last = self.lens["layer"].max()
        lens = average_by(self.lens.query("layer == @last"), ["place"], "probability")
        is_shown = (self.probe["metric"] == "accuracy") & (self.probe["layer"] == last)
        table = lens.merge(self.probe.loc[is_shown, ["place", "value", "low", "high", "prior"]], how="left")
        caption = f"layer {last}, {self.lens['trace'].nunique()} traces, {len(table)} places; value: of the probe"
        return caption, table

    def plot(self, layer: int | None = None) -> "Figure":
        """The lens (mean over traces) and the probe's accuracy along the chain, in one layer; the last by default.

        Raises:
            PlanError: the layer was not read.
        """
        from faithlens.figures.internals import plot_decision  # plotly takes a second to import

        known = sorted(map(int, self.lens["layer"].unique()))
        at = known[-1] if layer is None else layer
        if at not in known:
            raise PlanError(f"layer {at} was not read", f"Name one of {', '.join(map(str, known))}.")
        is_accuracy = self.probe["metric"] == "accuracy"
        return plot_decision(
            self.lens[self.lens["layer"] == at].groupby("place")["probability"].mean(),
            self.probe[is_accuracy & (self.probe["layer"] == at)],
        )


def locate_decision(
    model: Model,
    cases: Sequence[Case],
    *,
    places: int = 5,
    layers: Sequence[int] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> DecisionPlace:
    """Read the final answer along the chains of many questions by the logit lens and by linear probes.

    Sources: nostalgebraist 2020 (lens); Cox et al. 2026, arXiv 2603.01437 (probe). Values are probabilities and
    accuracies, 0 to 1.

    Args:
        model: the model.
        cases: cases with a stem, as `fl.think` returns them; a case whose counterfactual chain is there counts twice.
        places: the number of places along each chain, at least 2.
        layers: the layers of the probe and of the table; all layers by default.
        folds: the number of parts of the questions; each is predicted by a probe that was trained on the others.
        seed: the seed of the folds and of the intervals.

    Returns:
        The readings by place and layer.

    Raises:
        PlanError: fewer than two places or folds, no case, or options that the lens cannot tell apart.
        MeasureError: fewer than two answers are given to at least as many questions as there are folds.
    """
    if places < 2 or not cases:
        problem = f"a decision is located among 2 or more places in 1 or more cases, got {places} and {len(cases)}"
        raise PlanError(problem, "Pass places=2 or more, and cases of fl.think.")
    check_folds(folds)
    layers = select_layers(model, layers)
    fractions = [float(f) for f in np.linspace(0, 1, places)]
    rows = [(case, trace) for case in cases for trace in _list_traces(case)]
    questions = [case.question.id for case, _ in rows]
    cuts = {f: [_cut(case, trace, f) for case, trace in rows] for f in fractions}
    for trace in cuts[1.0]:
        check_first_tokens(trace)
    read = run_together(model, [cut for own in cuts.values() for cut in own], Capture(logit_lens=(ANSWER,)))
    records = {f: read[i * len(rows) : (i + 1) * len(rows)] for i, f in enumerate(fractions)}
    answers = [choose_option(record.logprobs) for record in records[1.0]]
    lens = [
        (t, questions[t], f, layer, float(record.logit_lens[ANSWER][layer, answers[t]].exp()))
        for f, own in records.items()
        for t, record in enumerate(own)
        for layer in layers
    ]
    labels = [name_option(case, trace, answer) for (case, trace), answer in zip(rows, answers, strict=True)]
    probes = {
        f: probe_commitment(
            model, own, labels, groups=questions, at=own[0].pieces[-1].name, layers=layers, folds=folds, seed=seed
        )
        for f, own in cuts.items()
    }
    tables = [
        each.table.assign(place=f, n_used=each.n_used, n_questions=each.n_questions) for f, each in probes.items()
    ]
    columns = ["trace", "question", "place", "layer", "probability"]
    return DecisionPlace(pd.DataFrame(lens, columns=columns), pd.concat(tables, ignore_index=True))


def _list_traces(case: Case) -> list[Trace]:
    """The case's own trace, and that of its counterfactual question."""
    return [case.trace, *([case.counterfactual] if case.counterfactual else [])]


def _cut(case: Case, trace: Trace, fraction: float) -> Condition:
    """The first steps of a trace, then the stem."""
    n_steps = round(fraction * len(trace.steps))
    return case.make_condition(f"cut@{n_steps}", trace.pieces[: 1 + n_steps])


def name_option(case: Case, trace: Trace, option: int) -> str:
    """What an option says: letters may stand for different contents, also in a question and its counterfactual."""
    other = case.counterfactual_question
    question = other.question if other is not None and trace is case.counterfactual else case.question
    return question.choices[option] if question.choices else case.candidates[option]
