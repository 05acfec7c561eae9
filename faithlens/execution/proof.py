"""Do a run's own numbers agree with plain transformers? A few conditions are answered again, without any code of ours.

1. `draw_sample` draws conditions at random, by a seed, from those that a plain forward can run: an edit of the pass
   (a knockout, a patch) has no plain forward, so an edited condition is represented by unedited ones.
2. Of each, transformers alone answers the options that the fewest forwards give, in the format of the run. After the
   first condition, all next tokens are answered by two attention implementations of transformers: the typical
   difference is the noise (`measure_token_noise`).
3. The run's numbers may differ by at most ten times the noise, or 1e-4 nats where that is more (`compute_limit`).

For example, in bfloat16 a condition has the log-probabilities -1.20 and -0.35 in the run, and -1.22 and -0.35 by
transformers. The largest difference is 0.02 nats; if transformers differs from itself by 0.01, the limit is 0.1.

The cost of a proof is mostly `CONDITIONS` + 2 plain forwards. An audit proves its first batch and a random later one.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import torch

from faithlens.errors import ModelError
from faithlens.execution.plain import (
    answer_plainly,
    can_answer_plainly,
    compute_limit,
    find_largest_gap,
    measure_token_noise,
)
from faithlens.model.model import Model
from faithlens.plan.capture import Record
from faithlens.plan.condition import Condition
from faithlens.plan.spellings import list_unions

CONDITIONS = 2  # conditions in a proof


@dataclass(frozen=True)
class Proof:
    """What a comparison with plain transformers gave.

    Attributes:
        conditions: the names of the conditions that were compared.
        options: the number of log-probabilities that were compared.
        largest_difference: between the run and plain transformers, in nats.
        noise: the typical difference of plain transformers from itself, in nats.
        limit: the largest difference that passes, in nats.
        seconds: what the comparison took.
    """

    conditions: tuple[str, ...]
    options: int
    largest_difference: float
    noise: float
    limit: float
    seconds: float


def draw_sample(model: Model, conditions: Sequence[Condition], seed: int) -> list[int]:
    """Draw the numbers of conditions that a plain forward can run."""
    rng, drawn = random.Random(seed), []
    for i in rng.sample(range(len(conditions)), len(conditions)):
        if len(drawn) < CONDITIONS and can_answer_plainly(model, conditions[i]):
            drawn.append(i)
    return drawn


def choose_options(condition: Condition) -> list[int]:
    """The numbers of the options that the fewest forwards give, and of all others that these forwards give too."""
    unions = list_unions(condition.options, condition.spellings)
    tails = [{condition.sequences[i][:-1] for i in (*union.held, *union.taken_out)} for union in unions]
    fewest = min(tails, key=len)
    return [i for i, needed in enumerate(tails) if needed <= fewest]


def prove_records(model: Model, conditions: Sequence[Condition], records: Sequence[Record], seed: int) -> Proof:
    """Compare a random sample of records with plain forwards.

    Raises:
        ModelError: they differ by more than rounding; it names the condition and both numbers.
    """
    start = perf_counter()
    sample = [(conditions[i], records[i], choose_options(conditions[i])) for i in draw_sample(model, conditions, seed)]
    plain = [answer_plainly(model, condition, chosen) for condition, _, chosen in sample]
    noise = measure_token_noise(model, sample[0][0].ids) if sample else 0.0
    limit, largest = compute_limit(noise), 0.0
    for (condition, record, chosen), answers in zip(sample, plain, strict=True):
        own = record.logprobs[chosen]
        gap = find_largest_gap([own], [answers])
        if not gap <= limit:
            worst = int((own.double() - answers.double()).abs().nan_to_num(torch.inf).argmax())
            raise ModelError(
                f"the numbers of this run are not those of {model.name}: under condition {condition.name!r}, of"
                f" {len(condition.ids)} tokens, the log-probability of option {chosen[worst] + 1} is"
                f" {own[worst]:.6g} in the run and {answers[worst]:.6g} in plain transformers; the two differ by"
                f" {gap:.2g} nats, plain transformers from itself by {noise:.2g}, and {limit:.2g} are allowed",
                f"Run with --backend separate, and see what fails: faithlens doctor {model.name}",
            )
        largest = max(largest, gap)
    names = tuple(condition.name for condition, _, _ in sample)
    return Proof(names, sum(map(len, plain)), largest, noise, limit, perf_counter() - start)
