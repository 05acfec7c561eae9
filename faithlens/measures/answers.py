"""Reading an answer from option log-probabilities: the choice, its probability, and how two answers differ.

All functions take the log-probabilities of full option strings. Probabilities are renormalised over the options;
`option_coverage` says how much of the model's own probability the options hold.
"""

from jaxtyping import Float
from torch import Tensor


def choose_option(logprobs: Float[Tensor, " option"]) -> int:
    """The most likely option."""
    return int(logprobs.argmax())


def option_probabilities(logprobs: Float[Tensor, " option"]) -> Float[Tensor, " option"]:
    """Probability of each option given that one of them is the answer."""
    return logprobs.double().softmax(-1)


def option_coverage(logprobs: Float[Tensor, " option"]) -> float:
    """Probability that the model writes any of the options; in probability."""
    return float(logprobs.double().exp().sum())


def logit_difference(logprobs: Float[Tensor, " option"], answer: int, foil: int) -> float:
    """How far the answer is ahead of a foil; in logits."""
    return float(logprobs[answer].double() - logprobs[foil].double())


def total_variation(p: Float[Tensor, " option"], q: Float[Tensor, " option"]) -> float:
    """Half the L1 distance between the option distributions of two log-probability vectors; in probability."""
    return float((option_probabilities(p) - option_probabilities(q)).abs().sum() / 2)


def kl_divergence(p: Float[Tensor, " option"], q: Float[Tensor, " option"]) -> float:
    """KL(p || q) between the option distributions of two log-probability vectors; in nats."""
    log_p, log_q = (x.double().log_softmax(-1) for x in (p, q))
    return float((log_p.exp() * (log_p - log_q)).sum())
