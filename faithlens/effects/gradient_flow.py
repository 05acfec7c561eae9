"""What heads take from each piece, and what it is worth to the answer to first order."""

import random
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from faithlens.effects.experiment import Conditions, list_traces, run_together
from faithlens.effects.step_effects import ApproximationQuality, assess_approximation, check_approximation
from faithlens.execution.execute import execute
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Ablation, Condition
from faithlens.plan.memory import plan_passes


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """Gradient-weighted flow, and how it agrees with taking heads away.

    Attributes:
        table: a row a trace, layer, head and piece: `measure_gradient_flow`, in logits.
        quality: heads' worth, over all pieces, against the exact fall when the head gives nothing.
    """

    table: pd.DataFrame
    quality: ApproximationQuality

    def to_dataframe(self) -> pd.DataFrame:
        """The table.

        Raises:
            MeasureError: it too often has the wrong sign.
        """
        check_approximation(self.quality, "gradient-weighted flow")
        return self.table


def measure_gradient_flow(model: Model, traces: Conditions, *, n_checked: int = 20, seed: int = 0) -> GradientFlow:
    """What the answer row takes from each piece through each head, times the metric's gradient there (M12).

    With z the head's output, g the gradient at it and A_j v_j what it takes from token j, a piece is worth the sum of
    A_j (g . v_j) over its tokens, and all pieces together g . z. The metric is how far the answer is ahead of the next
    likely option. It is first order: of `n_checked` heads a trace, drawn by `seed`, the output is zeroed for the audit.
    """
    found = list_traces(traces)
    rng = random.Random(f"flow:{seed}")
    every = [(layer, head) for layer in range(model.n_layers) for head in range(model.n_heads)]
    drawn = [rng.sample(every, min(n_checked, len(every))) for _ in found]
    without = [remove_head(one, *place) for one, places in zip(found, drawn, strict=True) for place in places]
    records = run_together(model, [*found, *without])
    ablated = iter(records[len(found) :])
    frames, first_order, exact = [], [], []
    for t, (one, record, places) in enumerate(zip(found, records, drawn, strict=False)):
        answer, foil = record.logprobs.argsort(descending=True).tolist()[:2]
        weights = torch.zeros(len(one.options))
        weights[answer], weights[foil] = 1.0, -1.0
        capture = Capture(attribution=tuple(weights.tolist()), gradient_flow=("answer",))
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
    """`trace` whose answer row gets nothing from one head."""
    row = (len(trace.ids) - 1, len(trace.ids))
    edit = Ablation("z", row, "zero", layers=(layer,), heads=(head,))
    return replace(trace, name="without a head", edits=(*trace.edits, edit))
