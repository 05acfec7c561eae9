"""Which earlier steps do later steps use? Each step is hidden from all later pieces.

1. For each step, cut the attention from every later piece to it, in all layers.
2. For each later piece, compare the next-token distributions with those of the unedited run: the Kullback-Leibler
   divergence over the whole vocabulary, averaged over the tokens of the piece.
3. Repeat this with random spans of as many tokens before the same readers. Hiding any tokens gives more attention to
   the others; the mean over these controls is the part of a value that this explains.

For example, with the pieces prompt (3 tokens), step 0 (2), step 1 (2) and stem (1), and the step "step 1"::

    draw_earlier_span(trace, "step 1", rng)    2 of the tokens 1 to 6: (1, 3), (2, 4) ... or (5, 7)
    suppress_step(trace, "step 1", (5, 7))     the stem does not see the tokens 5 and 6, which are step 1
    value                                      one row, for the reader "stem"; NaN for "step 0" and "step 1"

After attention suppression of Bogdan et al. 2025 (arXiv 2506.19143), with two deviations: no logarithm is taken, and
the divergence is over the whole vocabulary, not over the 100 likeliest tokens. The rows of the step itself are not
masked.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import NDArray

from faithlens.effects.experiment import Conditions, list_traces, run_together, select_steps
from faithlens.effects.summary import Summary, average_by
from faithlens.interventions.control_span import draw_control_span
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition, Knockout, Span

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True, eq=False, repr=False)
class StepMatrix(Summary):
    """How far hiding each step changes the next-token distributions of each later piece, in nats.

    NaN where the reader is not later than the step, or the trace has no such piece.

    Attributes:
        steps: the steps that were hidden.
        readers: the pieces from which they were hidden: all steps, and the stem, whose rows give the answer.
        value: the divergence, averaged over the tokens of the reader.
        null: the same for random spans of as many tokens; NaN without such controls.
        seed: the seed of the random spans.
    """

    steps: tuple[str, ...]
    readers: tuple[str, ...]
    value: Float[np.ndarray, "trace reader step"]
    null: Float[np.ndarray, "trace reader step"]
    seed: int

    def summarise(self) -> tuple[str, pd.DataFrame]:
        """The mean divergence of each reader by the step that is hidden from it."""
        mean = average_by(self.to_dataframe(), ["reader", "step"], "value")
        square = mean.pivot(index="reader", columns="step", values="value").reindex(self.readers, columns=self.steps)
        return f"nats, {len(self.value)} traces; columns: the hidden step", square.rename_axis(
            columns=None
        ).reset_index()

    def to_dataframe(self) -> pd.DataFrame:
        """A table with one row for each trace, reader and earlier step. Columns: trace, reader, step, value, null."""
        axes = [range(len(self.value)), self.readers, self.steps]
        index = pd.MultiIndex.from_product(axes, names=["trace", "reader", "step"])
        columns = {"value": self.value.ravel(), "null": self.null.ravel()}
        frame = pd.DataFrame(columns, index=index).reset_index()
        return frame[frame["value"].notna()].reset_index(drop=True)

    def plot(self) -> "Figure":
        """A heat map of the mean over traces, readers by steps."""
        from faithlens.figures.internals import plot_step_matrix  # plotly takes a second to import

        names = list(dict.fromkeys([*self.steps, *self.readers]))
        there = np.isfinite(self.value)
        mean = np.where(there, self.value, 0).sum(0) / np.where(there.any(0), there.sum(0), np.nan)
        square = pd.DataFrame(mean, index=self.readers, columns=self.steps).reindex(index=names, columns=names)
        return plot_step_matrix(square.to_numpy(), names, "nat")


def suppression_effects(
    model: Model, traces: Conditions, *, steps: Sequence[str] | None = None, controls: int = 1, seed: int = 0
) -> StepMatrix:
    """Hide each step from every later piece in all layers, and measure how far their next tokens change.

    Source: attention suppression of Bogdan et al. 2025, arXiv 2506.19143; deviations are in the module docstring.

    Args:
        model: the model.
        traces: one trace or several.
        steps: the steps to hide; all by default.
        controls: the number of random spans for each step, whose mean is the null. Each costs as much as the step.
        seed: the seed of the random spans.

    Returns:
        The divergences as [trace, piece that reads, step that is hidden], in nats, with those of random spans.

    Raises:
        PlanError: no trace has one of the steps.
    """
    listed = list_traces(traces)
    names = select_steps(listed, steps)
    conditions: list[Condition] = []
    cells: list[tuple[int, int]] = []
    for t, trace in enumerate(listed):
        for s, name in enumerate(names):
            if name in trace.spans:
                cells.append((t, s))
                rng = random.Random(f"suppress:{seed}:{t}:{name}")
                hidden: list[Span] = [name, *(draw_earlier_span(trace, name, rng) for _ in range(controls))]
                conditions += [suppress_step(trace, name, where) for where in hidden]
    readers = tuple(dict.fromkeys(piece.name for trace in listed for piece in trace.pieces[1:]))
    value, null = (np.full((len(listed), len(readers), len(names)), np.nan) for _ in range(2))
    records = iter(run_together(model, conditions, Capture(divergence=True)))
    for t, s in cells:
        rows: list[NDArray[np.float32]] = []
        for _ in range(1 + controls):
            kl = next(records).kl
            assert kl is not None
            rows.append(kl.numpy())
        for reader in list_later_pieces(listed[t], names[s]):
            i, r = list(listed[t].spans).index(reader), readers.index(reader)
            value[t, r, s] = rows[0][i]
            null[t, r, s] = np.mean([row[i] for row in rows[1:]]) if controls else np.nan
    return StepMatrix(tuple(names), readers, value, null, seed)


def list_later_pieces(trace: Condition, name: str) -> list[str]:
    """The names of the pieces after the piece `name`."""
    pieces = list(trace.spans)
    return pieces[pieces.index(name) + 1 :]


def suppress_step(trace: Condition, name: str, where: Span) -> Condition:
    """`trace` with `where` hidden from every piece after `name`; its reference is the unedited trace."""
    edits = tuple(Knockout(reader, (where,)) for reader in list_later_pieces(trace, name))
    return replace(trace, name=f"without {name}", edits=(*trace.edits, *edits), reference=trace)


def draw_earlier_span(trace: Condition, name: str, rng: random.Random) -> tuple[int, int]:
    """A random span of as many tokens as the step, which ends no later than the step, without the first token."""
    start, stop = trace.spans[name]
    return draw_control_span(stop, stop - start, rng)
