"""Donors: for each trace another one that lines up with it, token by token, and is answered differently."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from faithlens.effects.experiment import Conditions, are_aligned, list_traces, run_together
from faithlens.measures.answers import choose_option
from faithlens.model.model import Model
from faithlens.plan.condition import Condition

ANSWERED_ALIKE = "every trace that lines up with it is answered alike"
NONE_ALIGNED = "no other trace has as many tokens in every piece, and the same options"


@dataclass(frozen=True)
class Donors:
    """What `find_donors` found.

    Attributes:
        clean: the traces that have a donor.
        donor: theirs, in the same order.
        dropped: the traces that have none, and why.
        n_candidates: how many each donor was drawn from.
        seed: of the draw.
    """

    clean: tuple[Condition, ...]
    donor: tuple[Condition, ...]
    dropped: tuple[tuple[Condition, str], ...]
    n_candidates: tuple[int, ...]
    seed: int

    def __iter__(self) -> Iterator[list[Condition]]:
        """`clean, donor = find_donors(...)`."""
        yield from (list(self.clean), list(self.donor))

    def to_dataframe(self) -> pd.DataFrame:
        """A row a trace: its donor, how many could have been it, or the reason why there is none."""
        found = zip(self.clean, self.donor, self.n_candidates, strict=True)
        rows = [(one.name, other.name, n, None) for one, other, n in found]
        rows += [(one.name, None, 0, reason) for one, reason in self.dropped]
        return pd.DataFrame(rows, columns=["trace", "donor", "candidates", "reason"])


def find_donors(model: Model, traces: Conditions, pool: Sequence[Condition] | None = None, *, seed: int = 0) -> Donors:
    """For each trace a donor from `pool`, by default the other traces: drawn from those that line up and differ.

    A donor has as many tokens in every piece and the same options, so that activations fit position by position, and
    the model answers it otherwise, so that there is an effect to speak of. What is answered is run, not assumed.
    """
    found = list_traces(traces)
    others = found if pool is None else list(pool)
    records = run_together(model, list(dict.fromkeys([*found, *others])))
    answers = {record.condition: choose_option(record.logprobs) for record in records}
    kept: list[tuple[Condition, Condition, int]] = []
    dropped: list[tuple[Condition, str]] = []
    for i, trace in enumerate(found):
        fit = [other for other in others if other != trace and are_aligned(trace, other)]
        differ = [other for other in fit if answers[other] != answers[trace]]
        if differ:
            kept.append((trace, random.Random(f"donor:{seed}:{i}").choice(differ), len(differ)))
        else:
            dropped.append((trace, ANSWERED_ALIKE if fit else NONE_ALIGNED))
    clean, donor, candidates = zip(*kept, strict=True) if kept else ((), (), ())
    return Donors(clean, donor, tuple(dropped), candidates, seed)
