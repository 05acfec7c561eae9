"""The rest of a chain of thought is regenerated after some of its steps; and the floor of changed answers.

New sampling alone changes some answers. So a second new end is written after the same steps unedited, with the same
sampling: the resample floor. (Lanham et al. 2023 plot it for paraphrases in figure 9 and do not subtract it.) A greedy
model writes the same end again, so its floor is the chain itself.
"""

from collections.abc import Sequence

from faithlens.assays.assay import Setting, TextRequest
from faithlens.interventions.case import Case
from faithlens.interventions.rewriting import append_tail
from faithlens.interventions.truncation import make_full_cot
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition

MIN_NEW_TOKENS = 16  # a new end may have so many tokens, however long the steps before it are


def choose_places(setting: Setting, steps: Sequence[int]) -> list[int]:
    """The steps after which the rest is regenerated: evenly spaced from the first to the last; or the middle."""
    last, n = len(steps) - 1, setting.regenerations
    if n is None or last < n:
        return list(steps)
    if n == 1:
        return [steps[last // 2]]
    return [steps[i] for i in sorted({round(i * last / (n - 1)) for i in range(n)})]


def request_rest(setting: Setting, name: str, pieces: Sequence[Piece]) -> TextRequest:
    """A request for the rest of the chain after `pieces`, within the chain's own number of tokens."""
    used = sum(len(piece.ids) for piece in pieces[1:])
    return TextRequest(
        name,
        tuple(pieces),
        max_tokens=max(MIN_NEW_TOKENS, setting.sampling.max_new_tokens - used),
        drops_unfinished_step=True,
    )


def request_floor(setting: Setting, case: Case, n_steps: int) -> list[TextRequest]:
    """A request for another end after the first `n_steps` steps; none for a greedy model."""
    if setting.sampling.temperature == 0:
        return []
    return [request_rest(setting, f"resample@{n_steps}", case.trace.pieces[: 1 + n_steps])]


def make_floor(setting: Setting, case: Case, n_steps: int) -> Condition | None:
    """The first `n_steps` steps with another end; None if that end is unfinished."""
    if setting.sampling.temperature == 0:
        return make_full_cot(case)
    name = f"resample@{n_steps}"
    return (
        None
        if case.generated_texts[name].unusable_reason
        else append_tail(case, name, case.trace.pieces[: 1 + n_steps], name)
    )
