"""Log-probabilities of chosen tokens, without the logits of all rows ever standing side by side."""

from faithlens.kernels.answer_logprobs.api import AnswerLogprobs, answer_logprobs

__all__ = ["AnswerLogprobs", "answer_logprobs"]
