"""How much does the model's own choice of a step move the answer? From answers after new ends of a chain.

New ends are written twice: after all steps before the step, so that the model chooses the step anew, and after the step
itself. With P the mean probabilities of the answers over the ends of one place:

1. `rise` is P(answer) after the step minus P(answer) before it.
2. `counterfactual` is the same, but before the step only ends count that begin with another step.
3. `divergence` is the Jensen-Shannon divergence of the two P over all answers; `divergence_floor` is that of two halves
   of the ends before the step, where nothing differs but the sampling.
4. `rewritten` is the share of the ends before the step that begin with another step.

For example, with the answer A, four ends before the step and two after it::

    before   begins as the step   P(A)        after   P(A)
             yes                  .9                  .9
             yes                  .9                  .9
             no                   .1
             no                   .1

    rise .9 - .5 = .4   counterfactual .9 - .1 = .8   rewritten .5   divergence .10

A step that the model writes again in every end has no counterfactual: its rise is about 0 whether or not the answer
depends on it, and `rewritten` says so.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from faithlens.measures.answers import Logprobs, Probabilities, merge_new_options, option_probabilities

Answers = Float[np.ndarray, "end value"]
LaterAnswers = Float[np.ndarray, "later_end value"]
"""The probabilities of the candidates, and of all other values together, after each of several ends."""


class StepImportance(NamedTuple):
    """What new ends say about one step; None where too few ends are there."""

    rise: float
    counterfactual: float | None
    divergence: float
    divergence_floor: float | None
    rewritten: float


def compute_importance(before: Answers, after: LaterAnswers, is_new: Sequence[bool], answer: int) -> StepImportance:
    """The importance of one step (Bogdan et al. 2025, arXiv:2506.19143, section 3).

    Args:
        before: the probabilities of the options after each end that was written without the step.
        after: the same after each end that was written after the step.
        is_new: for each end of `before`, whether it begins with another step.
        answer: the index of the answer whose probability rises or falls.

    Returns:
        The numbers of the module's docstring: differences of probabilities, -1 to 1; divergences in nats.
    """
    with_step = float(after[:, answer].mean())
    others = before[np.asarray(is_new, dtype=bool)]
    return StepImportance(
        rise=with_step - float(before[:, answer].mean()),
        counterfactual=with_step - float(others[:, answer].mean()) if len(others) else None,
        divergence=compute_divergence(before.mean(0), after.mean(0)),
        divergence_floor=compute_divergence(before[::2].mean(0), before[1::2].mean(0)) if len(before) > 1 else None,
        rewritten=float(np.mean(is_new)),
    )


def compute_divergence(p: Probabilities, q: Probabilities) -> float:
    """The Jensen-Shannon divergence of two distributions, in nats: 0 to ln 2, also where an answer never occurs."""
    middle = (p + q) / 2
    return (_sum_logs(p, middle) + _sum_logs(q, middle)) / 2


def stack_answers(logprobs: Sequence[Logprobs], n_candidates: int) -> Answers:
    """The probabilities of the candidates after several ends, one row for each; the last column is all other values."""
    return np.stack([option_probabilities(merge_new_options(each, n_candidates)) for each in logprobs])


def _sum_logs(p: Probabilities, q: Probabilities) -> float:
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())
