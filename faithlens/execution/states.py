"""The state of a model after some tokens: keys and values, and the states of convolutions and recurrences.

transformers keeps all of them in one cache. A forward reads it, and leaves in its place the state after its own tokens.
"""

import copy
from collections.abc import Iterator
from inspect import signature
from typing import cast

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from faithlens.errors import ModelError

ATTENTION, RECURRENCES = "past_key_values", "cache_params"  # the second of models without attention, such as Mamba
TENSORS = ("keys", "values", "conv_states", "recurrent_states")  # what a layer of the cache may hold


def name_state(hf_model: PreTrainedModel) -> str:
    """The argument of the model's forward that takes a state.

    Raises:
        ModelError: it takes none, so that it would begin anew without an error.
    """
    parameters = signature(hf_model.forward).parameters
    for name in (ATTENTION, RECURRENCES):
        if name in parameters:
            return name
    raise ModelError(
        f"{type(hf_model).__name__} cannot go on from a state: its forward takes neither of {ATTENTION} and"
        f" {RECURRENCES}",
        "Use another model, or give chains that were written elsewhere (--traces).",
    )


def fork_state(state: DynamicCache, n: int, *, is_last: bool) -> DynamicCache:
    """A batch of `n` copies of the state of one sequence; the state itself becomes this batch if `is_last`."""
    fork = state if is_last else copy.deepcopy(state)
    if n > 1:  # recurrent states too can select in this way
        fork.reorder_cache(cast("torch.LongTensor", torch.zeros(n, dtype=torch.long)))
    return fork


def list_tensors(state: DynamicCache) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a state, each with its name in its layer."""
    for layer in state.layers:
        yield from list_layer_tensors(layer)


def list_layer_tensors(layer: object) -> Iterator[tuple[str, Tensor]]:
    """The tensors of one layer of a state, with their names."""
    for name in TENSORS:
        value = getattr(layer, name, None)
        for each in value.values() if isinstance(value, dict) else (value,):
            if isinstance(each, Tensor):
                yield name, each


def list_empty_layers(state: DynamicCache) -> list[int]:
    """The layers that hold nothing after tokens were read, although they are to hold a recurrent state."""
    return [
        i
        for i, layer in enumerate(state.layers)
        if hasattr(layer, "recurrent_states") and not any(list_layer_tensors(layer))
    ]


def count_state_bytes(state: DynamicCache) -> int:
    """The bytes of all tensors of a state."""
    return sum(tensor.nbytes for _, tensor in list_tensors(state))
