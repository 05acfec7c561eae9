"""The plan that runs conditions: which of them share a packed row.

A plan is plain data: it can be made, printed, compared and tested without a model.

1. Conditions go into a pass in the order given, until it would have more rows than the budget (`compile_plan`).
2. If a condition alone has more rows than that, those after it that share its rows still join it: computing the shared
   rows again for each of them would cost far more memory and time than the few rows that they add (`Limit`).

For example, with a budget of 8,192 rows, a chain of 12,670 tokens and 300 truncations of it, of which each adds 4 rows:
one pass of 13,870 rows. It holds up to 12,670 + 2 * 12,670 rows, since the budget is less than twice the chain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

from faithlens.console import format_html_table
from faithlens.errors import PlanError, check_type
from faithlens.model.structure import Structure
from faithlens.plan.checks import check_conditions
from faithlens.plan.condition import CONDITION_FIX, Condition
from faithlens.plan.packing import PackedPass, Packing

BRANCHES = 2  # rows beside a condition that alone is larger than the budget, in multiples of its own


@dataclass(frozen=True)
class Plan:
    """Conditions, and the packed rows that run them.

    Attributes:
        conditions: what is run, in the order of the records.
        passes: the packed rows.
        seconds: what it took to make the plan.
    """

    conditions: tuple[Condition, ...]
    passes: tuple[PackedPass, ...]
    seconds: float = field(default=0.0, compare=False)

    @property
    def longest(self) -> int:
        """The length of the longest sequence, in tokens, with its options and among donors and references."""
        return max((measure_length(condition) for condition in self.conditions), default=0)

    @property
    def tokens(self) -> int:
        """Packed rows that the model is run on."""
        return sum(map(len, self.passes))

    @property
    def tokens_separately(self) -> int:
        """Tokens that the model would be run on with one forward for each condition."""
        return sum(c.n_tokens for c in self.conditions)

    def __repr__(self) -> str:
        return f"Plan({self.describe()})"

    def _repr_html_(self) -> str:
        numbers = {
            "conditions": f"{len(self.conditions):,}",
            "passes": f"{len(self.passes):,}",
            "packed rows (tokens)": f"{self.tokens:,}",
            "tokens one by one": f"{self.tokens_separately:,}",
            "longest condition, in tokens": f"{self.longest:,}",
        }
        return format_html_table("Plan", ("", "number"), numbers.items())

    def describe(self) -> str:
        """The numbers of conditions, passes and tokens, as one line of text."""
        passes = "1 pass" if len(self.passes) == 1 else f"{len(self.passes)} passes"
        # donors and originals are rows too, so a plan with edits may have more tokens than its conditions
        is_smaller = self.tokens < self.tokens_separately
        percent = f" ({1 - self.tokens / self.tokens_separately:.0%} saved)" if is_smaller else ""
        return (
            f"{len(self.conditions):,} conditions in {passes}: {self.tokens:,} tokens instead of"
            f" {self.tokens_separately:,}{percent}"
        )


class Limit:
    """The most rows of a pass whose first condition has `n_rows`: the budget, or more where `n_rows` exceeds it."""

    def __init__(self, n_rows: int, budget: int | None, is_strict: bool) -> None:
        self.is_exceeded = budget is not None and n_rows > budget
        beside = 0 if budget is None or is_strict else max(budget, BRANCHES * n_rows)
        self.most = n_rows + beside if self.is_exceeded else budget

    def admits(self, n_rows: int, n_shared: int) -> bool:
        """Whether a condition that shares `n_shared` of its rows may be in the pass, which then has `n_rows`."""
        return self.most is None or (n_rows <= self.most and (n_shared > 0 or not self.is_exceeded))


def compile_plan(
    conditions: Sequence[Condition],
    structure: Structure = Structure(),
    *,
    budget: int | None = None,
    context_length: int | None = None,
    scaling_lengths: tuple[int, ...] = (),
    is_strict: bool = False,
) -> Plan:
    """Pack conditions into rows of at most `budget` tokens, in the order given.

    A condition that alone has more rows shares its pass with its neighbours that share its rows, unless `is_strict`.

    Args:
        conditions: what is run.
        structure: the attention edges that the model was trained without.
        budget: the most packed rows in a pass; None for no limit. `plan_passes` makes passes that fit in memory.
        context_length: the longest sequence that the model reads, in tokens; None for no limit.
        scaling_lengths: the lengths beyond which all positions of a sequence are scaled in another way
            (`Model.scaling_lengths`); sequences on different sides of one share no row.
        is_strict: whether a condition with more rows than the budget has a pass of its own, since nothing else fits.

    Raises:
        PlanError: something is no condition, or a condition has no option to score, has an edit without meaning, or
            exceeds `context_length`.
    """
    if isinstance(conditions, Condition):
        raise PlanError(
            f"a list of conditions is needed, got the single condition {conditions.name!r}",
            "Put it into a list: [condition].",
        )
    for condition in conditions:
        check_type(condition, Condition, "each of the conditions", CONDITION_FIX, PlanError)
    start = perf_counter()
    check_conditions(conditions, context_length)
    passes: list[PackedPass] = []
    packing, indices = Packing(structure, scaling_lengths), list[int]()
    limit: Limit | None = None
    for index, condition in enumerate(conditions):
        before = len(packing)
        packing.add(index, condition)
        if limit is None or limit.is_exceeded or not limit.admits(len(packing), 0):
            alone = pack_conditions(conditions, [index], structure, scaling_lengths)
            n_shared = before + len(alone) - len(packing)
            own = Limit(len(alone), budget, is_strict)
            if limit is None or (own.is_exceeded and not limit.is_exceeded and own.admits(len(packing), n_shared)):
                limit = own
            elif not limit.admits(len(packing), n_shared):  # pack the conditions before it, and start again
                passes.append(pack_conditions(conditions, indices, structure, scaling_lengths).pack())
                packing, indices, limit = alone, [], own
        indices.append(index)
    if indices:
        passes.append(packing.pack())
    return Plan(tuple(conditions), tuple(passes), perf_counter() - start)


def pack_conditions(
    conditions: Sequence[Condition],
    indices: Sequence[int],
    structure: Structure,
    scaling_lengths: tuple[int, ...],
) -> Packing:
    """The conditions of one pass, inserted in order."""
    packing = Packing(structure, scaling_lengths)
    for index in indices:
        packing.add(index, conditions[index])
    return packing


def measure_length(condition: Condition) -> int:
    """The length of the longest sequence that a condition needs, in tokens."""
    own = condition.n_tokens + max(map(len, condition.sequences), default=1) - 1
    return max([own, *(measure_length(donor) for donor in condition.donors)])
