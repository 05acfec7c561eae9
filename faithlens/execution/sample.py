"""Seeded sampling of chains of thought in batches, with one random generator for each sequence.

The random numbers of a sequence depend on its seed only, not on its neighbours in the batch or on global state. Logits
stay on the device of the model: the host gets the drawn tokens, and decides which sequences have ended.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from faithlens.errors import ConfigError, ModelError, PlanError, check_fields, translate_errors
from faithlens.execution.batches import cut_batches
from faithlens.execution.draws import draw_tokens, move_to_host
from faithlens.execution.memory import is_out_of_memory
from faithlens.execution.plain import make_mask
from faithlens.execution.prefill import can_prefill, prefill_prompts
from faithlens.model.finite import make_finite_error
from faithlens.model.model import Model
from faithlens.model.trace import Finish

NOT_FINITE = -1
"""What stands for the token of a sequence whose logits are NaN or infinite."""


@dataclass(frozen=True)
class Sampling:
    """How chains of thought are sampled.

    Attributes:
        max_new_tokens: the most tokens of a chain of thought; a longer one is cut off, with the finish "length".
        temperature: 0 takes the most likely token (greedy).
        top_p: nucleus sampling: tokens are drawn from the smallest set that holds this much probability.

    Raises:
        ConfigError: a value outside of its range.
    """

    max_new_tokens: int = 160
    temperature: float = 0.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        for name, condition, is_valid, fix in (
            ("max_new_tokens", "at least 1", self.max_new_tokens >= 1, "Pass a positive number of tokens."),
            ("temperature", ">= 0 (0 = greedy)", 0 <= self.temperature < inf, "Pass a non-negative temperature."),
            ("top_p", "in (0, 1]", 0 < self.top_p <= 1, "Pass 1 to sample from all tokens, or a smaller share."),
        ):
            if not is_valid:
                raise ConfigError(f"{name} must be {condition}, got {getattr(self, name)}", fix)


@dataclass(frozen=True)
class Continuation:
    """The tokens a model wrote after a prompt, without the token that ended them.

    Attributes:
        prompt: the tokens of the prompt.
        ids: the tokens that were written; `Model.decode` gives their text.
        finish: "length" if the token limit cut them off.
        seed: the seed they were drawn with.
        logprobs: the log-probability of each token, in nats, where the sampler states it.
        unusable_reason: why nothing may be measured after these tokens; None if they can be used.
    """

    prompt: tuple[int, ...]
    ids: tuple[int, ...]
    finish: Finish
    seed: int
    logprobs: tuple[float, ...] | None = None
    unusable_reason: str | None = None


def sample(
    model: Model,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    sampling: Sampling = Sampling(),
    *,
    max_tokens: Sequence[int | None] | None = None,
    until: str | None = None,
    batch_size: int | None = None,
    notify: Callable[[int], None] = lambda tokens: None,
) -> list[Continuation]:
    """Continue each prompt with its own seed; results have the order of the prompts.

    A sequence ends where the model ends its turn, at the token that completes the text `until`, or after
    `max_new_tokens`. Prompts are batched by length, so that little is padded, and shared prefixes in a batch are read
    once. If memory runs out, a batch is drawn again in two halves, with the same random numbers.

    Args:
        model: the model.
        prompts: the tokens of each prompt.
        seeds: one seed for each prompt.
        sampling: how tokens are drawn.
        max_tokens: for each prompt, a limit below `max_new_tokens`, or None.
        until: a text that ends a sequence.
        batch_size: the most sequences in a batch; None for as many as fit in memory (`batches.MOST_SEQUENCES` at most).
        notify: called after each decoding step with the number of tokens that were drawn.

    Raises:
        PlanError: a prompt leaves no room in the model's context for `max_new_tokens`.
        ModelError: a token is not in the model's vocabulary, its logits are NaN or infinite, or a library raised an
            exception, which is chained.
    """
    requests = make_requests(model, prompts, seeds, sampling, max_tokens)
    return continue_requests(model, requests, sampling, until, batch_size, notify)


class SampleRequest(NamedTuple):
    """A prompt to continue, with its seed and the most tokens to add."""

    prompt: tuple[int, ...]
    seed: int
    limit: int


def continue_requests(
    model: Model,
    requests: list[SampleRequest],
    sampling: Sampling,
    until: str | None = None,
    batch_size: int | None = None,
    notify: Callable[[int], None] = lambda tokens: None,
) -> list[Continuation]:
    """Continue the prompts that `make_requests` has checked; the other arguments are those of `sample`."""
    limit = max((one.limit for one in requests), default=0)
    fix = "If memory is short, lower batch_size (--batch) or the number of new tokens; else load the model again."
    out: dict[int, Continuation] = {}
    for batch in cut_batches(model, [len(one.prompt) for one in requests], limit, batch_size):
        with translate_errors(ModelError, f"{model.name} cannot continue its prompts", fix):
            drawn = draw_in_memory(model, [requests[i] for i in batch], sampling, until, notify)
        out |= dict(zip(batch, drawn, strict=True))
    return [out[i] for i in range(len(requests))]


def make_requests(
    model: Model,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    sampling: Sampling,
    max_tokens: Sequence[int | None] | None,
) -> list[SampleRequest]:
    """The prompts with their seeds and limits; the arguments are those of `sample`.

    Raises:
        PlanError: a prompt leaves no room in the model's context.
        ModelError: a token is not in the model's vocabulary.
    """
    limits = [min(sampling.max_new_tokens, m or sampling.max_new_tokens) for m in max_tokens or [None] * len(prompts)]
    for prompt, limit in zip(prompts, limits, strict=True):
        model.check_ids(prompt)
        if len(prompt) + limit > model.context_length:
            raise PlanError(
                f"a prompt of {len(prompt)} tokens and {limit} new ones do not fit: the model reads at most"
                f" {model.context_length} tokens",
                "Shorten the prompt, or lower the number of new tokens.",
            )
    return [SampleRequest(tuple(p), seed, limit) for p, seed, limit in zip(prompts, seeds, limits, strict=True)]


def draw_in_memory(
    model: Model, requests: list[SampleRequest], sampling: Sampling, until: str | None, notify: Callable[[int], None]
) -> list[Continuation]:
    """Sample one batch; if memory runs out, each half of it alone, down to single sequences."""
    try:
        return draw_batch(model, requests, sampling, until, notify)
    except (MemoryError, RuntimeError) as error:
        if len(requests) == 1 or not is_out_of_memory(error):
            raise
    if model.device.type == "cuda":
        torch.cuda.empty_cache()  # after the except block, which keeps the tensors of the batch alive
    half = len(requests) // 2
    parts = (requests[:half], requests[half:])
    return [each for part in parts for each in draw_in_memory(model, part, sampling, until, notify)]


@torch.inference_mode()
def draw_batch(
    model: Model, requests: list[SampleRequest], sampling: Sampling, until: str | None, notify: Callable[[int], None]
) -> list[Continuation]:
    """Sample one batch, token by token."""
    generators = [torch.Generator().manual_seed(one.seed) for one in requests]
    written: list[list[int]] = [[] for _ in requests]
    finish: list[Finish] = ["stop"] * len(requests)
    batch = Batch(model, [one.prompt for one in requests], written)
    while True:
        own = [generators[i] for i in batch.live]
        tokens = choose_tokens(batch.logits, sampling, own)
        drawn = dict(zip(batch.live, tokens, strict=True))
        if (bad := next((i for i in batch.live if drawn[i] == NOT_FINITE), None)) is not None:
            ids = (*requests[bad].prompt, *written[bad])
            raise make_finite_error(model.name, model.hf_model, ids, " while sampling")
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
    """Whether `text` is in the end of the text of `ids`, long enough to notice it with the token that completes it."""
    return text in model.decode(ids[-4 * len(text) - 4 :])  # a character has up to four tokens


class Batch:
    """Sequences while they are sampled: keys and values, padded on the left, and the logits of the next tokens.

    `live` lists the sequences that have not ended, by their number in `prompts`. The caller shares `written` and
    appends tokens to it.
    """

    def __init__(self, model: Model, prompts: list[tuple[int, ...]], written: list[list[int]]) -> None:
        self.model, self.prompts, self.written = model, prompts, written
        self.live = list(range(len(prompts)))
        self.width = self.seen = max(map(len, prompts))
        self._read(prompts)

    def _read(self, sequences: list[tuple[int, ...]]) -> None:
        """Read the live sequences from their start."""
        if can_prefill(self.model, self.seen):
            self.cache, self.logits = prefill_prompts(self.model, sequences)
        else:
            self.cache = DynamicCache(config=self.model.hf_model.config)
            ids = torch.tensor([[0] * (self.seen - len(s)) + list(s) for s in sequences])
            self.logits = self._forward(ids, 0)

    def keep(self, live: list[int]) -> None:
        """Drop all sequences but `live`, so that nothing is computed for those that have ended."""
        if len(live) < len(self.live) and live:
            places = [self.live.index(i) for i in live]
            # recurrent states too can select in this way
            self.cache.reorder_cache(cast("torch.LongTensor", torch.tensor(places)))
        self.live = live

    def advance(self) -> None:
        """Read the last token of each live sequence; all tokens, if from now on they are scaled in another way."""
        ids = torch.tensor([[self.written[i][-1]] for i in self.live])
        self.seen += 1
        if self.seen - 1 in self.model.scaling_lengths:
            self._read([(*self.prompts[i], *self.written[i]) for i in self.live])
            return
        self.logits = self._forward(ids, self.seen - 1)

    def _forward(self, ids: Int[Tensor, "batch pos"], start: int) -> Float[Tensor, "batch vocab"]:
        model, stop = self.model, start + ids.shape[1]
        pad = torch.tensor([self.width - len(self.prompts[i]) for i in self.live], device=model.device)
        sequences = [(*self.prompts[i], *self.written[i]) for i in self.live]
        out = model.hf_model(
            input_ids=ids.to(model.device),
            attention_mask=make_mask(model, sequences, pad, start, stop).to(model.device),
            position_ids=(torch.arange(start, stop, device=pad.device) - pad[:, None]).clamp(min=0),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float()


def choose_tokens(
    logits: Float[Tensor, "batch vocab"], sampling: Sampling, generators: Sequence[torch.Generator]
) -> list[int]:
    """The next token of each sequence, or `NOT_FINITE`: all that leaves the device of the logits.

    Args:
        logits: on any device.
        sampling: temperature and nucleus.
        generators: on the host, one for each sequence; none is used at temperature 0.
    """
    is_finite = logits.amax(-1).isfinite()  # NaN if one logit is; -inf stands for tokens that are barred
    if sampling.temperature == 0:
        tokens = logits.argmax(-1)
    else:
        uniform = torch.stack([torch.rand((), generator=one, dtype=torch.float64) for one in generators])
        tokens = draw_tokens(logits / sampling.temperature, sampling.top_p, uniform.to(logits.device))
    return move_to_host(tokens.where(is_finite, NOT_FINITE))
