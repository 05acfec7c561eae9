"""Which keys each layer of a model lets a query see, at any distance, read from the model's own masks.

A layer may have a window that it passes to its attention, or one that exists in its mask only. The mask is what counts:
transformers' own attention reads nothing else. So:

1. Run a few tokens with an attention of ours, for which the model makes its masks as for any other.
2. In place of each mask, keep the rule that it is made by: a function of a query's and a key's position.
3. Each layer gets one of the masks; the rule of this mask is the layer's.
4. Ask the rule about positions far beyond the few tokens: `measure_rule` finds the window, or the length of the chunks
   within which a layer attends (Llama 4), and refuses other rules.
5. A layer that gets the key tensor of an earlier layer shares that layer's keys (Gemma 4).

For example, a model with ``sliding_window=4096`` makes the rule ``k <= q and k > q - 4096``. The query 4095 sees 4096
keys, and so does the query 100,000; the window is 4096 after a forward of eight tokens.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from faithlens.errors import ModelError
from faithlens.model.attention_choice import use_attention

RULES_NAME = "faithlens_mask_rules"
FARTHEST = 1 << 19  # positions up to which a rule is asked

MaskRule = Callable[[int, int, Tensor, Tensor], Tensor]  # whether a query sees a key: of batch, head, query, key


@dataclass(frozen=True)
class Sight:
    """Which keys a query sees, one entry for each layer.

    Attributes:
        windows: how many keys it sees at most, its own among them; None for a layer without a window, and None in all
            for a model that makes its masks by itself.
        chunks: the length of the chunks into which positions are cut, such that only keys of its own chunk are seen;
            None for a layer that sees all chunks.
        sources: the layer whose keys and values it reads, mostly the layer itself.
    """

    windows: tuple[int | None, ...] | None = None
    chunks: tuple[int | None, ...] = ()
    sources: tuple[int, ...] = ()


@dataclass
class KeptRules:
    """The rules of a forward: those of masks by the memory of the mask, and those of layers; and the keys of layers."""

    of_masks: dict[int, MaskRule] = field(default_factory=dict)
    masks: list[Tensor] = field(default_factory=list)  # kept, so that no two masks have the same memory
    of_layers: dict[int, MaskRule] = field(default_factory=dict)
    keys: dict[int, Tensor] = field(default_factory=dict)


_KEPT: ContextVar[KeptRules] = ContextVar("faithlens_mask_rules")


def make_kept_mask(
    batch_size: int, q_length: int, kv_length: int, mask_function: MaskRule, device: torch.device, **others: object
) -> Tensor:
    """The registry entry for masks: an empty mask that stands for its rule."""
    rules = _KEPT.get()
    mask = torch.zeros(batch_size, 1, q_length, kv_length, device=device)
    rules.masks.append(mask)
    rules.of_masks[mask.data_ptr()] = mask_function
    return mask


def keep_rule(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **others: object
) -> tuple[Tensor, None]:
    """The registry entry for attention: it keeps the rule of the layer's mask, and attends to nothing."""
    rules = _KEPT.get()
    rules.keys[int(module.layer_idx)] = key  # type: ignore[arg-type]
    if attention_mask is not None and attention_mask.data_ptr() in rules.of_masks:
        rules.of_layers[int(module.layer_idx)] = rules.of_masks[attention_mask.data_ptr()]  # type: ignore[arg-type]
    return query.new_zeros(query.shape[0], query.shape[2], query.shape[1], value.shape[3]), None


AttentionInterface.register(RULES_NAME, keep_rule)
AttentionMaskInterface.register(RULES_NAME, make_kept_mask)


@torch.inference_mode()
def find_sight(hf_model: PreTrainedModel, n_layers: int, farthest: int) -> Sight:
    """Which keys the queries of each layer see.

    Args:
        hf_model: the model.
        n_layers: the number of its layers.
        farthest: the longest sequence that the model reads, in tokens.

    Raises:
        ModelError: a layer's rule is neither that of all earlier keys nor that of a window or of chunks.
    """
    rules = KeptRules()
    token = _KEPT.set(rules)
    try:
        with use_attention(hf_model, RULES_NAME):
            hf_model(input_ids=torch.ones(1, 8, dtype=torch.long, device=hf_model.device), use_cache=False)
    finally:
        _KEPT.reset(token)
    sources = tuple(find_source(rules.keys, layer) for layer in range(n_layers))
    if not rules.of_layers:
        return Sight(None, (None,) * n_layers, sources)
    limits = {id(rule): measure_rule(hf_model, rule, min(farthest, FARTHEST)) for rule in rules.of_layers.values()}
    of_layers = [limits[id(rules.of_layers[i])] if i in rules.of_layers else (None, None) for i in range(n_layers)]
    return Sight(tuple(window for window, _ in of_layers), tuple(chunk for _, chunk in of_layers), sources)


def find_source(keys: dict[int, Tensor], layer: int) -> int:
    """The first layer whose keys are those of `layer`."""
    return next((i for i in sorted(keys) if i < layer and keys[i] is keys.get(layer)), layer)


def measure_rule(hf_model: PreTrainedModel, rule: MaskRule, farthest: int) -> tuple[int | None, int | None]:
    """The number of keys that a query far from the start sees, and the length of chunks; None where there is no limit.

    Raises:
        ModelError: the keys are not those up to the query itself, or are not the last ones at every distance.
    """
    keys = torch.arange(farthest + 8, device=hf_model.device)
    width = int(ask_rule(hf_model, rule, farthest - 1, keys).sum())
    unseen = (~ask_rule(hf_model, rule, keys[1:], keys[:-1])).nonzero()  # keys that the next query does not see
    chunk = int(unseen[0]) + 1 if len(unseen) else farthest
    borders = {0, 1, 7, farthest // 2, farthest - 2, farthest - 1}
    borders |= {n for size in (width, chunk) for n in (size - 1, size, size + 1, 2 * size - 1, 2 * size, 2 * size + 1)}
    queries = sorted(max(0, min(query, farthest - 1)) for query in borders)
    seen = [ask_rule(hf_model, rule, query, keys) for query in queries]
    if all(torch.equal(s, (keys <= q) & (keys > q - width)) for q, s in zip(queries, seen, strict=True)):
        return (None if width == farthest else width), None
    for query, these in zip(queries, seen, strict=True):
        if not torch.equal(these, (keys <= query) & (keys >= query // chunk * chunk)):
            raise ModelError(
                f"the mask of {type(hf_model).__name__} lets the token at position {query} see other tokens than those"
                f" before it, the last {width} of them, or those of a chunk, which a packed pass cannot do",
                "Run this model with backend='separate' (--backend separate).",
            )
    return None, chunk


def ask_rule(hf_model: PreTrainedModel, rule: MaskRule, query: int | Tensor, keys: Tensor) -> Tensor:
    """Whether the token at position `query` sees each of `keys`; or those at several positions, one for each key.

    Raises:
        ModelError: the rule depends on more than positions.
    """
    try:
        seen = rule(0, 0, torch.zeros_like(keys) + query, keys)
    except Exception as error:  # a rule of the model's own, which may read anything
        raise ModelError(
            f"the mask of {type(hf_model).__name__} depends on more than positions: {error!r}",
            "Run this model with backend='separate' (--backend separate).",
        ) from error
    return seen.to(torch.bool).expand(keys.shape)
