"""By which path does the question reach the answer: through the words of the chain, around it, or through its states?

1. (X, R) is the clean question with its chain, (X', R') the corrupted one. Run all four pairs.
2. `total`, `content`, `question` and `interaction` are those of `measures.mediation`: falls of the metric from (X, R).
3. `relay`: run (X, R), whose answer rows read the keys and values that R has after X'. Subtract the fall when they read
   the keys and values of the run itself, which is 0 up to rounding.

For example, where the probability of the clean answer is .9 for (X, R), .1 for (X', R'), .3 for (X, R') and .8 for
(X', R), and .85 with the relayed states::

    total .8    content .6    question .1    interaction .8 - .6 - .1 = .1    relay .05

Source: Paul et al. 2024, arXiv 2402.13950 (FRODO), with interventions instead of sampled estimates; the relay is ours.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float

from faithlens.effects.experiment import (
    Conditions,
    Experiment,
    check_metric,
    make_trace_metric,
    pair_traces,
    replace_words,
    run_together,
)
from faithlens.effects.step_effects import METRIC_UNITS, Metric, compute_trace_intervals
from faithlens.effects.summary import Summary
from faithlens.measures.mediation import Decomposition
from faithlens.model.model import Model
from faithlens.plan.condition import Condition, KeyValuePatch
from faithlens.tasks.kinds import EFFECTS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TraceEffects = Float[np.ndarray, " trace"]


@dataclass(frozen=True, eq=False, repr=False)
class PathEffects(Summary, Decomposition[TraceEffects]):
    """Falls of the metric, one for each trace, when parts of the clean run are exchanged for the corrupted run's.

    Attributes:
        total: question and chain are exchanged (TE).
        content: the words of the chain are exchanged, the question stays (NIE).
        question: the question is exchanged, the words of the chain stay (NDE).
        interaction: `total` minus `content` minus `question`.
        relay: the answer rows read the keys and values that the same words have after the other question: what the
            positions of the chain carry, whatever the words say.
        metric: the metric of the answer, whose unit all effects have.
    """

    relay: TraceEffects
    metric: Metric

    def summarise(self) -> tuple[str, pd.DataFrame]:
        """The mean of each effect over traces."""
        mean = self.to_dataframe().drop(columns="trace").mean().rename_axis("path").reset_index(name="effect")
        return f"{METRIC_UNITS[self.metric]}, {len(self.total)} traces", mean

    def to_dataframe(self) -> pd.DataFrame:
        """A table with one row for each trace and one column for each effect."""
        return pd.DataFrame({name: getattr(self, name) for name in EFFECTS}).rename_axis("trace").reset_index()

    def bootstrap_ci(self, seed: int = 0) -> pd.DataFrame:
        """The mean of each effect over traces, with its 95 % interval over whole traces.

        Columns: path, effect, low, high (in the unit of the metric), n, the number of traces, and reason, why there is
        no interval.

        Args:
            seed: the seed of the resampling of traces.

        Raises:
            MeasureError: there is only one trace.
        """
        values = np.stack([getattr(self, name) for name in EFFECTS], 1)
        index = pd.Index([*EFFECTS], name="path")
        return compute_trace_intervals(values, index, f"paths in {self.metric}", self.metric, seed)

    def plot(self) -> "Figure":
        """The path diagram of mean effects, with intervals if there are several traces."""
        from faithlens.figures.path_diagram import plot_path_diagram  # plotly takes a second to import

        if len(self.total) < 2:
            return plot_path_diagram(
                {name: float(getattr(self, name)[0]) for name in EFFECTS}, METRIC_UNITS[self.metric]
            )
        rows = self.bootstrap_ci()[["effect", "low", "high"]].to_numpy().tolist()
        return plot_path_diagram(
            {name: tuple(row) for name, row in zip(EFFECTS, rows, strict=True)}, METRIC_UNITS[self.metric]
        )


def path_effects(
    model: Model, clean: Conditions, corrupted: Conditions, *, metric: Metric = "probability"
) -> PathEffects:
    """Mediation by the chain of thought, and the relay effect, of traces with the same token layout.

    Source: Paul et al. 2024, arXiv 2402.13950; the relay effect is ours.

    Args:
        model: the model.
        clean: the clean trace, or several.
        corrupted: the corrupted trace of each clean one, with the same token layout and another answer.
        metric: "logit_difference", "probability" or "kl", as in `patch_effects`.

    Returns:
        The effects for each pair of traces, in the units of `metric`.

    Raises:
        PlanError: an unknown metric, traces of different token layout, or pairs with the same answer.
    """
    check_metric(metric)
    pairs = pair_traces(clean, corrupted)
    records = iter(run_together(model, [each for pair in pairs for each in make_path_conditions(*pair)]))
    rows: list[tuple[float, float, float, float]] = []
    for one, other in pairs:
        clean_, both, *others = (next(records) for _ in make_path_conditions(one, other))
        trace_metric = make_trace_metric(metric, Experiment(one, one, other), [clean_, both])
        total, content, question, relay, own = (
            trace_metric.compute_effect(record, "noise") for record in (both, *others)
        )
        rows.append((total, content, question, relay - own))
    total, content, question, relay = np.array(rows, dtype=np.float64).T
    return PathEffects(total, content, question, relay, metric=metric)


def make_path_conditions(clean: Condition, corrupted: Condition) -> list[Condition]:
    """The two runs, the chain exchanged, the question exchanged, the relay, and the relay from the run itself."""
    stem, prompt = clean.pieces[-1].name, clean.spans[clean.pieces[0].name]
    chain = (prompt[1], clean.spans[stem][0])
    question_exchanged = replace(replace_words(clean, corrupted, prompt), name="question exchanged")
    return [
        clean,
        corrupted,
        replace(replace_words(clean, corrupted, chain), name="chain exchanged"),
        question_exchanged,
        replace(clean, name="relay", edits=(*clean.edits, KeyValuePatch(stem, chain, question_exchanged))),
        replace(clean, name="own key-value patch", edits=(*clean.edits, KeyValuePatch(stem, chain, clean))),
    ]
