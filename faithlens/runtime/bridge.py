"""The reference backend: one TransformerLens forward a condition, with nothing shared and every pattern formed.

Slow on purpose. It is the oracle that the packed pass is held against, and the door to all of TransformerLens.
"""

import copy
from collections.abc import Callable

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from faithlens.runtime.capture import Capture, Record
from faithlens.runtime.model import Lens
from faithlens.runtime.plan import Cell, Condition, Plan

Hook = tuple[
    str | Callable, Callable
]  # TransformerLens' own: a hook point's name, or a choice of names, and a function


def bridge_of(lens: Lens) -> TransformerBridge:
    """A TransformerBridge on the same weights: modules are rebuilt, parameters and buffers are shared."""
    shared = {id(t): t for t in (*lens.model.parameters(), *lens.model.buffers())}
    shell = copy.deepcopy(lens.model, shared)
    tokenizer = copy.deepcopy(lens.tokenizer)
    # without these TransformerLens fetches the tokenizer anew, by name, to have it prepend BOS
    tokenizer.init_kwargs |= {"name_or_path": lens.name, "add_bos_token": True}
    return TransformerBridge.boot_transformers(
        lens.name, hf_model=shell, tokenizer=tokenizer, device=str(lens.device), dtype=lens.model.dtype
    )


def run_separate(lens: Lens, plan: Plan, capture: Capture) -> list[Record]:
    """Run a plan one sequence at a time through TransformerLens; one record a condition, in the plan's order."""
    return [run_condition(lens, condition, capture) for condition in plan.conditions]


@torch.inference_mode()
def run_condition(lens: Lens, condition: Condition, capture: Capture) -> Record:
    """One condition: a forward for each option of several tokens, one for all options of one token."""
    n = len(condition.ids)
    kept: dict[str, list[Tensor]] = {reader: [] for reader in capture.rows(condition)}
    logits: dict[tuple[int, ...], Tensor] = {}
    scores = []
    for option, cells in zip(condition.options, condition.sequences(lens.structure), strict=True):
        head = option[:-1]
        if head not in logits:
            hooks = pooling_hooks(lens, condition, capture, kept) if not logits else []
            logits[head] = run_cells(lens, cells, hooks)
        logprobs = logits[head][n - 1 :].float().log_softmax(-1)
        scores.append(logprobs[range(len(option)), list(option)].sum().cpu())
    return Record(condition, torch.stack(scores), {reader: torch.stack(layers) for reader, layers in kept.items()})


def run_cells(lens: Lens, cells: list[Cell], hooks: list[Hook]) -> Float[Tensor, "pos vocab"]:
    """A plain TransformerLens forward, with the edges that `cells` may not see cut at every layer."""
    tokens = torch.tensor([[token for token, _ in cells]], device=lens.device)
    return lens.bridge.run_with_hooks(tokens, fwd_hooks=cutting_hooks(lens, cells) + hooks)[0]


def cutting_hooks(lens: Lens, cells: list[Cell]) -> list[Hook]:
    """Hooks that set the scores of hidden edges to minus infinity, after the model's own mask, if there are any."""
    cut = torch.zeros(len(cells), len(cells), dtype=torch.bool, device=lens.device)
    for query, (_, hidden) in enumerate(cells):
        for start, stop in hidden:
            cut[query, start:stop] = True

    def knock_out(scores: Float[Tensor, "batch head query key"], hook: object) -> Float[Tensor, "batch head query key"]:
        return scores.masked_fill(cut, -torch.inf)

    return [(f"blocks.{i}.attn.hook_attn_scores", knock_out) for i in range(lens.n_layers)] if cut.any() else []


def pooling_hooks(lens: Lens, condition: Condition, capture: Capture, kept: dict[str, list[Tensor]]) -> list[Hook]:
    """Hooks that pool every layer's full pattern into `kept`, which they fill in layer order."""

    def pool(pattern: Float[Tensor, "batch head query key"], hook: object) -> None:
        for reader, rows in capture.rows(condition).items():
            read = pattern[0, :, rows.start : rows.stop].float()
            mass = [read[..., a:b].sum(-1) for a, b in condition.spans.values()]
            kept[reader].append(reduce(torch.stack(mass, -1), "head row span -> head span", "mean").cpu())

    return [(f"blocks.{layer}.attn.hook_pattern", pool) for layer in range(lens.n_layers)]
