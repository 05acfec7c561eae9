"""Is a backend exact on this model? Each backend is compared with plain transformers before its first numbers.

1. Which lengths does the plan exceed: windows, and scaling of positions (`list_lengths`)? The check exceeds the longest
   of these too; of the chunks of a recurrent state (`list_chunk_lengths`), twice each. A later plan that exceeds
   another one is preceded by another check.
2. `make_conditions` makes four conditions of random tokens: one of that length, one that leaves out its last tokens,
   one with other tokens in their place, and a short one.
3. In a causal model the second has the numbers that the first has at the same place; if not, the model is refused.
4. The backend runs all four; its answers may differ from plain ones by at most `compute_limit` of the noise, which is
   how far plain transformers is from itself.

For example, a model has a window of 4096 tokens. The first plan, with conditions of 300 tokens, is preceded by a check
of 32 tokens; the first plan with a condition of more than 4096 tokens by one of 4112.
"""

import random
from collections.abc import Callable
from functools import partial
from weakref import WeakKeyDictionary

import torch
from transformers import PreTrainedModel

from faithlens.errors import FaithlensError, ModelError, describe_crash
from faithlens.execution.memory import is_short_of_memory
from faithlens.execution.plain import answer_plainly, compute_limit, find_largest_gap, measure_noise, read_logprobs
from faithlens.model.attention_choice import has_recurrent_state
from faithlens.model.finite import make_finite_error
from faithlens.model.lengths import list_chunk_lengths, list_lengths
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.capture import Capture, Record
from faithlens.plan.condition import Condition
from faithlens.plan.plan import Plan, compile_plan

BEYOND = 16  # tokens of the check beyond a length of the config
SHORT = 32  # tokens of the check if the plan exceeds no such length
LONGEST_SHORT = 1024  # tokens of the short condition
OPTIONS = 16  # options of one token in each condition

RunPlan = Callable[[Model, Plan, Capture], list[Record]]

_checked: WeakKeyDictionary[PreTrainedModel, dict[str, int]] = WeakKeyDictionary()
_refused: WeakKeyDictionary[PreTrainedModel, dict[str, tuple[int, str, str]]] = WeakKeyDictionary()


def check_exactness(model: Model, backend: str, run: RunPlan, longest: int) -> None:
    """Compare a backend with plain transformers, unless it was on sequences that exceed all lengths `longest` exceeds.

    Args:
        model: the model.
        backend: the name of the backend.
        run: what runs a plan by this backend.
        longest: the longest sequence that is to be run, in tokens.

    Raises:
        ModelError: the answers differ by more than rounding, the model is not causal, or it cannot be run.
    """
    checked, refused = _checked.setdefault(model.hf_model, {}), _refused.setdefault(model.hf_model, {})
    length = choose_check_length(model, longest)
    if length <= checked.get(backend, 0):
        return
    if backend in refused and length >= refused[backend][0]:
        raise ModelError(*refused[backend][1:])
    try:
        _compare_with_plain(model, backend, run, length)
    except ModelError as error:
        if not is_short_of_memory(error):
            refused[backend] = length, error.problem, error.fix
        raise
    checked[backend] = length


def _compare_with_plain(model: Model, backend: str, run: RunPlan, length: int) -> None:
    gap, limit = measure_gap(model, backend, run, length)
    if not gap <= limit:
        raise ModelError(
            f"backend {backend!r} is not exact on {type(model.hf_model).__name__}: on {length} random tokens its"
            f" answers differ from those of plain transformers by {gap:.2g} nats, where at most {limit:.2g} nats can be"
            " rounding",
            suggest_other_backend(backend),
        )


def suggest_other_backend(backend: str) -> str:
    """What to do if a backend cannot run a model."""
    if backend == "packed":
        return "Run this model with backend='separate' (--backend separate); docs/architectures.md lists what works."
    return "Try backend='packed' (--backend packed), or another model: docs/architectures.md lists what works."


def choose_check_length(model: Model, longest: int) -> int:
    """The length of the check before sequences of up to `longest` tokens are run."""
    config = model.hf_model.config
    exceeded = [n for n in list_lengths(config) if n < longest]
    if has_recurrent_state(model.hf_model):
        exceeded += [2 * n for n in list_chunk_lengths(config) if n < longest]
    return min(max([SHORT, *(n + BEYOND for n in exceeded)]), model.context_length - 2)


