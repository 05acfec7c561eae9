"""Reading an answer from option log-probabilities: the chosen option, its probability, and distances of two answers.

All functions take the log-probabilities of full option strings, and compute in float64. Probabilities are renormalised
over the options; `option_coverage` says how much of the model's own probability the options hold. For example, with the
log-probabilities of .1, .3 and .2 for three options:

    choose_option          1                    the second option
    option_probabilities   [1/6, 1/2, 1/3]      each divided by .6
    option_coverage        .6                   the model writes something else with probability .4
"""

from typing import Any

import numpy as np
from jaxtyping import Float

Logprobs = Float[Any, " option"]
"""Log-probabilities in nats: a numpy array, or what `np.asarray` takes, such as a torch tensor on the CPU."""
Probabilities = Float[np.ndarray, " option"]


def choose_option(logprobs: Logprobs) -> int:
    """The index of the most likely option; of the first one where several are equally likely."""
    return int(np.argmax(_to_numpy(logprobs)))


def option_probabilities(logprobs: Logprobs) -> Probabilities:
    """Probability of each option given that one of them is the answer."""
    weights = np.exp(_shift(logprobs))
    return weights / weights.sum()


def option_coverage(logprobs: Logprobs) -> float:
    """Probability that the model writes any of the options, which are events apart: at most 1, but for rounding."""
    return float(np.exp(_to_numpy(logprobs)).sum())


def merge_new_options(logprobs: Logprobs, n_candidates: int) -> Float[np.ndarray, " value"]:
    """The log-probabilities of the first `n_candidates` options, then that of all further ones together.

    Conditions of one case have the same candidates; a further option is an answer that one condition alone may bring.
    """
    values = _to_numpy(logprobs)
    return np.append(values[:n_candidates], np.logaddexp.reduce(values[n_candidates:]))


def logit_difference(logprobs: Logprobs, answer: int, foil: int) -> float:
    """The log-probability of the option `answer` minus that of the option `foil`; in logits."""
    values = _to_numpy(logprobs)
    return float(values[answer] - values[foil])


def total_variation(p: Logprobs, q: Logprobs) -> float:
    """Half the L1 distance between the option distributions of two log-probability vectors; in probability."""
    return float(np.abs(option_probabilities(p) - option_probabilities(q)).sum() / 2)


def kl_divergence(p: Logprobs, q: Logprobs) -> float:
    """KL(p || q) between the option distributions of two log-probability vectors; in nats."""
    log_p, log_q = (shifted - np.log(np.exp(shifted).sum()) for shifted in (_shift(p), _shift(q)))
    return float((np.exp(log_p) * (log_p - log_q)).sum())


def _to_numpy(logprobs: Logprobs) -> Float[np.ndarray, " option"]:
    return np.asarray(logprobs, dtype=np.float64)


def _shift(logprobs: Logprobs) -> Float[np.ndarray, " option"]:
    """The log-probabilities minus the largest one, so that their exponentials neither overflow nor all vanish."""
    values = _to_numpy(logprobs)
    return values - values.max()
