"""What does each head bring from each piece to the answer, to first order?

1. Run each trace; the metric is the logit difference between its answer and the second answer.
2. At the answer row, for each head, let z be its output, g the gradient of the metric at z, and A_j v_j the
   attention-weighted value that it reads from token j. The worth of a piece is the sum of A_j (g . v_j) over its
   tokens. Over all pieces the worth adds up to g . z.
3. This is an approximation. So for some heads drawn at random, zero the output and compare the exact fall of the metric
   with the worth over all pieces.

For example, one head in two dimensions, with pieces of one token each::

    g = (2, 0)        prompt  A = .25, v = (0, 4)    worth .25 * 0 = 0
                      step 0  A = .75, v = (2, 0)    worth .75 * 4 = 3
    z = (1.5, 1)      g . z = 3 = 0 + 3
"""

import random
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from faithlens.effects.approximation import ApproximationQuality, assess_approximation, check_approximation
from faithlens.effects.experiment import Conditions, list_traces, run_together
from faithlens.effects.summary import Summary, average_by
from faithlens.execution.execute import execute
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Ablation, Condition
from faithlens.plan.memory import plan_passes


@dataclass(frozen=True, eq=False, repr=False)
class GradientFlow(Summary):
    """The worth of each head and piece, and how well it agrees with removing heads.

    Attributes:
        table: one row for each trace, layer, head and piece, with the column `worth`, in logits.
        quality: the worth of checked heads, over all pieces, compared with the exact fall when the head is removed.
    """

    table: pd.DataFrame
    quality: ApproximationQuality

    def summarise(self) -> tuple[str, pd.DataFrame]:
        """The mean worth of the heads and pieces that bring most."""
        mean = average_by(self.table, ["layer", "head", "piece"], "worth")
        strongest = mean.sort_values("worth", key=abs, ascending=False, kind="stable")
        return f"logits, {self.table['trace'].nunique()} traces; {self.quality.describe()}", strongest

    def to_dataframe(self) -> pd.DataFrame:
        """The table. Columns: trace, layer, head, piece, and worth in logits.

        Raises:
            MeasureError: too many of the checked heads have the wrong sign.
        """
        check_approximation(self.quality, "gradient-weighted flow")
        return self.table


def measure_gradient_flow(model: Model, traces: Conditions, *, n_checked: int = 20, seed: int = 0) -> GradientFlow:
    """Measure what each head brings from each piece to the answer, to first order, in logits.

    The method is ours; its steps are in the module docstring.

    Args:
        model: the model.
        traces: one trace or several, without edits.
        n_checked: the number of heads for each trace that are removed to check the approximation.
        seed: the seed of the draw of these heads.

    Returns:
        The flow by head and piece, with the check of its approximation.

    Raises:
        PlanError: a trace has edits.
    """
    listed = list_traces(traces)
    rng = random.Random(f"flow:{seed}")
    every = [(layer, head) for layer in range(model.n_layers) for head in range(model.n_heads)]
    drawn = [rng.sample(every, min(n_checked, len(every))) for _ in listed]
    without = [remove_head(one, *place) for one, places in zip(listed, drawn, strict=True) for place in places]
    records = run_together(model, [*listed, *without])
    ablated = iter(records[len(listed) :])
    frames: list[pd.DataFrame] = []
    first_order: list[float] = []
    exact: list[float] = []
    for t, (one, record, places) in enumerate(zip(listed, records, drawn, strict=False)):
        answer, foil = map(int, record.logprobs.argsort(descending=True)[:2])
        weights = torch.zeros(len(one.options))
        weights[answer], weights[foil] = 1.0, -1.0
        capture = Capture(attribution=tuple(map(float, weights)), gradient_flow=("answer",))
        [read] = execute(model, plan_passes(model, [one]), capture)
        worth = read.gradient_flow["answer"]
        index = pd.MultiIndex.from_product(
            [[t], *map(range, worth.shape[:2]), one.spans], names=["trace", "layer", "head", "piece"]
        )
        frames.append(pd.DataFrame({"worth": worth.flatten().double().numpy()}, index=index).reset_index())
        first_order += [float(worth[place].sum()) for place in places]
        exact += [float(weights @ (record.logprobs - next(ablated).logprobs)) for _ in places]
    shape = (1, 1, len(exact))
    return GradientFlow(
        pd.concat(frames, ignore_index=True),
        assess_approximation(np.reshape(first_order, shape), np.reshape(exact, shape)),
    )


def remove_head(trace: Condition, layer: int, head: int) -> Condition:
    """`trace` with the output of one head set to zero at the answer row."""
    row = (len(trace.ids) - 1, len(trace.ids))
    edit = Ablation("z", row, "zero", layers=(layer,), heads=(head,))
    return replace(trace, name="without a head", edits=(*trace.edits, edit))
