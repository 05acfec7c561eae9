"""From step to step: what hiding one from all later ones changes in what they say."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float

from faithlens.effects.experiment import Conditions, list_traces, run_together, select_steps
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition, Knockout, Span

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True, eq=False)
class StepMatrix:
    """How far hiding a step moves each later piece's next-token distributions, in nats; NaN where it is not later.

    Attributes:
        steps: which were hidden.
        readers: the pieces that could not see them: all steps, and the stem, whose rows give the answer.
        value: mean divergence over the reader's tokens.
        null: the same for random stretches of as many tokens; NaN where none was asked for.
        seed: of these stretches.
    """

    steps: tuple[str, ...]
    readers: tuple[str, ...]
    value: Float[np.ndarray, "trace reader step"]
    null: Float[np.ndarray, "trace reader step"]
    seed: int

    def to_dataframe(self) -> pd.DataFrame:
        """A row a trace, reader and step before it."""
        axes = [range(len(self.value)), self.readers, self.steps]
        index = pd.MultiIndex.from_product(axes, names=["trace", "reader", "step"])
        columns = {"value": self.value.ravel(), "null": self.null.ravel()}
        frame = pd.DataFrame(columns, index=index).reset_index()
        return frame[frame["value"].notna()].reset_index(drop=True)

    def plot(self) -> "Figure":
        """Mean over traces, a heat map of readers by steps."""
        from faithlens.figures.internals import plot_step_matrix  # plotly takes a second to import

        names = list(dict.fromkeys([*self.steps, *self.readers]))
        there = np.isfinite(self.value)
        mean = np.where(there, self.value, 0).sum(0) / np.where(there.any(0), there.sum(0), np.nan)
        square = pd.DataFrame(mean, index=self.readers, columns=self.steps).reindex(index=names, columns=names)
        return plot_step_matrix(square.to_numpy(), names, "nat")


def suppression_effects(
    model: Model, traces: Conditions, *, steps: Sequence[str] | None = None, controls: int = 1, seed: int = 0
) -> StepMatrix:
    """Hide each step from every later piece, in all layers, and compare what they say of the next token (M20).

    The divergence is Kullback-Leibler's from the unhidden run, over the whole vocabulary, a mean over tokens. After
    attention suppression of Bogdan et al. 2025 (arXiv 2506.19143), whose logarithm and top-100 lists are left out, and
    in which a step's own rows are masked too. Masking makes room for other tokens in every softmax: `controls` random
    stretches of as many tokens, before the same readers, say how much of a value is that.
    """
    found = list_traces(traces)
    names = select_steps(found, steps)
    asked: list[Condition] = []
    cells: list[tuple[int, int]] = []
    for t, trace in enumerate(found):
        for s, name in enumerate(names):
            if name in trace.spans:
                cells.append((t, s))
                rng = random.Random(f"suppress:{seed}:{t}:{name}")
                hidden: list[Span] = [name, *(draw_earlier_span(trace, name, rng) for _ in range(controls))]
                asked += [suppress_step(trace, name, where) for where in hidden]
    readers = tuple(dict.fromkeys(piece.name for trace in found for piece in trace.pieces[1:]))
    value, null = (np.full((len(found), len(readers), len(names)), np.nan) for _ in range(2))
    records = iter(run_together(model, asked, Capture(divergence=True)))
    for t, s in cells:
        rows = []
        for _ in range(1 + controls):
            kl = next(records).kl
            assert kl is not None
            rows.append(kl.numpy())
        for reader in list_later_pieces(found[t], names[s]):
            i, r = list(found[t].spans).index(reader), readers.index(reader)
            value[t, r, s] = rows[0][i]
            null[t, r, s] = np.mean([row[i] for row in rows[1:]]) if controls else np.nan
    return StepMatrix(tuple(names), readers, value, null, seed)


def list_later_pieces(trace: Condition, name: str) -> list[str]:
    """The pieces after `name`."""
    pieces = list(trace.spans)
    return pieces[pieces.index(name) + 1 :]


def suppress_step(trace: Condition, name: str, where: Span) -> Condition:
    """`trace` with `where` hidden from every piece after `name`, to be compared with itself."""
    edits = tuple(Knockout(reader, (where,)) for reader in list_later_pieces(trace, name))
    return replace(trace, name=f"without {name}", edits=(*trace.edits, *edits), reference=trace)


def draw_earlier_span(trace: Condition, name: str, rng: random.Random) -> tuple[int, int]:
    """As many tokens as the step has, anywhere up to its end but at the very first token, an attention sink."""
    start, stop = trace.spans[name]
    first = rng.randint(1, max(1, start))
    return first, first + stop - start
