"""Seeded sampling of chains of thought, batched, with a generator of its own for every sequence.

Each sequence's randomness depends on its seed alone, not on its neighbours in the batch or on global state.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import DynamicCache

from faithlens.errors import ConfigError, PlanError
from faithlens.execution.prefill import can_prefill, prefill_prompts
from faithlens.model.model import Model
from faithlens.model.trace import Finish

FEW_TOKENS = 256  # tokens among which a nucleus is looked for first


@dataclass(frozen=True)
class Sampling:
    """How chains of thought are drawn.

    Attributes:
        max_new_tokens: a longer chain of thought is cut off here, and recorded as "length".
        temperature: 0 takes the most likely token (greedy).
        top_p: nucleus sampling: the smallest set of tokens that holds this much probability.
    """

    max_new_tokens: int = 160
    temperature: float = 0.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        for asked, right, do in (
            (f"{self.max_new_tokens} new tokens", self.max_new_tokens >= 1, "give a positive number"),
            (f"a temperature of {self.temperature}", 0 <= self.temperature < inf, "give 0 (greedy) or more"),
            (f"a nucleus of {self.top_p}", 0 < self.top_p <= 1, "give a number in (0, 1]"),
        ):
            if not right:
                raise ConfigError(asked, "no chain of thought can be sampled so", do)


@dataclass(frozen=True)
class Continuation:
    """The tokens a model wrote after a prompt, without the token that ended them."""

    prompt: tuple[int, ...]
    ids: tuple[int, ...]
    finish: Finish
    seed: int


def sample(
    model: Model,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    sampling: Sampling = Sampling(),
    *,
    max_tokens: Sequence[int | None] | None = None,
    until: str | None = None,
    batch_size: int = 64,
    notify: Callable[[int], None] = lambda tokens: None,
) -> list[Continuation]:
    """Continue each prompt with its own seed; results in the order given.

    Prompts are batched by length, so that little is padded, and what prompts of a batch share is read once. A sequence
    ends with the model's turn, with the token that completes the text `until`, or after `max_new_tokens`, of which
    `max_tokens` allows some sequences fewer. `notify` is called with the number
    of tokens drawn in each decoding step.

    Raises:
        PlanError: a prompt leaves no room in the model's context for `max_new_tokens`.
    """
    limits = [min(sampling.max_new_tokens, m or sampling.max_new_tokens) for m in max_tokens or [None] * len(prompts)]
    for prompt, limit in zip(prompts, limits, strict=True):
        if len(prompt) + limit > model.context_length:
            raise PlanError(
                f"{limit} new tokens after a prompt of {len(prompt)}",
                f"the model reads at most {model.context_length} tokens",
                "shorten the prompt, or lower the number of new tokens",
            )
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    out: dict[int, Continuation] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        asked = [SampleRequest(tuple(prompts[i]), seeds[i], limits[i]) for i in batch]
        out |= dict(zip(batch, draw_batch(model, asked, sampling, until, notify), strict=True))
    return [out[i] for i in range(len(prompts))]


class SampleRequest(NamedTuple):
    """A prompt to be continued: with which seed, and by how many tokens at most."""

    prompt: tuple[int, ...]
    seed: int
    limit: int


@torch.inference_mode()
def draw_batch(
    model: Model, requests: list[SampleRequest], sampling: Sampling, until: str | None, notify: Callable[[int], None]
) -> list[Continuation]:
    """One batch, token by token."""
    generators = [torch.Generator().manual_seed(one.seed) for one in requests]
    written: list[list[int]] = [[] for _ in requests]
    finish: list[Finish] = ["stop"] * len(requests)
    batch = Batch(model, [one.prompt for one in requests], written)
    while True:
        tokens = choose_tokens(batch.logits, sampling, [generators[i] for i in batch.live])
        drawn = dict(zip(batch.live, tokens, strict=True))
        going = [i for i, token in drawn.items() if token not in model.stop_ids]
        for i in going:
            written[i].append(drawn[i])
        notify(len(going))
        if until:
            going = [i for i in going if not completes_text(model, written[i], until)]
        for i in (i for i in going if len(written[i]) == requests[i].limit):
            finish[i] = "length"
        batch.keep([i for i in going if finish[i] == "stop"])
        if not batch.live:
            break
        batch.advance()
    ended = zip(requests, written, finish, strict=True)
    return [Continuation(one.prompt, tuple(ids), how, one.seed) for one, ids, how in ended]


def completes_text(model: Model, ids: Sequence[int], text: str) -> bool:
    """Whether `text` stands at the end of what `ids` write, where it did not stand before their last token."""
    return text in model.decode(ids[-4 * len(text) - 4 :])  # a character has up to four tokens


class Batch:
    """Sequences in flight: their keys and values, padded on the left, and the logits of each one's next token.

    `live` are those that still have a row, by their place in `prompts`; `written` is shared with the caller, who
    appends to it.
    """

    def __init__(self, model: Model, prompts: list[tuple[int, ...]], written: list[list[int]]) -> None:
        self.model, self.prompts, self.written = model, prompts, written
        self.live = list(range(len(prompts)))
        self.width = self.seen = max(map(len, prompts))
        if can_prefill(model):
            self.cache, self.logits = prefill_prompts(model, prompts)
        else:
            self.cache = DynamicCache(config=model.hf_model.config)
            ids = torch.tensor([[0] * (self.width - len(p)) + list(p) for p in prompts])
            self.logits = self._forward(ids, 0)

    def keep(self, live: list[int]) -> None:
        """Let go of all sequences but `live`, so that nothing is computed for those that have ended."""
        if len(live) < len(self.live) and live:
            places = [self.live.index(i) for i in live]
            self.cache.batch_select_indices(torch.tensor(places))
        self.live = live

    def advance(self) -> None:
        """Read the last token of each live sequence."""
        ids = torch.tensor([[self.written[i][-1]] for i in self.live])
        self.seen += 1
        self.logits = self._forward(ids, self.seen - 1)

    def _forward(self, ids: Int[Tensor, "batch pos"], start: int) -> Float[Tensor, "batch vocab"]:
        model, stop = self.model, start + ids.shape[1]
        pad = torch.tensor([self.width - len(self.prompts[i]) for i in self.live])
        sequences = [(*self.prompts[i], *self.written[i]) for i in self.live]
        out = model.hf_model(
            input_ids=ids.to(model.device),
            attention_mask=make_mask(model, sequences, pad, start, stop).to(model.device),
            position_ids=(torch.arange(start, stop) - pad[:, None]).clamp(min=0).to(model.device),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float().cpu()


def make_mask(
    model: Model, sequences: Sequence[Sequence[int]], pad: Int[Tensor, " batch"], start: int, stop: int
) -> Bool[Tensor, "batch key"] | Float[Tensor, "batch head query key"]:
    """Which keys positions `start .. stop - 1` may read: padding is hidden, and so are an organism's missing edges."""
    real = torch.arange(stop) >= pad[:, None]
    if not model.structure.forbidden:
        return real
    allowed = torch.ones(stop - start, stop, dtype=torch.bool).tril(start) & real[:, None]
    for row, sequence in enumerate(sequences):
        shift = int(pad[row])
        hidden = model.structure.list_hidden(sequence)
        for i in range(max(start, shift), min(stop, shift + len(hidden))):
            for a, b in hidden[i - shift]:
                allowed[row, i - start, a + shift : b + shift] = False
    lowest = torch.finfo(model.hf_model.dtype).min
    return torch.zeros(allowed.shape, dtype=model.hf_model.dtype).masked_fill(~allowed, lowest)[:, None]


def choose_tokens(
    logits: Float[Tensor, "batch vocab"], sampling: Sampling, generators: Sequence[torch.Generator]
) -> list[int]:
    """Draw one token a sequence: where the running sum of probabilities passes one random number of its own."""
    if sampling.temperature == 0:
        return logits.argmax(-1).tolist()
    logits = logits / sampling.temperature
    few = logits.topk(min(FEW_TOKENS, logits.shape[-1]))
    shares = (few.values - logits.logsumexp(-1, keepdim=True)).exp()
    out = []
    for row, share, tokens, generator in zip(logits, shares, few.indices, generators, strict=True):
        if sampling.top_p == 1:
            share, tokens = row.softmax(-1), torch.arange(len(row))
        elif share.sum() < sampling.top_p:  # the nucleus is larger: nearly never, and sorting a vocabulary takes long
            share, tokens = row.softmax(-1).sort(descending=True)
        upto = share.double().cumsum(0)
        kept = int((upto - share < sampling.top_p).sum())  # the token that crosses the line stays
        drawn = torch.rand((), generator=generator, dtype=torch.float64) * upto[kept - 1]
        out.append(int(tokens[min(int(torch.searchsorted(upto, drawn, right=True)), kept - 1)]))
    return out
