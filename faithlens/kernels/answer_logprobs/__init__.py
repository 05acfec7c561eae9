"""How likely are chosen next tokens, without the logits of all rows in memory at once?"""

from faithlens.kernels.answer_logprobs.api import answer_logprobs

__all__ = ["answer_logprobs"]
