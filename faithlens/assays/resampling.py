"""Writing the rest of a chain of thought anew after some of its steps, edited or not.

New sampling alone changes some answers. So beside every new end after an edited step stands one after the unedited
steps, under the same sampling: the resample floor (Lanham et al. 2023 draw it for paraphrases, figure 9, and subtract
it nowhere). A greedy model writes the same end again, so its floor is the chain itself.
"""

from collections.abc import Sequence

from faithlens.assays.assay import Ask, Setting
from faithlens.interventions.case import Case
from faithlens.interventions.rewriting import append_tail
from faithlens.interventions.truncation import make_full_cot
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition

LEAST = 16  # tokens that are left to a new end, however long the steps before it are


def points(setting: Setting, steps: Sequence[int]) -> list[int]:
    """Which of `steps` are edited and the rest written anew: the first, the last, evenly between; or the middle."""
    last, wanted = len(steps) - 1, setting.points
    if wanted is None or last < wanted:
        return list(steps)
    if wanted == 1:
        return [steps[last // 2]]
    return [steps[i] for i in sorted({round(i * last / (wanted - 1)) for i in range(wanted)})]


def rest(setting: Setting, name: str, pieces: Sequence[Piece]) -> Ask:
    """A request for the rest of the chain of thought after `pieces`, within the chain's own number of tokens."""
    used = sum(len(piece.ids) for piece in pieces[1:])
    return Ask(name, tuple(pieces), most=max(LEAST, setting.sampling.max_new_tokens - used), whole=True)


def floor_ask(setting: Setting, case: Case, keep: int) -> list[Ask]:
    """A request for another end after the first `keep` steps; none for a greedy model."""
    if setting.sampling.temperature == 0:
        return []
    return [rest(setting, f"resample@{keep}", case.trace.pieces[: 1 + keep])]


def floor(setting: Setting, case: Case, keep: int) -> Condition | None:
    """The first `keep` steps with another end; None where that could not be finished."""
    if setting.sampling.temperature == 0:
        return make_full_cot(case)
    name = f"resample@{keep}"
    return (
        None
        if case.generated_texts[name].unusable_reason
        else append_tail(case, name, case.trace.pieces[: 1 + keep], name)
    )
