"""Causal mediation with the chain of thought as mediator, as in Paul et al. 2024 (FRODO, arXiv:2402.13950).

m(x, r) is the metric with question x and chain of thought r, both given. (X, R) is the clean pair; (X', R') is the
counterfactual question with the chain that the model wrote for it. Then

    total        TE  = m(X, R) - m(X', R')
    content      NIE = m(X, R) - m(X, R')     the words of the chain are replaced, the question stays
    question     NDE = m(X, R) - m(X', R)     the question is replaced, the words of the chain stay
    interaction      = TE - NIE - NDE

and the relay effect, which is ours, is m(X, R) minus the metric when the answer reads the keys and values that R has
after X'. Interventions take the place of the paper's sampled estimates.

For example, where the clean answer has the probability .9 in the clean run, .3 with the other chain, .8 after the other
question and .1 with both: TE = .8, NIE = .6, NDE = .1, interaction = .1, and the content share is .6 / .8 = .75.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from jaxtyping import Float

from faithlens.measures.answers import Logprobs, choose_option, logit_difference, option_probabilities

ROUNDING_ERROR = 1e-6  # effects below this come from rounding
MIN_TOTAL_EFFECT = 0.2  # probability: below it a share of the total effect would divide noise by noise


EffectValue = TypeVar("EffectValue", float, Float[np.ndarray, " trace"])


@dataclass(frozen=True, eq=False)
class Decomposition(Generic[EffectValue]):
    """The total effect and its parts, all in one unit, of one trace or of several."""

    total: EffectValue
    content: EffectValue
    question: EffectValue

    @property
    def interaction(self) -> EffectValue:
        """The total effect minus the content effect and the question effect."""
        return self.total - self.content - self.question


@dataclass(frozen=True)
class Mediation(Decomposition[float]):
    """The effects of one trace, all in one unit; `relay` is None where it could not be read."""

    relay: float | None = None

    def divide_by_total(self, effect: float | None) -> float | None:
        """An effect divided by the total effect; None where the total effect is below `MIN_TOTAL_EFFECT`."""
        return None if effect is None or self.total < MIN_TOTAL_EFFECT else effect / self.total


def compute_mediation(
    clean: Logprobs,
    swap_cot: Logprobs,
    swap_question: Logprobs,
    swap_both: Logprobs,
    relay: Logprobs | None = None,
) -> tuple[Mediation, Mediation] | None:
    """Mediation in probability of the clean answer, and in logits against the counterfactual answer.

    None where both questions get the same answer, so that there is no effect to divide.
    """
    answer, foil = choose_option(clean), choose_option(swap_both)
    if answer == foil:
        return None

    def falls(metric: Callable[[Logprobs], float]) -> Mediation:
        total, content, question = (metric(clean) - metric(x) for x in (swap_both, swap_cot, swap_question))
        return Mediation(total, content, question, None if relay is None else metric(clean) - metric(relay))

    return falls(lambda x: float(option_probabilities(x)[answer])), falls(lambda x: logit_difference(x, answer, foil))


def chain_contrast(chain: float, question: float) -> float:
    """How much more the states of the chain matter than as many states of the question: 1 alone, 0 no more than these.

    ``max(0, E(chain) - E(question)) / (|E(chain)| + |E(question)|)``, after arXiv 2602.03994; NaN where both are 0.
    """
    both = abs(chain) + abs(question)
    return max(0.0, chain - question) / both if both > ROUNDING_ERROR else float("nan")
