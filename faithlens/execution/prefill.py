"""Reading many prompts before they are continued: one packed pass, in which what they share is read once.

Continuations of one chain of thought from its first, second, third step are prompts that differ at their ends only.
Their keys and values lie along paths of one trie; each prompt's are copied out, padded on the left, into a cache that
the model itself goes on from.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from faithlens.errors import ModelError
from faithlens.execution.packed import run_rows
from faithlens.execution.running import KeysValues
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.plan.plan import compile_plan


def can_prefill(model: Model) -> bool:
    """Whether the model can go on from what a packed pass has read; otherwise it reads each prompt by itself.

    Multi-head latent attention cannot: its cache holds compressed rows that attention never sees.
    """
    if getattr(model.hf_model.config.get_text_config(), "kv_lora_rank", None):
        return False
    try:
        return bool(model.anatomy.blocks)
    except ModelError:
        return False


@torch.inference_mode()
def prefill_prompts(
    model: Model, prompts: Sequence[tuple[int, ...]]
) -> tuple[DynamicCache, Float[Tensor, "batch vocab"]]:
    """Every prompt's keys and values, padded on the left to the longest, and the logits of its next token."""
    asked = [Condition(str(i), (Piece("prompt", prompt),), ((0,),)) for i, prompt in enumerate(prompts)]
    plan = compile_plan(asked, model.structure, budget=sum(map(len, prompts)))
    kept: KeysValues = {}
    _, hidden = run_rows(model, plan, plan.passes[0], keys_values=kept)
    paths = {placed.index: placed.path for placed in plan.passes[0].placements}
    width = max(map(len, prompts))
    rows = torch.tensor([(0,) * (width - len(paths[i])) + paths[i] for i in range(len(prompts))])
    cache = DynamicCache(config=model.hf_model.config)
    for layer in range(model.n_layers):
        keys, values = kept.pop(layer)
        at = rows.to(keys.device)
        cache.update(keys[:, at].transpose(0, 1), values[:, at].transpose(0, 1), layer)
    last = hidden[rows[:, -1].to(hidden.device)]
    return cache, model.anatomy.unembedding.compute_logits(last).float().cpu()
