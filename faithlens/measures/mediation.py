"""Causal mediation with the chain of thought as mediator (internal measures M1-M3).

m(x, r) is the metric with question x and chain of thought r, both given. (X, R) is the clean pair; (X', R') the
counterfactual question with the chain the model wrote for it. Then

    total        TE  = m(X, R) - m(X', R')
    content      NIE = m(X, R) - m(X, R')     the chain's words are exchanged, the question stays
    question     NDE = m(X, R) - m(X', R)     the question is exchanged, the chain's words stay
    interaction      = TE - NIE - NDE

as in the mediation analysis of Paul et al. 2024 (FRODO) with interventions in place of sampled estimates.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from faithlens.measures.answers import choice, logit_difference, probabilities

NOTHING = 1e-6  # effects below are rounding
TOTAL_FLOOR = 0.2  # probability: below it a share of the total effect would divide noise by noise


@dataclass(frozen=True)
class Mediation:
    """The four effects, all in one unit."""

    total: float
    content: float
    question: float

    @property
    def interaction(self) -> float:
        """What the two changes do together beyond what each does alone."""
        return self.total - self.content - self.question

    @property
    def defined(self) -> bool:
        """Whether the total effect is large enough to be shared out."""
        return self.total >= TOTAL_FLOOR


def effects(clean: float, swap_cot: float, swap_question: float, swap_both: float) -> Mediation:
    """The effects from the metric's value under the four combinations."""
    return Mediation(total=clean - swap_both, content=clean - swap_cot, question=clean - swap_question)


def mediate(
    clean: Float[Tensor, " option"],
    swap_cot: Float[Tensor, " option"],
    swap_question: Float[Tensor, " option"],
    swap_both: Float[Tensor, " option"],
) -> tuple[Mediation, Mediation] | None:
    """Mediation in probability of the clean answer, and in logits against the counterfactual answer.

    None where both questions get the same answer: there is then no effect to share out.
    """
    answer, foil = choice(clean), choice(swap_both)
    if answer == foil:
        return None
    four = (clean, swap_cot, swap_question, swap_both)
    in_probability = effects(*(float(probabilities(x)[answer]) for x in four))
    in_logits = effects(*(logit_difference(x, answer, foil) for x in four))
    return in_probability, in_logits


def contrast(chain: float, question: float) -> float:
    """How much more the chain's states matter than as many of the question's: 1 all, 0 no more than these (M15).

    ``max(0, E(chain) - E(question)) / (|E(chain)| + |E(question)|)``, after arXiv 2602.03994; NaN where both are 0.
    """
    both = abs(chain) + abs(question)
    return max(0.0, chain - question) / both if both > NOTHING else float("nan")
