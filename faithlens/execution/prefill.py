"""Read many prompts before they are continued: one packed pass, in which shared prefixes are read once.

1. The prompts are packed into one row, whose trie has a path for each prompt.
2. The row is run once, and the keys and values of every layer are kept.
3. The keys and values along each path are copied into a cache, padded on the left.
4. The model itself continues from this cache.

For example, the prompts "a b c" and "a b d e" make the row a b c d e of 5 tokens instead of 7. The paths are the rows
0 1 2 and 0 1 3 4, and the cache takes the rows (0) 0 1 2 and 0 1 3 4, where (0) is padding that attention does not see.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from faithlens.errors import ModelError
from faithlens.execution.exactness import check_exactness
from faithlens.execution.packed import run_packed, run_rows
from faithlens.execution.running import KeysValues
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.plan.plan import compile_plan


def can_prefill(model: Model, longest: int) -> bool:
    """Whether the model can continue from a packed pass of up to `longest` tokens; if not, it reads prompts by itself.

    A model with multi-head latent attention cannot: its cache holds compressed rows, which attention does not see.
    """
    if getattr(model.hf_model.config.get_text_config(), "kv_lora_rank", None):
        return False
    try:
        check_exactness(model, "packed", run_packed, longest)
    except ModelError:
        return False
    return True


@torch.inference_mode()
def prefill_prompts(
    model: Model, prompts: Sequence[tuple[int, ...]]
) -> tuple[DynamicCache, Float[Tensor, "batch vocab"]]:
    """The keys and values of every prompt, padded on the left to the longest, and the logits of its next token."""
    conditions = [Condition(str(i), (Piece("prompt", prompt),), ((0,),)) for i, prompt in enumerate(prompts)]
    plan = compile_plan(
        conditions, model.structure, budget=sum(map(len, prompts)), scaling_lengths=model.scaling_lengths
    )
    keys_values: KeysValues = {}
    _, hidden = run_rows(model, plan, plan.passes[0], keys_values=keys_values)
    paths = {placed.index: placed.path for placed in plan.passes[0].placements}
    width = max(map(len, prompts))
    rows = torch.zeros(len(prompts), width, dtype=torch.long)
    for i, path in paths.items():
        rows[i, width - len(path) :] = torch.from_numpy(path[:])
    cache = DynamicCache(config=model.hf_model.config)
    for layer in sorted(keys_values):  # layers that share the keys of earlier ones come last, and have no cache
        keys, values = keys_values.pop(layer)
        at = rows.to(keys.device)
        cache.update(keys[:, at].transpose(0, 1), values[:, at].transpose(0, 1), layer)
    last = hidden[rows[:, -1].to(hidden.device)]
    return cache, model.anatomy.unembedding.compute_logits(last).float()
