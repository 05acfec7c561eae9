"""Seeded sampling of chains of thought in batches, with one random generator for each sequence.

1. As many prompts as fit begin together (`batches.Admission`), shortest first.
2. Each step draws one token for each sequence. Logits stay on the device of the model: the host gets the drawn tokens,
   and decides which sequences have ended.
3. Sequences that have ended leave the batch, and waiting prompts enter, so that one long sequence does not hold the
   others up.

The random numbers of a sequence depend on its seed only, not on its neighbours in the batch or on global state.

For example, three prompts whose continuations have 5, 2 and 2 tokens, two at a time::

    step      1  2  3  4  5
    first     a  a  a  a  a
    second    b  b
    third           c  c          5 steps; 7 if the third waited for the first
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from faithlens.errors import ModelError, PlanError, translate_errors
from faithlens.execution.batches import Admission
from faithlens.execution.draws import WIDE_NUCLEUS, draw_from_all, draw_tokens, move_to_host
from faithlens.execution.growing import GrowingBatch, GrowingSequence
from faithlens.execution.memory import is_out_of_memory
from faithlens.execution.options import Sampling
from faithlens.model.finite import make_finite_error
from faithlens.model.model import Model
from faithlens.model.trace import Finish

NOT_FINITE = -1
"""What stands for the token of a sequence whose logits are NaN or infinite."""


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
    `max_new_tokens`; the next prompts take its place. Short prompts begin first, so that little is padded, and prefixes
    that prompts share are read once if they begin together. If memory runs out, what has not ended is drawn again with
    half as many sequences together, and with the same random numbers.

    Args:
        model: the model.
        prompts: the tokens of each prompt.
        seeds: one seed for each prompt.
        sampling: how tokens are drawn.
        max_tokens: for each prompt, a limit below `max_new_tokens`, or None.
        until: a text that ends a sequence.
        batch_size: the most sequences at a time; None for as many as fit in memory (`batches.MOST_SEQUENCES` at most).
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
    admission = Admission(model, [len(one.prompt) for one in requests], limit, batch_size)
    out: dict[int, Continuation] = {}
    with translate_errors(ModelError, f"{model.name} cannot continue its prompts", fix):
        while len(out) < len(requests):
            continue_in_memory(model, requests, sampling, until, admission, notify, out)
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
        PlanError: a limit is below 1, or a prompt leaves no room in the model's context.
        ModelError: a token is not in the model's vocabulary.
    """
    own = [None] * len(prompts) if max_tokens is None else max_tokens
    if bad := [limit for limit in own if limit is not None and limit < 1]:
        fix = "Pass 1 or more for each prompt, or None for as many as the sampling allows."
        raise PlanError(f"max_tokens must be at least 1, got {bad[0]}", fix)
    most = sampling.find_limit(model)
    limits = [most if limit is None else min(most, limit) for limit in own]
    for prompt, limit in zip(prompts, limits, strict=True):
        model.check_ids(prompt)
        if len(prompt) + limit > model.context_length:
            raise PlanError(
                f"a prompt of {len(prompt)} tokens and {limit} new ones do not fit: the model reads at most"
                f" {model.context_length} tokens",
                "Shorten the prompt, or lower the number of new tokens.",
            )
    return [SampleRequest(tuple(p), seed, limit) for p, seed, limit in zip(prompts, seeds, limits, strict=True)]


def continue_in_memory(
    model: Model,
    requests: list[SampleRequest],
    sampling: Sampling,
    until: str | None,
    admission: Admission,
    notify: Callable[[int], None],
    out: dict[int, Continuation],
) -> None:
    """Continue the requests that are not in `out`; if memory runs out, allow half as many together, and return."""
    batch = GrowingBatch(model)
    try:
        draw_sequences(batch, requests, sampling, until, admission, notify, out)
        return
    except (MemoryError, RuntimeError) as error:
        if len(batch.live) == 1 or not is_out_of_memory(error):
            raise
    admission.most = len(batch.live) // 2
    batch.clear()
    if model.device.type == "cuda":
        torch.cuda.empty_cache()  # after the except block, which keeps the tensors of the batch alive


@torch.inference_mode()
def draw_sequences(
    batch: GrowingBatch,
    requests: list[SampleRequest],
    sampling: Sampling,
    until: str | None,
    admission: Admission,
    notify: Callable[[int], None],
    out: dict[int, Continuation],
) -> None:
    """Sample token by token what is not in `out`, and put each sequence there when it ends."""
    waiting = admission.sort(i for i in range(len(requests)) if i not in out)
    while waiting or batch.live:
        if waiting and batch.is_open:
            chosen = admission.choose(waiting, [each.number for each in batch.live])
            waiting = waiting[len(chosen) :]
            if chosen:
                batch.enter([begin_sequence(i, requests[i]) for i in chosen])
        tokens = choose_tokens(batch.logits, sampling, [each.generator for each in batch.live])
        batch.keep(append_tokens(batch, tokens, requests, until, notify, out))
        batch.advance()


def begin_sequence(number: int, request: SampleRequest) -> GrowingSequence:
    """A sequence of no token yet, with a generator of its own."""
    return GrowingSequence(number, request.prompt, torch.Generator().manual_seed(request.seed))


def append_tokens(
    batch: GrowingBatch,
    tokens: Sequence[int],
    requests: list[SampleRequest],
    until: str | None,
    notify: Callable[[int], None],
    out: dict[int, Continuation],
) -> list[GrowingSequence]:
    """Append the drawn tokens, and list the sequences that go on; those that have ended are put into `out`."""
    model = batch.model
    drawn = list(zip(batch.live, tokens, strict=True))
    for each, token in drawn:
        if token == NOT_FINITE:
            raise make_finite_error(model.name, model.hf_model, each.ids, " while sampling")
    going = [(each, token) for each, token in drawn if token not in model.stop_ids]
    for each, token in going:
        each.written.append(token)
    notify(len(going))
    finish: dict[GrowingSequence, Finish] = dict.fromkeys(batch.live, "stop")
    for each, _ in going:
        if not (until and completes_text(model, each.written, until)):
            finish.pop(each)
            if len(each.written) == requests[each.number].limit:
                finish[each] = "length"
    for each, how in finish.items():
        out[each.number] = Continuation(each.prompt, tuple(each.written), how, requests[each.number].seed)
    return [each for each in batch.live if each not in finish]


def completes_text(model: Model, ids: Sequence[int], text: str) -> bool:
    """Whether `text` is in the end of the text of `ids`, long enough to notice it with the token that completes it."""
    return text in model.decode(ids[-4 * len(text) - 4 :])  # a character has up to four tokens


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
        return move_to_host(logits.argmax(-1).where(is_finite, NOT_FINITE))
    scaled = logits / sampling.temperature
    uniform = torch.stack([torch.rand((), generator=one, dtype=torch.float64) for one in generators]).to(logits.device)
    tokens = move_to_host(draw_tokens(scaled, sampling.top_p, uniform).where(is_finite, NOT_FINITE))
    if wide := [i for i, token in enumerate(tokens) if token == WIDE_NUCLEUS]:
        drawn = move_to_host(draw_from_all(scaled[wide], sampling.top_p, uniform[wide]))
        for i, token in zip(wide, drawn, strict=True):
            tokens[i] = token
    return tokens
