"""Sequences that are continued together, which enter and leave at any step.

1. Prompts that enter are read by themselves: in one packed pass, which reads shared prefixes once (`prefill`), or by
   the model with padding on the left.
2. Their cache gets as many columns as that of the sequences that are there, and is joined to it. The last column of
   each sequence is its newest token.
3. At each step the model reads the newest token of all sequences.
4. Sequences that have ended leave the cache, and with them the columns that only they filled.

So the cache has as many columns as the longest sequence has tokens. For example, "a b c" and "d" are there, "e f g h"
enters, and then "a b c" and "e f g h" leave::

    a b c    one column more    - a b c    joined    - a b c    three columns less    d
    - - d                       - - - d              - - - d
                                                     e f g h

A layer with a sliding window keeps its last columns only, and a layer with a recurrent state has none.
"""

from dataclasses import dataclass, field
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import (
    DummyLayer,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionLayer,
)

from faithlens.errors import ModelError
from faithlens.execution.plain import make_mask
from faithlens.execution.prefill import can_prefill, prefill_prompts
from faithlens.execution.states import RECURRENCES, list_empty_layers, name_state
from faithlens.model.model import Model

JOINED_LAYERS = {
    DummyLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
}
"""The layers of caches that sequences can enter. Other kinds may keep more, such as the indices of sparse attention."""


@dataclass(eq=False)
class GrowingSequence:
    """A prompt and the tokens that were drawn after it.

    Attributes:
        number: the number of the prompt.
        prompt: its tokens.
        generator: gives the random numbers of its draws.
        written: the tokens so far.
    """

    number: int
    prompt: tuple[int, ...]
    generator: torch.Generator
    written: list[int] = field(default_factory=list[int])

    @property
    def ids(self) -> tuple[int, ...]:
        """All its tokens."""
        return (*self.prompt, *self.written)


class GrowingBatch:
    """Sequences while they are sampled: their cache, and the logits of their next tokens.

    Attributes:
        live: the sequences that have not ended.
        logits: the logits of their next tokens, as [sequence, vocab], in float32.
        width: the columns of the cache: the tokens of the longest sequence that were read.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.live: list[GrowingSequence] = []
        self.clear()

    def clear(self) -> None:
        """Give back all memory."""
        self._read_lengths: list[int] = []  # the number of tokens that were read of each sequence
        self._cache = DynamicCache()
        self.logits = torch.empty(0)
        self.width = 0

    @property
    def is_open(self) -> bool:
        """Whether prompts can enter now."""
        is_joined = {type(layer) for layer in self._cache.layers} <= JOINED_LAYERS
        return not self.live or (is_joined and not list_empty_layers(self._cache))

    def enter(self, new: list[GrowingSequence]) -> None:
        """Read more prompts, at least one."""
        before, self.live = self.live, [*self.live, *new]
        if not before:
            self._read(new)
        else:
            other = GrowingBatch(self.model)
            other._read(new)
            width = max(self.width, other.width)
            self._set_width(width)
            other._set_width(width)
            self.logits = torch.cat([self.logits, other.logits])
            self._read_lengths += other._read_lengths
            join_caches(self._cache, other._cache)

    def keep(self, live: list[GrowingSequence]) -> None:
        """Drop all sequences but `live`, so that nothing is computed or kept for those that have ended.

        Raises:
            ModelError: some have ended, and the model keeps a state from which they cannot be taken.
        """
        if not live:
            self.clear()
        elif len(live) < len(self.live):
            if list_empty_layers(self._cache):
                raise ModelError(
                    f"{type(self.model.hf_model).__name__} keeps its state outside of the cache, so that sequences"
                    " which end cannot leave those that go on",
                    "Continue one prompt at a time: set batch_size (--batch) to 1.",
                )
            staying = set(live)
            places = [place for place, each in enumerate(self.live) if each in staying]
            # recurrent states too can select in this way
            self._cache.reorder_cache(cast("torch.LongTensor", torch.tensor(places)))
            self._read_lengths = [self._read_lengths[place] for place in places]
            self._set_width(max(self._read_lengths))
        self.live = live

    def advance(self) -> None:
        """Read the last token of each sequence; all tokens, if from now on they are scaled in another way."""
        if self.live:
            self.width += 1
            self._read_lengths = [length + 1 for length in self._read_lengths]
            if self.width - 1 in self.model.scaling_lengths:
                self._read(self.live)
            else:
                self.logits = self._forward(torch.tensor([[each.written[-1]] for each in self.live]))

    def _read(self, sequences: list[GrowingSequence]) -> None:
        """Read sequences from their start, into a new cache."""
        self.live, ids = sequences, [each.ids for each in sequences]
        self._read_lengths = [*map(len, ids)]
        self.width = max(self._read_lengths)
        if can_prefill(self.model, self.width):
            self._cache, self.logits = prefill_prompts(self.model, ids)
        else:
            self._cache = DynamicCache(config=self.model.hf_model.config)
            self.logits = self._forward(torch.tensor([[0] * (self.width - len(each)) + list(each) for each in ids]))

    def _forward(self, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch vocab"]:
        """The logits after the tokens that the last columns get."""
        model, start = self.model, self.width - ids.shape[1]
        padding = torch.tensor([self.width - length for length in self._read_lengths], device=model.device)
        mask = make_mask(model, [each.ids for each in self.live], padding, start, self.width)
        name = name_state(model.hf_model)
        if name == RECURRENCES:  # without attention, the mask says which of the new tokens are padding
            mask = mask[:, start:]
        out = model.hf_model(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            position_ids=(torch.arange(start, self.width, device=padding.device) - padding[:, None]).clamp(min=0),
            use_cache=True,
            **{name: self._cache},
            logits_to_keep=1,
        )
        return out.logits[:, -1].float()

    def _set_width(self, width: int) -> None:
        if width != self.width:
            move_start(self._cache, width - self.width)
            self.width = width


def move_start(cache: DynamicCache, columns: int) -> None:
    """Add so many columns of padding on the left of all sequences, or (negative) remove as many."""
    for layer in cache.layers:
        keys: Tensor | None = getattr(layer, "keys", None)
        if keys is None or keys.numel() == 0:
            continue
        each: Any = layer
        width = each.get_seq_length() + columns
        most = each.sliding_window - 1 if isinstance(layer, DynamicSlidingWindowLayer) else width
        more = min(width, most) - keys.shape[-2]  # a negative number is cut off
        each.keys, each.values = pad(keys, (0, 0, more, 0)), pad(each.values, (0, 0, more, 0))
        if isinstance(layer, DynamicSlidingWindowLayer):
            layer.cumulative_length = width


def join_caches(cache: DynamicCache, other: DynamicCache) -> None:
    """Add the sequences of another cache with as many columns, which is emptied layer by layer."""
    for layer, more in zip(cache.layers, other.layers, strict=True):
        for name in ("keys", "values"):
            if getattr(layer, name, None) is not None:
                setattr(layer, name, torch.cat([getattr(layer, name), getattr(more, name)]))
                setattr(more, name, None)
        for name in ("conv_states", "recurrent_states"):
            states, others = getattr(layer, name, {}), getattr(more, name, {})
            for i, state in states.items():
                if state is not None:
                    states[i] = torch.cat([state, others[i]])
                    others[i] = None
