"""The plan that runs conditions: which of them share a packed row.

A plan is plain data: it can be made, printed, compared and tested without a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from faithlens.errors import PlanError
from faithlens.model.structure import Structure
from faithlens.plan.checks import check_conditions
from faithlens.plan.condition import Condition
from faithlens.plan.packing import PackedPass, Packing

BUDGET = 8192  # packed rows in a pass: a pass holds their residual stream and one layer's keys and values


@dataclass(frozen=True)
class Plan:
    """Conditions, and the packed rows that run them."""

    conditions: tuple[Condition, ...]
    passes: tuple[PackedPass, ...]

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

    def describe(self) -> str:
        """The numbers of conditions, passes and tokens, as one line of text."""
        passes = "1 pass" if len(self.passes) == 1 else f"{len(self.passes)} passes"
        saved = 1 - self.tokens / self.tokens_separately
        # donors and originals are rows too, so a plan with edits may have more tokens than its conditions
        percent = f" ({saved:.0%} saved)" if saved > 0 else ""
        return (
            f"{len(self.conditions):,} conditions in {passes}: {self.tokens:,} tokens instead of"
            f" {self.tokens_separately:,}{percent}"
        )


def compile_plan(
    conditions: Sequence[Condition],
    structure: Structure = Structure(),
    *,
    budget: int = BUDGET,
    context_length: int | None = None,
    scaling_lengths: tuple[int, ...] = (),
) -> Plan:
    """Pack conditions into rows of at most `budget` tokens, in the order given; a longer one has a row of its own.

    Args:
        conditions: what is run.
        structure: the attention edges that the model was trained without.
        budget: the most packed rows in a pass.
        context_length: the longest sequence that the model reads, in tokens; None for no limit.
        scaling_lengths: the lengths beyond which all positions of a sequence are scaled in another way
            (`Model.scaling_lengths`); sequences on different sides of one share no row.

    Raises:
        PlanError: a condition has no option to score, has an edit without meaning, or exceeds `context_length`.
    """
    if isinstance(conditions, Condition):
        raise PlanError(
            f"a list of conditions is needed, got the single condition {conditions.name!r}",
            "Put it into a list: [condition].",
        )
    check_conditions(conditions, context_length)
    passes: list[PackedPass] = []
    packing, indices = Packing(structure, scaling_lengths), list[int]()
    for index, condition in enumerate(conditions):
        packing.add(index, condition)
        if indices and len(packing) > budget:  # it does not fit: pack the conditions before it, and start again
            passes.append(pack_conditions(conditions, indices, structure, scaling_lengths).pack())
            packing, indices = pack_conditions(conditions, [index], structure, scaling_lengths), []
        indices.append(index)
    if indices:
        passes.append(packing.pack())
    return Plan(tuple(conditions), tuple(passes))


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
