"""The paths from question to answer: through what the chain of thought says, around it, and through where it stands."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float

from faithlens.effects.experiment import (
    Conditions,
    Experiment,
    make_trace_metric,
    pair_traces,
    replace_words,
    run_together,
)
from faithlens.effects.step_effects import METRIC_UNITS, Metric, compute_trace_intervals
from faithlens.model.model import Model
from faithlens.plan.condition import Condition, KeyValuePatch
from faithlens.tasks.kinds import EFFECTS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TraceEffects = Float[np.ndarray, " trace"]


@dataclass(frozen=True, eq=False)
class PathEffects:
    """Falls of the metric, one a trace, when something of the clean run is exchanged for the corrupted one's.

    Attributes:
        metric: what of the answer is compared.
        total: question and chain of thought are exchanged (TE).
        content: the words of the chain of thought are, the question stays (NIE).
        question: the question is, the words of the chain of thought stay (NDE).
        relay: the answer rows read the keys and values that the same words have after the other question: what the
            positions of the chain carry whatever it says (M7). What splicing the run's own changes is taken off.
    """

    metric: Metric
    total: TraceEffects
    content: TraceEffects
    question: TraceEffects
    relay: TraceEffects

    @property
    def interaction(self) -> TraceEffects:
        """What both exchanges do together beyond what each does alone."""
        return self.total - self.content - self.question

    def to_dataframe(self) -> pd.DataFrame:
        """A row a trace."""
        return pd.DataFrame({name: getattr(self, name) for name in EFFECTS}).rename_axis("trace").reset_index()

    def bootstrap_ci(self, seed: int = 0) -> pd.DataFrame:
        """The mean of each effect with its 95 % interval, whole traces resampled.

        Raises:
            MeasureError: there is one trace only, which has no spread.
        """
        values = np.stack([getattr(self, name) for name in EFFECTS], 1)
        return compute_trace_intervals(values, pd.Index([*EFFECTS], name="path"), f"paths in {self.metric}", seed)

    def plot(self) -> "Figure":
        """The path diagram, with intervals where there are several traces."""
        from faithlens.figures.path_diagram import plot_path_diagram  # plotly takes a second to import

        if len(self.total) < 2:
            return plot_path_diagram({name: float(getattr(self, name)[0]) for name in EFFECTS}, METRIC_UNITS[self.metric])
        rows = self.bootstrap_ci()[["effect", "low", "high"]].to_numpy().tolist()
        return plot_path_diagram(
            {name: tuple(row) for name, row in zip(EFFECTS, rows, strict=True)}, METRIC_UNITS[self.metric]
        )


def path_effects(
    model: Model, clean: Conditions, corrupted: Conditions, *, metric: Metric = "probability"
) -> PathEffects:
    """Mediation by the chain of thought (M1-M3), and the relay effect (M7), of traces that line up.

    The clean trace is question X with chain R, the corrupted one X' with R'; the metric is read under all four pairs.

    Raises:
        PlanError: the traces do not match in tokens, or answer alike.
    """
    pairs = pair_traces(clean, corrupted)
    records = iter(run_together(model, [each for pair in pairs for each in make_path_conditions(*pair)]))
    rows = []
    for one, other in pairs:
        clean_, both, *others = (next(records) for _ in make_path_conditions(one, other))
        stick = make_trace_metric(metric, Experiment(one, one, other), [clean_, both])
        total, content, question, relay, own = (stick.compute_effect(record, "noise") for record in (both, *others))
        rows.append((total, content, question, relay - own))
    return PathEffects(metric, *np.array(rows).T)


def make_path_conditions(clean: Condition, corrupted: Condition) -> list[Condition]:
    """The pair; the chain exchanged; the question exchanged; the relay, and the same splice of the run itself."""
    stem, prompt = clean.pieces[-1].name, clean.spans[clean.pieces[0].name]
    chain = (prompt[1], clean.spans[stem][0])
    asked = replace(replace_words(clean, corrupted, prompt), name="question exchanged")
    return [
        clean,
        corrupted,
        replace(replace_words(clean, corrupted, chain), name="chain exchanged"),
        asked,
        replace(clean, name="relay", edits=(*clean.edits, KeyValuePatch(stem, chain, asked))),
        replace(clean, name="own splice", edits=(*clean.edits, KeyValuePatch(stem, chain, clean))),
    ]
