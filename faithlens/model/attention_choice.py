"""Run a model with another attention of transformers' registry for a time, and find out if it has a recurrent state."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import DynamicCache, PreTrainedModel


def can_choose_attention(hf_model: PreTrainedModel) -> bool:
    """Whether the model calls its attention by transformers' registry; older models compute it by themselves."""
    return hf_model._can_set_attn_implementation()


@contextmanager
def use_attention(hf_model: PreTrainedModel, name: str) -> Iterator[None]:
    """Run the model with the attention and the masks that are registered as `name`; afterwards with those of before.

    A model that computes its attention by itself gets the masks of `name` only.
    """
    before = hf_model.config._attn_implementation or "eager"
    choose_attention(hf_model, name)
    try:
        yield
    finally:
        choose_attention(hf_model, before)


def choose_attention(hf_model: PreTrainedModel, name: str) -> None:
    """Set the attention of the model, also of one that transformers would only warn about."""
    if can_choose_attention(hf_model):
        hf_model.set_attn_implementation(name)
    else:
        hf_model.config._attn_implementation = name


def has_recurrent_state(hf_model: PreTrainedModel) -> bool:
    """Whether some layer keeps a state that is not keys and values, such as that of Mamba."""
    try:
        layers = DynamicCache(config=hf_model.config).layers
    except TypeError:  # of a window that is no number, which the model does not use
        return False
    return any(hasattr(layer, "recurrent_states") or hasattr(layer, "conv_states") for layer in layers)
