"""Seeded sampling of chains of thought, batched, with a generator of its own for every sequence.

Each sequence's randomness depends on its seed alone, not on its neighbours in the batch or on global state.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import DynamicCache

from faithlens.errors import ConfigError, PlanError
from faithlens.runtime.model import Lens
from faithlens.runtime.trace import Finish


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
class Sampled:
    """The tokens a model wrote after a prompt, without the token that ended them."""

    prompt: tuple[int, ...]
    ids: tuple[int, ...]
    finish: Finish
    seed: int


def sample(
    lens: Lens,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    sampling: Sampling = Sampling(),
    *,
    batch_size: int = 16,
    progress: Callable[[int], None] = lambda tokens: None,
) -> list[Sampled]:
    """Continue each prompt with its own seed; results in the order given.

    Prompts are batched by length, so that little is padded. `progress` is called with the number of tokens drawn
    in each decoding step.

    Raises:
        PlanError: a prompt leaves no room in the model's context for `max_new_tokens`.
    """
    longest = max(map(len, prompts), default=0)
    if longest + sampling.max_new_tokens > lens.context:
        raise PlanError(
            f"{sampling.max_new_tokens} new tokens after a prompt of {longest}",
            f"the model reads at most {lens.context} tokens",
            "shorten the prompt, or lower the number of new tokens",
        )
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    out: dict[int, Sampled] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        drawn = draw(lens, [tuple(prompts[i]) for i in batch], [seeds[i] for i in batch], sampling, progress)
        out |= dict(zip(batch, drawn, strict=True))
    return [out[i] for i in range(len(prompts))]


@torch.inference_mode()
def draw(
    lens: Lens,
    prompts: list[tuple[int, ...]],
    seeds: list[int],
    sampling: Sampling,
    progress: Callable[[int], None],
) -> list[Sampled]:
    """One batch, left-padded, with a key/value cache."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    written: list[list[int]] = [[] for _ in prompts]
    ended = [False] * len(prompts)
    steps = decode(lens, prompts, written)
    for _ in range(sampling.max_new_tokens):
        logits = next(steps)
        for i in (i for i, done in enumerate(ended) if not done):
            token = choose(logits[i], sampling, generators[i])
            ended[i] = token in lens.stop_ids
            if not ended[i]:
                written[i].append(token)
        progress(len(ended) - sum(ended))
        if all(ended):
            break
    return [
        Sampled(prompt, tuple(ids), "stop" if done else "length", seed)
        for prompt, ids, done, seed in zip(prompts, written, ended, seeds, strict=True)
    ]


def decode(
    lens: Lens, prompts: list[tuple[int, ...]], written: list[list[int]]
) -> Iterator[Float[Tensor, "batch vocab"]]:
    """Yield next-token logits for ever; between yields the caller appends to `written`.

    A sequence that has ended keeps its place in the batch and is fed its last token again, which nobody reads.
    """
    width = max(map(len, prompts))
    pad = torch.tensor([width - len(p) for p in prompts])
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
    cache, seen = DynamicCache(config=lens.model.config), 0
    while True:
        positions = (torch.arange(seen, seen + ids.shape[1]) - pad[:, None]).clamp(min=0)
        yield (
            lens.model(
                input_ids=ids.to(lens.device),
                attention_mask=mask(lens, prompts, written, pad, seen, seen + ids.shape[1]).to(lens.device),
                position_ids=positions.to(lens.device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            .logits[:, -1]
            .float()
            .cpu()
        )
        seen += ids.shape[1]
        ids = torch.tensor([[(w or p)[-1]] for w, p in zip(written, prompts, strict=True)])


def mask(
    lens: Lens,
    prompts: list[tuple[int, ...]],
    written: list[list[int]],
    pad: Int[Tensor, " batch"],
    start: int,
    stop: int,
) -> Bool[Tensor, "batch key"] | Float[Tensor, "batch head query key"]:
    """Which keys positions `start .. stop - 1` may read: padding is hidden, and so are an organism's missing edges."""
    real = torch.arange(stop) >= pad[:, None]
    if not lens.structure.forbidden:
        return real
    allowed = torch.ones(stop - start, stop, dtype=torch.bool).tril(start) & real[:, None]
    for row, (prompt, new) in enumerate(zip(prompts, written, strict=True)):
        shift = int(pad[row])
        hidden = lens.structure.hidden([*prompt, *new])
        for i in range(max(start, shift), min(stop, shift + len(hidden))):
            for a, b in hidden[i - shift]:
                allowed[row, i - start, a + shift : b + shift] = False
    lowest = torch.finfo(lens.model.dtype).min
    return torch.zeros(allowed.shape, dtype=lens.model.dtype).masked_fill(~allowed, lowest)[:, None]


def choose(logits: Float[Tensor, " vocab"], sampling: Sampling, generator: torch.Generator) -> int:
    """Draw one token."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    probabilities = (logits / sampling.temperature).softmax(-1)
    if sampling.top_p < 1:
        ordered, tokens = probabilities.sort(descending=True)
        ordered[ordered.cumsum(0) - ordered >= sampling.top_p] = 0  # the token that crosses the line stays
        return int(tokens[torch.multinomial(ordered, 1, generator=generator)])
    return int(torch.multinomial(probabilities, 1, generator=generator))
