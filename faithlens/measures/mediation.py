"""Causal mediation with the chain of thought as mediator (internal measures M1-M3).

m(x, r) is the metric with question x and chain of thought r, both given. (X, R) is the clean pair; (X', R') the
counterfactual question with the chain the model wrote for it. Then

    total        TE  = m(X, R) - m(X', R')
    content      NIE = m(X, R) - m(X, R')     the chain's words are exchanged, the question stays
    question     NDE = m(X, R) - m(X', R)     the question is exchanged, the chain's words stay
    interaction      = TE - NIE - NDE

and the relay effect (M7) is m(X, R) less the metric when the answer reads the keys and values that R has after X'.
As in the mediation analysis of Paul et al. 2024 (FRODO), with interventions in place of sampled estimates.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from faithlens.measures.answers import choose_option, logit_difference, option_probabilities

ROUNDING_ERROR = 1e-6  # effects below are rounding
MIN_TOTAL_EFFECT = 0.2  # probability: below it a share of the total effect would divide noise by noise


@dataclass(frozen=True)
class Mediation:
    """The effects, all in one unit; `relay` is None where it could not be read."""

    total: float
    content: float
    question: float
    relay: float | None = None

    @property
    def interaction(self) -> float:
        """What the two changes do together beyond what each does alone."""
        return self.total - self.content - self.question

    def share_of_total(self, effect: float | None) -> float | None:
        """An effect as a fraction of the total; None where that is too small to be shared out."""
        return None if effect is None or self.total < MIN_TOTAL_EFFECT else effect / self.total


def compute_mediation(
    clean: Float[Tensor, " option"],
    swap_cot: Float[Tensor, " option"],
    swap_question: Float[Tensor, " option"],
    swap_both: Float[Tensor, " option"],
    relay: Float[Tensor, " option"] | None = None,
) -> tuple[Mediation, Mediation] | None:
    """Mediation in probability of the clean answer, and in logits against the counterfactual answer.

    None where both questions get the same answer: there is then no effect to share out.
    """
    answer, foil = choose_option(clean), choose_option(swap_both)
    if answer == foil:
        return None

    def falls(metric: Callable[[Float[Tensor, " option"]], float]) -> Mediation:
        total, content, question = (metric(clean) - metric(x) for x in (swap_both, swap_cot, swap_question))
        return Mediation(total, content, question, None if relay is None else metric(clean) - metric(relay))

    return falls(lambda x: float(option_probabilities(x)[answer])), falls(lambda x: logit_difference(x, answer, foil))


def chain_contrast(chain: float, question: float) -> float:
    """How much more the chain's states matter than as many of the question's: 1 all, 0 no more than these (M15).

    ``max(0, E(chain) - E(question)) / (|E(chain)| + |E(question)|)``, after arXiv 2602.03994; NaN where both are 0.
    """
    both = abs(chain) + abs(question)
    return max(0.0, chain - question) / both if both > ROUNDING_ERROR else float("nan")
