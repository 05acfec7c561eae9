"""Answer conditions with transformers alone, one forward for each option, and measure how exact these answers are.

All other ways to compute the same numbers are compared with these forwards: the backends at a model's first use
(`exactness`), an audit's own records (`proof`), and `doctor`. How far two ways may differ is measured, not assumed: the
noise is how much plain transformers itself changes when another implementation computes the same attention.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import signature

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from faithlens.model.attention_choice import can_choose_attention
from faithlens.model.lengths import list_lengths
from faithlens.model.model import Model
from faithlens.plan.condition import Condition
from faithlens.plan.spellings import list_unions, measure_union

SLACK = 10
"""A result may differ from plain transformers by this many times the noise of plain transformers itself."""

LEAST_LIMIT = 1e-4
"""Differences up to this, in nats, are always accepted: a few samples may show less noise than there is in float32."""


@torch.inference_mode()
def answer_plainly(model: Model, condition: Condition, chosen: Sequence[int] | None = None) -> Float[Tensor, " option"]:
    """The log-probabilities of options, in nats, without any hook or edit of ours. Edits are ignored.

    Args:
        model: the model.
        condition: what it answers.
        chosen: the numbers of the options; None for all.
    """
    sequences, unions = condition.sequences, list_unions(condition.options, condition.spellings)
    unions = unions if chosen is None else tuple(unions[i] for i in chosen)
    read: dict[tuple[int, ...], Tensor] = {}
    logprobs = torch.full((len(sequences),), torch.nan, dtype=torch.promote_types(model.hf_model.dtype, torch.float32))
    for i in (i for union in unions for i in (*union.held, *union.taken_out)):
        sequence, tail = sequences[i], sequences[i][:-1]
        if tail not in read:
            read[tail] = read_logprobs(model, condition.ids + tail, len(sequence)).cpu()
        logprobs[i] = read[tail][range(len(sequence)), list(sequence)].sum()
    return torch.stack([measure_union(union, logprobs) for union in unions])


def read_logprobs(model: Model, ids: tuple[int, ...], rows: int) -> Float[Tensor, "row vocab"]:
    """The log-probabilities of the next token after each of the last `rows` tokens."""
    options: dict[str, object] = {}
    if any(model.structure.list_hidden(ids)):
        mask = make_mask(model, [ids], torch.zeros(1, dtype=torch.long), 0, len(ids))
        options["attention_mask"] = mask.to(model.device)
    if "logits_to_keep" in signature(model.hf_model.forward).parameters:  # the logits of all tokens take gigabytes
        options["logits_to_keep"] = rows
    logits = model.hf_model(input_ids=torch.tensor([ids], device=model.device), use_cache=False, **options).logits
    return logits[0, -rows:].to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)


@contextmanager
def use_other_attention(model: Model) -> Iterator[bool]:
    """Run the model with another of transformers' attention implementations; yields False if it has no other one."""
    if not can_choose_attention(model.hf_model):
        yield False
        return
    before = model.hf_model.config._attn_implementation or "eager"
    try:
        try:
            model.hf_model.set_attn_implementation("sdpa" if before == "eager" else "eager")
        except (ValueError, ImportError):  # soft-capped scores and sinks have no sdpa
            yield False
        else:
            yield True
    finally:
        model.hf_model.set_attn_implementation(before)


def measure_noise(model: Model, answer: Sequence[Callable[[], Tensor]], plain: Sequence[Tensor]) -> float:
    """The noise of plain transformers, in nats: the largest change of its answers under another attention.

    The noise is at least the rounding of one log-probability in the number format of the model.

    Args:
        model: the model.
        answer: functions that compute the values of `plain` again.
        plain: answers by plain transformers.
    """
    rounding = torch.finfo(model.hf_model.dtype).eps * float(torch.cat(list(plain)).abs().max())
    with use_other_attention(model) as is_other:
        others = [each() for each in answer] if is_other else plain
    return max(rounding, find_largest_gap(others, plain))


@torch.inference_mode()
def measure_token_noise(model: Model, ids: tuple[int, ...]) -> float:
    """The noise of plain transformers after one sequence, in nats: the typical one over all possible next tokens.

    A few options may agree by chance under two attention implementations, most of all in 16 bits, where logits of 8 to
    16 are multiples of 1/16. The root mean square over the vocabulary does not depend on that chance.

    Args:
        model: the model.
        ids: the tokens of the sequence.
    """
    row = read_logprobs(model, ids, 1)[0].double()
    with use_other_attention(model) as is_other:
        other = read_logprobs(model, ids, 1)[0].double() if is_other else row
    is_possible = row.isfinite() & other.isfinite()  # padding of a vocabulary is impossible in both

    size, change = (float(each[is_possible].square().mean().sqrt()) for each in (row, other - row))
    return max(torch.finfo(model.hf_model.dtype).eps * size, change)


def compute_limit(noise: float) -> float:
    """How far a result may differ from plain transformers, in nats; see `SLACK` and `LEAST_LIMIT`."""
    return max(SLACK * noise, LEAST_LIMIT)


def find_largest_gap(values: Sequence[Tensor], reference: Sequence[Tensor]) -> float:
    """The largest absolute difference. Equal infinities do not differ; NaN differs from all, and gives NaN."""
    left, right = (torch.cat([each.double().cpu() for each in some]) for some in (values, reference))
    return float((left - right).abs().where(left != right, 0.0).max())


def can_answer_plainly(model: Model, condition: Condition) -> bool:
    """Whether a plain forward runs this condition: it has no edit of the pass.

    A model without some attention edges needs a mask of its own, which transformers takes in place of a window: it is
    plain only if the sequence is shorter than every window.
    """
    if condition.edits:
        return False
    has_window = any(n < len(condition.ids) for n in list_lengths(model.hf_model.config))
    return not has_window or not any(model.structure.list_hidden(condition.ids))


def make_mask(
    model: Model, sequences: Sequence[Sequence[int]], pad: Int[Tensor, " batch"], start: int, stop: int
) -> Bool[Tensor, "batch key"] | Float[Tensor, "batch head query key"]:
    """The keys that the positions `start` to `stop - 1` see: no padding, and no forbidden edge of the structure."""
    real = torch.arange(stop, device=pad.device) >= pad[:, None]
    if not model.structure.forbidden:
        return real
    allowed = torch.ones(stop - start, stop, dtype=torch.bool).tril(start) & real.cpu()[:, None]
    for row, (sequence, shift) in enumerate(zip(sequences, pad.tolist(), strict=True)):
        hidden = model.structure.list_hidden(sequence)
        for i in range(max(start, shift), min(stop, shift + len(hidden))):
            for a, b in hidden[i - shift]:
                allowed[row, i - start, a + shift : b + shift] = False
    lowest = torch.finfo(model.hf_model.dtype).min
    return torch.zeros(allowed.shape, dtype=model.hf_model.dtype).masked_fill(~allowed, lowest)[:, None]