def measure_gap(model: Model, backend: str, run: RunPlan, length: int) -> tuple[float, float]:
    """The largest difference between a backend and plain transformers, and the largest allowed for rounding; in nats.

    Raises:
        ModelError: the model is not causal, or cannot be run.
    """
    conditions, name = make_conditions(model, length), type(model.hf_model).__name__
    try:
        plain = [answer_plainly(model, condition) for condition in conditions]
        for condition, answer in zip(conditions, plain, strict=True):
            if not torch.isfinite(answer).all():
                raise make_finite_error(model.name, model.hf_model, condition.ids)
        short = partial(answer_plainly, model, conditions[-1])  # eager attention of long ones does not fit
        noise = measure_noise(model, [short], plain[-1:])
        limit = compute_limit(noise)
        check_causality(model, conditions, limit)
    except (FaithlensError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever the code of an architecture raises
        raise ModelError(
            f"plain transformers cannot run {name} on {length} tokens: {describe_crash(error)}",
            "Use a causal language model that runs in transformers by itself.",
        ) from error
    try:
        plan = compile_plan(conditions, model.structure, budget=4 * length, scaling_lengths=model.scaling_lengths)
        records = run(model, plan, Capture())
    except (FaithlensError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise ModelError(
            f"backend {backend!r} cannot run {name}: {describe_crash(error)}", suggest_other_backend(backend)
        ) from error
    return find_largest_gap([record.logprobs for record in records], plain), limit


def make_conditions(model: Model, length: int) -> list[Condition]:
    """Random tokens as "whole", "cut", "other" and "short", with options of one token and one of two tokens.

    "whole" has `length` tokens, "cut" leaves out the last few, "other" has others in their place, and "short" has only
    a small part of them. Tokens that may have a meaning of their own are left out: those at the start of the
    vocabulary, those that the config names, and those that open a section of an organism.
    """
    rng, config = random.Random(0), model.hf_model.config.get_text_config()
    named = {
        value for part in (model.hf_model.config, config) for value in part.to_dict().values() if isinstance(value, int)
    }
    named |= {token for _, token in model.structure.sections}
    tokens = [i for i in range(min(16, config.vocab_size // 2), config.vocab_size) if i not in named]
    ids = tuple(rng.choices(tokens, k=length))
    *single, first, second = rng.sample(tokens, min(OPTIONS + 2, len(tokens)))
    options = (*((token,) for token in single), (first, second))
    whole, cut, short = ids, ids[: length - min(8, length // 4)], ids[: min(length // 4, LONGEST_SHORT)]
    if any(len(cut) <= n < length for n in model.scaling_lengths):
        cut = whole[:-1]
    other = cut + whole[: length - len(cut)]
    return [
        Condition(name, (Piece("prompt", some[:-2]), Piece("stem", some[-2:])), options)
        for name, some in (("whole", whole), ("cut", cut), ("other", other), ("short", short))
    ]


@torch.inference_mode()
def check_causality(model: Model, conditions: list[Condition], limit: float) -> None:
    """Check that the prediction after a token does not depend on the tokens that follow it.

    Raises:
        ModelError: it does.
    """
    whole, cut = conditions[0].ids, conditions[1].ids
    name, n = type(model.hf_model).__name__, len(whole) - len(cut)
    later = read_logprobs(model, whole, n + 1)[0]
    gap = find_largest_gap([later], [read_logprobs(model, cut, 1)[0]])
    if gap <= limit:
        return
    with_others = read_logprobs(model, cut + whole[:n], n + 1)[0]
    if find_largest_gap([later], [with_others]) <= limit:
        raise ModelError(
            f"the predictions of {name} depend on how many tokens follow, though not on which: with {n} tokens after"
            f" {len(cut)}, the prediction before them differs by {gap:.2g} nats",
            "Use another model: plain transformers itself gives one prefix two answers. An indexer that selects keys"
            " of equal scores does so.",
        )
    raise ModelError(
        f"{name} is not causal: the last {n} of {len(whole)} tokens change the prediction before them by {gap:.2g}"
        " nats",
        "Use a causal language model; for a model of the BERT family, set is_decoder in its config.",
    )
