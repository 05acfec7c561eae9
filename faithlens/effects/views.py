"""What does one forward pass show without any edit: readiness along the chain, attention and flow, distances?

For example, the readiness of one layer along four pieces, and its onset at the threshold 0.5::

    piece          prompt  step 0  step 1  stem
    probability    .6      .3      .7      .9       the answer stays above .5 from "step 1" on
"""

from collections.abc import Hashable
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from faithlens.effects.experiment import Conditions, check_condition, list_traces, run_together
from faithlens.errors import PlanError, check_choice
from faithlens.measures.answers import choose_option
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.condition import ANSWER, Condition
from faithlens.plan.spellings import list_first_tokens


def measure_readiness(model: Model, traces: Conditions) -> pd.DataFrame:
    """Measure with the logit lens how probable the final answer is at the end of every piece, after every block.

    The logit lens (nostalgebraist 2020) applies the final norm and the unembedding to the output of a block. Returns a
    table with one row for each trace, piece and layer, and the probability of the model's final answer among the
    options. It describes, and never decides alone.

    Args:
        model: the model.
        traces: one trace or several.

    Raises:
        PlanError: options share their first token, which is all that the logit lens sees of them.
    """
    listed = list_traces(traces)
    for trace in listed:
        check_first_tokens(trace)
    readers = tuple(dict.fromkeys(piece.name for trace in listed for piece in trace.pieces))
    rows: list[tuple[int, str, int, float]] = []
    for t, record in enumerate(run_together(model, listed, Capture(logit_lens=readers))):
        answer = choose_option(record.logprobs)
        for piece, logprobs in record.logit_lens.items():
            rows += [(t, piece, layer, float(p)) for layer, p in enumerate(logprobs.exp()[:, answer])]
    return pd.DataFrame(rows, columns=["trace", "piece", "layer", "probability"])


def check_first_tokens(trace: Condition) -> None:
    """Refuse options that the logit lens cannot tell apart.

    Raises:
        PlanError: options share their first token.
    """
    first = [token for tokens in list_first_tokens(trace) for token in tokens]
    if len(set(first)) < len(first):
        raise PlanError(
            f"the logit lens sees only the first token of each option, and some options of {trace.name!r} begin"
            " with the same token",
            "Use options that differ in their first token, or a stem that ends where they begin to differ.",
        )


def find_onset(readiness: pd.DataFrame, threshold: float = 0.5) -> pd.DataFrame:
    """The first piece from which on the answer stays at or above `threshold`, for each trace and layer.

    Args:
        readiness: the table of `measure_readiness`.
        threshold: a probability.

    Returns:
        A table with the columns trace, layer and piece; piece is missing if the answer is below the threshold at the
        end.
    """
    rows: list[tuple[Hashable, Hashable, str | None]] = []
    for (trace, layer), part in readiness.groupby(["trace", "layer"], sort=True):
        below = (part["probability"] < threshold).to_numpy()
        first = len(below) - int(below[::-1].argmax()) if below.any() else 0
        rows.append((trace, layer, part["piece"].iloc[first] if first < len(below) else None))
    return pd.DataFrame(rows, columns=["trace", "layer", "piece"]).astype({"piece": "string"})


def measure_attention_flow(model: Model, traces: Conditions, reader: str = "answer") -> pd.DataFrame:
    """Measure how much a reader attends to each piece and what it reads there, head by head.

    Returns a table with one row for each trace, layer, head and piece: `attention`, the fraction of attention on the
    piece, and `flow`, the length of what the values of the piece, weighted by attention, add to the residual stream
    (Kobayashi et al. 2020, arXiv 2004.10102, section 3). It describes: attention alone is no evidence.

    Args:
        model: the model.
        traces: one trace or several.
        reader: the name of a piece that every trace has, or "answer" for the row that predicts the answer.

    Raises:
        PlanError: a trace has no such piece.
    """
    traces = list_traces(traces)
    for trace in traces:
        check_choice(reader, [ANSWER, *trace.spans], f"reader of {trace.name!r}", PlanError)
    frames: list[pd.DataFrame] = []
    for t, record in enumerate(run_together(model, traces, Capture(attention=(reader,), flow=(reader,)))):
        columns = {"attention": record.attention[reader], "flow": record.flow[reader]}
        frames.append(_make_table(columns, ["layer", "head"], record.condition).assign(trace=t))
    return pd.concat(frames, ignore_index=True)


def compare_activations(model: Model, clean: Condition, edited: Condition) -> pd.DataFrame:
    """Measure how far the block outputs of an edited trace are from those of the clean trace.

    Returns a table with one row for each layer and piece: `cosine`, the cosine similarity, and `relative_l2`, the
    length of the difference divided by that of the clean output. Both are missing for pieces whose lengths differ.

    Args:
        model: the model.
        clean: one trace.
        edited: an edited version of it.

    Raises:
        PlanError: one of the two is no single condition.
    """
    check_condition(clean, "clean trace")
    check_condition(edited, "edited trace")
    [record] = run_together(model, [replace(edited, reference=clean)], Capture(compare=True))
    assert record.cosine is not None
    assert record.relative_l2 is not None
    columns = {"cosine": record.cosine, "relative_l2": record.relative_l2}
    return _make_table(columns, ["layer"], record.condition)


def _make_table(columns: dict[str, Tensor], axes: list[str], condition: Condition) -> pd.DataFrame:
    """A table whose columns are tensors; their last axis is the pieces of the condition."""
    shape = next(iter(columns.values())).shape
    index = pd.MultiIndex.from_product([*map(range, shape[:-1]), condition.spans], names=[*axes, "piece"])
    return pd.DataFrame({name: torch.flatten(x).numpy() for name, x in columns.items()}, index=index).reset_index()
