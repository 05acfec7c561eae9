"""What one forward shows without editing anything: readiness along the chain, attention and flow, distances."""

from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from faithlens.effects.experiment import Conditions, list_traces, run_together
from faithlens.errors import PlanError
from faithlens.measures.answers import choose_option
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition


def measure_readiness(model: Model, traces: Conditions) -> pd.DataFrame:
    """Through the logit lens, how probable the final answer is at the end of every piece, block by block (M17).

    A row a trace, piece and layer: `probability` among the options. Descriptive; it never decides alone. The logit lens
    is nostalgebraist's (2020): the final norm and the unembedding on a block's output.

    Raises:
        PlanError: options share their first token, which is all that the model sees of them.
    """
    found = list_traces(traces)
    for trace in found:
        if len({option[0] for option in trace.options}) < len(trace.options):
            raise PlanError(
                f"the logit lens on the options of {trace.name!r}",
                "some of them begin with the same token, and it sees first tokens only",
                "give options that differ in their first token, or end the stem where they part",
            )
    readers = tuple(dict.fromkeys(piece.name for trace in found for piece in trace.pieces))
    rows = []
    for t, record in enumerate(run_together(model, found, Capture(logit_lens=readers))):
        answer = choose_option(record.logprobs)
        for piece, looked in record.logit_lens.items():
            probability = looked.exp()[:, answer].tolist()
            rows += [(t, piece, layer, p) for layer, p in enumerate(probability)]
    return pd.DataFrame(rows, columns=["trace", "piece", "layer", "probability"])


def find_onset(readiness: pd.DataFrame, threshold: float = 0.5) -> pd.DataFrame:
    """Of `readiness`, the first piece of each trace and layer from which on the answer stays above `threshold`.

    Missing where it is not above it at the end.
    """
    rows = []
    for (trace, layer), part in readiness.groupby(["trace", "layer"], sort=True):
        below = (part["probability"] < threshold).to_numpy()
        first = len(below) - int(below[::-1].argmax()) if below.any() else 0
        rows.append((trace, layer, part["piece"].iloc[first] if first < len(below) else None))
    return pd.DataFrame(rows, columns=["trace", "layer", "piece"]).astype({"piece": "string"})


def measure_attention_flow(model: Model, traces: Conditions, reader: str = "answer") -> pd.DataFrame:
    """Where a reader looks and what it takes from there, head by head (M10, M11).

    A row a trace, layer, head and piece: `attention`, the fraction that falls on the piece, and `flow`, the length of
    what its values add to the residual stream. Descriptive; attention is no evidence by itself.
    """
    frames = []
    for t, record in enumerate(run_together(model, list_traces(traces), Capture(attention=(reader,), flow=(reader,)))):
        if reader not in record.attention:
            raise PlanError(
                f"the reader {reader!r} of {record.condition.name!r}",
                f"its pieces are {', '.join(record.condition.spans)}",
                "name one of these, or 'answer'",
            )
        columns = {"attention": record.attention[reader], "flow": record.flow[reader]}
        frames.append(_make_table(columns, ["layer", "head"], record.condition).assign(trace=t))
    return pd.concat(frames, ignore_index=True)


def compare_activations(model: Model, clean: Condition, edited: Condition) -> pd.DataFrame:
    """How far the edited trace's block outputs are from the clean one's (M23).

    A row a layer and piece: `cosine` and `relative_l2`; missing for pieces that are not as long in both.
    """
    [record] = run_together(model, [replace(edited, reference=clean)], Capture(compare=True))
    assert record.cosine is not None
    assert record.relative_l2 is not None
    columns = {"cosine": record.cosine, "relative_l2": record.relative_l2}
    return _make_table(columns, ["layer"], record.condition)


def _make_table(columns: dict[str, Tensor], axes: list[str], condition: Condition) -> pd.DataFrame:
    """Tensors whose last axis is the condition's pieces, as columns of a table."""
    shape = next(iter(columns.values())).shape
    index = pd.MultiIndex.from_product([*map(range, shape[:-1]), condition.spans], names=[*axes, "piece"])
    return pd.DataFrame({name: torch.flatten(x).numpy() for name, x in columns.items()}, index=index).reset_index()
