"""The lengths at which a model begins to work differently: windows of attention, and scaling of positions.

1. `list_lengths` reads every such length from the config, also from the parts of a nested config.
2. `list_selection_lengths` reads those beyond which a token sees only keys that an indexer selects by their content.
3. `list_scaling_lengths` reads those at which *all* positions of a sequence change: with "longrope", a sequence of at
   most ``original_max_position_embeddings`` tokens is turned by the short factors, a longer one by the long factors.

For example, Phi-3.5-mini has a window of 262,144 tokens and original_max_position_embeddings 4,096. A condition of
4,000 tokens and one of 4,200 have different positions from the first token on, so they share no row of a packed pass.
"""

import sys
from collections.abc import Iterator
from typing import Any

from transformers import PreTrainedConfig

from faithlens.errors import ModelError

_SCALING = "original_max_position_embeddings"
_DELTA_CHUNK = 64
_WINDOWS = (
    "sliding_window",
    "sliding_window_size",
    "attention_chunk_size",
    "attention_window_size",
    "local_attention",
    "window_size",
    "original_max_position_embeddings",
)


def read_context_length(config: PreTrainedConfig) -> int:
    """The longest sequence that the model reads, in tokens; `sys.maxsize` if its config has no limit."""
    length = getattr(config.get_text_config(), "max_position_embeddings", None)
    return length if isinstance(length, int) and length > 0 else sys.maxsize


def read_size(config: PreTrainedConfig, name: str) -> int | None:
    """A size in a config, such as "head_dim"; the largest where layers have different ones; None if there is none."""
    try:
        value = getattr(config, name, None)
    except RuntimeError:  # it is another one in some layers, so the config does not give it for all
        value = [
            getattr(each, name, None)
            for each in map(config.per_layer_config.__getitem__, range(config.num_hidden_layers))
        ]
    values = [each for each in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(each, int)]
    return max(values, default=None)


def require_size(config: PreTrainedConfig, name: str) -> int:
    """A size in a config that every model that can be run has, such as "hidden_size".

    Raises:
        ModelError: the config does not have it.
    """
    size = read_size(config, name)
    if size is None:
        raise ModelError(
            f"{type(config).__name__} has no {name}, so the model is not one stack of blocks of one width",
            "Use a decoder-only model with one stack of blocks; docs/architectures.md lists what works.",
        )
    return size


def list_lengths(config: PreTrainedConfig) -> tuple[int, ...]:
    """Every length in `config` beyond which attention or positions may be others, in ascending order."""
    windows = [value for name, value in _walk_entries(config.to_dict()) if name in _WINDOWS]
    return _sort_lengths([*windows, *list_selection_lengths(config)])


def list_selection_lengths(config: PreTrainedConfig) -> tuple[int, ...]:
    """The lengths beyond which a token sees only selected keys: so many keys, or blocks of keys, are selected."""
    text = config.get_text_config()
    blocks, block = read_size(text, "index_topk_blocks"), read_size(text, "index_block_size")
    in_blocks = blocks * block if blocks and block else None
    return _sort_lengths([read_size(text, "index_topk"), in_blocks])


def list_scaling_lengths(config: PreTrainedConfig) -> tuple[int, ...]:
    """The lengths beyond which every position of a sequence is scaled in another way, in ascending order."""
    text = config.get_text_config()
    scaling = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    if not any(name in ("rope_type", "type") and value == "longrope" for name, value in _walk_entries(scaling)):
        return ()
    lengths = [*(value for name, value in _walk_entries(scaling) if name == _SCALING), getattr(text, _SCALING, None)]
    return _sort_lengths(lengths)


def list_chunk_lengths(config: PreTrainedConfig) -> tuple[int, ...]:
    """The lengths of the chunks in which layers with a recurrent state run many tokens, in ascending order.

    Gated delta nets do not name theirs in the config; in transformers it is 64 tokens.
    """
    text = config.get_text_config()
    return _sort_lengths([_DELTA_CHUNK, *(read_size(text, name) for name in ("chunk_size", "mamba_chunk_size"))])


def _sort_lengths(values: list[Any]) -> tuple[int, ...]:
    """The lengths among what a config says, which may be anything, once each and in ascending order."""
    return tuple(sorted({value for value in values if isinstance(value, int) and value > 0}))


def _walk_entries(entries: dict) -> Iterator[tuple[object, Any]]:
    for name, value in entries.items():
        yield name, value
        if isinstance(value, dict):
            yield from _walk_entries(value)
