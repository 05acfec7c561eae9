"""The packed backend: the plain Hugging Face model, run once over a trie of conditions.

The model's attention is replaced, for the length of one call, by an entry of our own in transformers' attention
registry. It needs no mask from the model: the tree says who sees whom. Span masses are collected on the side.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

from faithlens.errors import ModelError
from faithlens.kernels.tree_attention import Readout, Tree, tree_attention
from faithlens.runtime.capture import Capture, Record
from faithlens.runtime.model import Lens
from faithlens.runtime.plan import Pass, Plan

ENTRY = "faithlens_packed"
CHUNK = 256  # answer rows normalised at a time: bounds the copy in full precision


@dataclass
class Running:
    """The packed row in flight, and the span masses each layer has left behind."""

    tree: Tree
    readout: Readout | None
    masses: dict[int, Float[Tensor, "head row span"] | None] = field(default_factory=dict)


_RUNNING: ContextVar[Running] = ContextVar("faithlens_running")


def packed_attention(
    module: nn.Module,
    query: Float[Tensor, "batch head pos d_head"],
    key: Float[Tensor, "batch kv_head pos d_head"],
    value: Float[Tensor, "batch kv_head pos d_head"],
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **extra: object,
) -> tuple[Float[Tensor, "batch pos head d_head"], None]:
    """The registry entry: tree attention over the row in flight.

    Raises:
        ModelError: the layer asks for something tree attention does not do (soft-capped scores, sinks, biases).
    """
    unknown = [name for name in ("softcap", "s_aux", "position_bias", "head_mask") if extra.get(name) is not None]
    if unknown or attention_mask is not None:
        raise ModelError(
            f"a packed pass through {type(module).__name__}",
            f"its attention uses {', '.join(unknown) or 'a mask of its own'}, which tree attention does not do exactly",
            "run this model with backend='separate' (--backend separate)",
        )
    running = _RUNNING.get()
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    out, mass = tree_attention(query[0], key[0], value[0], running.tree, scale, sliding_window, running.readout)
    running.masses[int(module.layer_idx)] = mass  # type: ignore[arg-type]
    return rearrange(out, "head pos d -> 1 pos head d"), None


AttentionInterface.register(ENTRY, packed_attention)


@contextmanager
def installed(model: PreTrainedModel, running: Running) -> Iterator[None]:
    """Route the model's attention through `running`; whatever happens, the model is left as it was."""
    before = model.config._attn_implementation or "eager"
    token = _RUNNING.set(running)
    model.set_attn_implementation(ENTRY)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
        _RUNNING.reset(token)


def tree_of(packed: Pass, device: torch.device) -> Tree:
    """The geometry of a pass, on `device`. Unused cuts are padded with empty intervals."""
    cuts = max(map(len, packed.hidden))
    hidden = [list(h) + [(0, 0)] * (cuts - len(h)) for h in packed.hidden]
    return Tree(
        depth=torch.tensor(packed.depth, device=device),
        visible_until=torch.tensor(packed.visible_until, device=device),
        hidden=torch.tensor(hidden, device=device).reshape(len(packed.ids), cuts, 2).long(),
    )


@dataclass(frozen=True)
class Reading:
    """Whose attention is read: one condition's reader, and its packed rows."""

    index: int
    reader: str
    rows: tuple[int, ...]


def readings(plan: Plan, packed: Pass, capture: Capture) -> list[Reading]:
    """All rows of a pass that `capture` asks for."""
    return [
        Reading(placed.index, reader, tuple(placed.path[i] for i in rows))
        for placed in packed.placed
        for reader, rows in capture.rows(plan.conditions[placed.index]).items()
    ]


def readout_of(plan: Plan, wanted: list[Reading], device: torch.device) -> Readout | None:
    """The rows to read, with each condition's own pieces as spans, padded with empty ones."""
    if not wanted:
        return None
    spans = [list(plan.conditions[r.index].spans.values()) for r in wanted]
    width = max(map(len, spans))
    padded = [s + [(0, 0)] * (width - len(s)) for s in spans]
    return Readout(
        rows=torch.tensor([row for r in wanted for row in r.rows], device=device),
        spans=torch.tensor([p for r, p in zip(wanted, padded, strict=True) for _ in r.rows], device=device),
    )


@torch.inference_mode()
def run_packed(lens: Lens, plan: Plan, capture: Capture) -> list[Record]:
    """Run a plan in packed rows; one record a condition, in the plan's order."""
    logprobs: dict[int, Tensor] = {}
    attention: dict[int, dict[str, Tensor]] = {i: {} for i in range(len(plan.conditions))}
    for packed in plan.passes:
        wanted = readings(plan, packed, capture)
        running = Running(tree_of(packed, lens.device), readout_of(plan, wanted, lens.device))
        logprobs |= forward(lens, packed, running)
        if wanted:
            masses = torch.stack([m for _, m in sorted(running.masses.items()) if m is not None])
            for reading, mass in zip(wanted, masses.split([len(r.rows) for r in wanted], dim=2), strict=True):
                n = len(plan.conditions[reading.index].pieces)
                pooled = reduce(mass[..., :n], "layer head row span -> layer head span", "mean")
                attention[reading.index][reading.reader] = pooled.float().cpu()
    return [Record(c, logprobs[i], attention[i]) for i, c in enumerate(plan.conditions)]


def forward(lens: Lens, packed: Pass, running: Running) -> dict[int, Float[Tensor, " option"]]:
    """One forward over a packed row: the log-probability of each condition's options.

    Raises:
        ModelError: some layer did not go through the attention registry, so its state would mix conditions.
    """
    reads = [(row, token) for placed in packed.placed for option in placed.reads for row, token in option]
    rows = sorted({row for row, _ in reads})
    with installed(lens.model, running):
        logits = lens.model(
            input_ids=torch.tensor([packed.ids], device=lens.device),
            position_ids=running.tree.depth[None],
            logits_to_keep=torch.tensor(rows, device=lens.device),
            use_cache=False,
        ).logits[0]
    if len(running.masses) != lens.n_layers:
        raise ModelError(
            f"a packed pass through {lens.name}",
            f"{lens.n_layers - len(running.masses)} of its {lens.n_layers} layers carry state that is not attention",
            "use a model whose layers are all attention",
        )
    # only rows that answer are unembedded: [rows, vocab], never [pos, vocab]
    normalizer = torch.cat([chunk.float().logsumexp(-1) for chunk in logits.split(CHUNK)])
    at = {row: i for i, row in enumerate(rows)}
    read = [at[row] for row, _ in reads]
    picked = iter((logits[read, [token for _, token in reads]].float() - normalizer[read]).cpu())
    return {
        placed.index: torch.stack([sum((next(picked) for _ in option), torch.zeros(())) for option in placed.reads])
        for placed in packed.placed
    }
