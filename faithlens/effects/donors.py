"""Which other trace can serve as the corrupted run of a trace? One with the same token layout and a different answer.

1. Run all traces and read the model's answer to each.
2. For each trace, keep the traces of the pool with the same options whose pieces have the same names and lengths.
3. Among these, keep those with a different answer, and draw one.

For example, with pieces of these lengths and these answers::

    a    prompt 9, step 0 4, stem 2    answer 0    donor: b
    b    prompt 9, step 0 4, stem 2    answer 1    donor: a
    c    prompt 9, step 0 5, stem 2    answer 1    dropped: no other trace has its layout
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from faithlens.effects.experiment import Conditions, are_aligned, list_traces, run_together
from faithlens.measures.answers import choose_option
from faithlens.model.model import Model
from faithlens.plan.condition import Condition

ANSWERED_ALIKE = "every trace with the same token layout has the same answer"
NONE_ALIGNED = "no other trace has the same token layout and the same options"


@dataclass(frozen=True)
class Donors:
    """The traces that have a donor, their donors, and the traces that have none.

    Attributes:
        clean: the traces that have a donor.
        donor: their donors, in the same order.
        dropped: the traces that have none, each with the reason.
        n_candidates: the number of traces each donor was drawn from.
        seed: the seed of the draw.
    """

    clean: tuple[Condition, ...]
    donor: tuple[Condition, ...]
    dropped: tuple[tuple[Condition, str], ...]
    n_candidates: tuple[int, ...]
    seed: int

    def __iter__(self) -> Iterator[list[Condition]]:
        """Unpack: ``clean, donor = find_donors(model, traces)``."""
        yield from (list(self.clean), list(self.donor))

    def to_dataframe(self) -> pd.DataFrame:
        """A table with one row for each trace. Columns: trace, donor, candidates (their number), reason."""
        matched = zip(self.clean, self.donor, self.n_candidates, strict=True)
        rows = [(one.name, other.name, n, None) for one, other, n in matched]
        rows += [(one.name, None, 0, reason) for one, reason in self.dropped]
        return pd.DataFrame(rows, columns=["trace", "donor", "candidates", "reason"])


def find_donors(model: Model, traces: Conditions, pool: Conditions | None = None, *, seed: int = 0) -> Donors:
    """Draw a donor for each trace: a trace of the same token layout that the model answers differently.

    Activations can then be exchanged position by position, and the two answers span a scale for effects. The answers
    are those the model gives; none is assumed.

    Args:
        model: the model.
        traces: one trace or several.
        pool: the traces from which donors are drawn; by default, `traces`.
        seed: the seed of the draw.

    Returns:
        The traces that have a donor, their donors, and the traces that have none.

    Raises:
        PlanError: `traces` or `pool` holds something else than conditions.
    """
    listed = list_traces(traces)
    others = listed if pool is None else list_traces(pool)
    records = run_together(model, list(dict.fromkeys([*listed, *others])))
    answers = {record.condition: choose_option(record.logprobs) for record in records}
    matches: list[tuple[Condition, Condition, int]] = []
    dropped: list[tuple[Condition, str]] = []
    for i, trace in enumerate(listed):
        fit = [other for other in others if other != trace and are_aligned(trace, other)]
        differ = [other for other in fit if answers[other] != answers[trace]]
        if differ:
            matches.append((trace, random.Random(f"donor:{seed}:{i}").choice(differ), len(differ)))
        else:
            dropped.append((trace, ANSWERED_ALIKE if fit else NONE_ALIGNED))
    clean, donor, candidates = zip(*matches, strict=True) if matches else ((), (), ())
    return Donors(clean, donor, tuple(dropped), candidates, seed)
